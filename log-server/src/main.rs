//! `log-server`: a single-node log server that speaks the Kafka wire protocol.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use log_server::{
    Error, FsyncPolicy, LogServer, LogServerConfig, VerifyReport, dump_segment, verify_data_dir,
};
use tracing_subscriber::EnvFilter;

/// A single-node log server that speaks the Kafka wire protocol.
///
/// It prints one line, `ready ADDRESS`, on standard output as soon as clients can connect; logs go to standard
/// error (RUST_LOG=debug for more). SIGTERM and SIGINT stop it cleanly.
#[derive(Debug, Parser)]
#[command(
    name = "log-server",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct CommandLine {
    #[command(subcommand)]
    inspect: Option<Inspect>,
    #[command(flatten)]
    serve: Option<Options>,
}

/// Looks at data without serving it.
#[derive(Debug, clap::Subcommand)]
enum Inspect {
    /// Print the batches of a segment file.
    Dump {
        /// The `.log` file.
        file: PathBuf,
        /// Print the records as well.
        #[arg(long)]
        records: bool,
    },
    /// Check every batch of a data directory; the exit code is 1 if something is wrong.
    Verify {
        /// The data directory of a server that is stopped.
        data_dir: PathBuf,
    },
}

impl Inspect {
    fn run(self) -> Result<ExitCode, Error> {
        match self {
            Inspect::Dump { file, records } => {
                dump_segment(&file, records, &mut std::io::stdout().lock())?;
                Ok(ExitCode::SUCCESS)
            }
            Inspect::Verify { data_dir } => {
                let report = verify_data_dir(&data_dir)?;
                for (path, fault) in &report.faults {
                    println!("{}: {fault}", path.display());
                }
                let VerifyReport { segments, batches, bytes, .. } = report;
                println!(
                    "{segments} segments, {batches} sound batches, {bytes} bytes, {} faults",
                    report.faults.len()
                );
                Ok(if report.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
        }
    }
}

/// How the server runs.
#[derive(Debug, clap::Args)]
struct Options {
    /// Address to listen on; port 0 picks a free port.
    #[arg(long, env = "LOG_SERVER_LISTEN", default_value = "127.0.0.1:9092")]
    listen: SocketAddr,
    /// Directory of the logs; it is made if it does not exist.
    #[arg(long, env = "LOG_SERVER_DATA_DIR")]
    data_dir: PathBuf,
    /// When records are forced to the disk: `always` before they are acknowledged, `interval` (see
    /// --fsync-interval-ms), or `never` (left to the operating system).
    #[arg(long, env = "LOG_SERVER_FSYNC", default_value = "always")]
    fsync: Fsync,
    /// Milliseconds between syncs with --fsync interval.
    #[arg(long, default_value_t = 1000)]
    fsync_interval_ms: u64,
    /// Partitions of topics that are created without a count.
    #[arg(long, env = "LOG_SERVER_DEFAULT_PARTITIONS", default_value_t = 1)]
    default_partitions: i32,
    /// Do not create topics because a client asks for their metadata.
    #[arg(long)]
    no_auto_create_topics: bool,
    /// Connections that may be open at a time.
    #[arg(long, default_value_t = 10_000)]
    max_connections: usize,
    /// The largest request in bytes.
    #[arg(long, default_value_t = 100 * 1024 * 1024)]
    max_request_bytes: usize,
    /// Default of a topic configuration, for example `retention.ms=604800000`; may be repeated.
    #[arg(long = "topic-default", value_name = "NAME=VALUE")]
    topic_defaults: Vec<String>,
    /// Milliseconds that a new group waits for further members before its first assignment.
    #[arg(long, default_value_t = 50)]
    group_initial_rebalance_delay_ms: u64,
    /// Address of /metrics (Prometheus) and /health; without it they are not served.
    #[arg(long, env = "LOG_SERVER_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
    /// Allow a listen address that is not a loopback one although nobody is authenticated.
    #[arg(long)]
    insecure: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Fsync {
    Always,
    Interval,
    Never,
}

impl Options {
    fn config(self) -> Result<LogServerConfig, Error> {
        let fsync = match self.fsync {
            Fsync::Always => FsyncPolicy::Always,
            Fsync::Interval => FsyncPolicy::Interval(Duration::from_millis(self.fsync_interval_ms)),
            Fsync::Never => FsyncPolicy::Never,
        };
        let mut config = LogServerConfig::new(self.data_dir)
            .listen(self.listen)
            .insecure(self.insecure)
            .fsync(fsync)
            .default_partitions(self.default_partitions)
            .auto_create_topics(!self.no_auto_create_topics)
            .max_connections(self.max_connections)
            .max_request_bytes(self.max_request_bytes)
            .group_initial_rebalance_delay(Duration::from_millis(self.group_initial_rebalance_delay_ms));
        if let Some(address) = self.metrics_listen {
            config = config.metrics_listen(address);
        }
        for setting in self.topic_defaults {
            let Some((name, value)) = setting.split_once('=') else {
                return Err(Error::Config(format!("--topic-default {setting} is not NAME=VALUE")));
            };
            config = config.topic_default(name, value);
        }
        Ok(config)
    }
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    if let Some(inspect) = command_line.inspect {
        return inspect.run().unwrap_or_else(|error| {
            tracing::error!("{error}");
            ExitCode::FAILURE
        });
    }
    let Some(options) = command_line.serve else {
        tracing::error!("--data-dir is missing: it says where the logs are kept");
        return ExitCode::FAILURE;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the threads");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Threads for reads that the page cache does not hold.
const MAX_BLOCKING_THREADS: usize = 16;

async fn run(options: Options) -> Result<(), Error> {
    let server = LogServer::start(options.config()?).await?;
    println!("ready {}", server.address());
    stop_signal().await;
    tracing::info!("stopping");
    server.shutdown().await
}

#[cfg(unix)]
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "cannot listen for SIGTERM, only for SIGINT");
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn stop_signal() {
    let _ = tokio::signal::ctrl_c().await;
}
