//! The log server as a process of its own, which can be killed.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use log_server::{FsyncPolicy, LogServer, LogServerConfig};

use super::application::end_with_the_starter;
use super::process::Process;

/// How long the server may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What the log server's process is told.
#[derive(Debug, Clone, Args)]
pub struct BrokerOptions {
    /// Where to listen.
    #[arg(long)]
    pub listen: SocketAddr,
    /// Where its data are.
    #[arg(long)]
    pub data_dir: PathBuf,
}

/// Runs a log server until it is killed, or its starter is gone. Prints its address when it is ready.
///
/// # Errors
/// When it cannot start.
pub async fn run_broker(options: BrokerOptions) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    end_with_the_starter();
    // A crash of the process loses nothing that the system has; only a power cut would.
    let config = LogServerConfig::new(&options.data_dir)
        .listen(options.listen)
        .fsync(FsyncPolicy::Never)
        .auto_create_topics(false);
    let server = LogServer::start(config).await?;
    println!("{}", server.address());
    std::future::pending().await
}

/// A log server in a process of its own.
#[derive(Debug)]
pub struct BrokerProcess {
    program: PathBuf,
    data_dir: PathBuf,
    address: SocketAddr,
    process: Process,
}

impl BrokerProcess {
    /// Starts one on a free port; `program` is the verifier itself.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(program: &Path, data_dir: PathBuf) -> std::io::Result<Self> {
        let (process, address) = spawn(program, &data_dir, SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        Ok(BrokerProcess { program: program.to_owned(), data_dir, address, process })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it and starts it again on the same port after `pause`.
    ///
    /// # Errors
    /// When it does not start again.
    pub async fn kill_and_restart(&mut self, pause: Duration) -> std::io::Result<()> {
        self.process.kill()?;
        tokio::time::sleep(pause).await;
        (self.process, _) = spawn(&self.program, &self.data_dir, self.address).await?;
        Ok(())
    }
}

async fn spawn(
    program: &Path,
    data_dir: &Path,
    listen: SocketAddr,
) -> std::io::Result<(Process, SocketAddr)> {
    let mut command = Command::new(program);
    command.args(["broker", "--listen", &listen.to_string(), "--data-dir"]).arg(data_dir);
    let log = OpenOptions::new().create(true).append(true).open(data_dir.with_extension("log"))?;
    let mut process = Process::start(command.stderr(log).stdout(Stdio::piped()))?;
    let failed = |what: &str| std::io::Error::other(format!("the log server did not start: {what}"));
    let out = process.output().ok_or_else(|| failed("it has no output"))?;
    let first_line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).map(|_| line)
    });
    let line = tokio::time::timeout(START_LIMIT, first_line).await;
    let line = line.map_err(|_| failed("it says nothing"))?.map_err(|_| failed("it ended"))??;
    Ok((process, line.trim().parse().map_err(|_| failed(&line))?))
}
