//! Serves until a signal comes.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use log_server::{Error, LogServer, LogServerConfig, read_properties};
use tracing_subscriber::EnvFilter;

use super::stop_signal;

/// How the server runs.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// File with properties: TOML, or Java's format if its name ends with .properties.
    #[arg(long, env = "LOG_SERVER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets a property, for example `num.partitions=4`; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Where to listen: HOST:PORT, or NAME://HOST:PORT with NAME PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; several
    /// separated by commas. Port 0 picks a free port. [default: 127.0.0.1:9092]
    #[arg(long, value_name = "LISTENERS")]
    listen: Option<String>,
    /// Directory of the logs; it is made if it does not exist.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// When records are forced to the disk: `always` before they are acknowledged, `interval` (see
    /// --fsync-interval-ms), or `never` (left to the operating system). [default: always]
    #[arg(long, value_parser = ["always", "interval", "never"])]
    fsync: Option<String>,
    /// Milliseconds between syncs with --fsync interval. [default: 1000]
    #[arg(long)]
    fsync_interval_ms: Option<u64>,
    /// Partitions of topics that are created without a count. [default: 1]
    #[arg(long)]
    default_partitions: Option<i32>,
    /// Do not create topics because a client asks for their metadata.
    #[arg(long)]
    no_auto_create_topics: bool,
    /// Connections that may be open at a time. [default: 10000]
    #[arg(long)]
    max_connections: Option<usize>,
    /// The largest request in bytes. [default: 104857600]
    #[arg(long)]
    max_request_bytes: Option<usize>,
    /// Default of a topic configuration, for example `retention.ms=604800000`; may be repeated.
    #[arg(long = "topic-default", value_name = "NAME=VALUE")]
    topic_defaults: Vec<String>,
    /// Milliseconds that a new group waits for further members before its first assignment. [default: 50]
    #[arg(long)]
    group_initial_rebalance_delay_ms: Option<u64>,
    /// Address of /metrics (Prometheus) and /health; without it they are not served.
    #[arg(long, value_name = "HOST:PORT")]
    metrics_listen: Option<String>,
    /// Have every access decided by access control lists.
    #[arg(long)]
    authorizer: bool,
    /// Allow a listen address that is not a loopback one although nobody is authenticated.
    #[arg(long)]
    insecure: bool,
    /// How logs are written; RUST_LOG says what is logged (info by default, debug for more).
    #[arg(long, env = "LOG_SERVER_LOG_FORMAT", default_value = "text", value_parser = ["text", "json"])]
    log_format: String,
}

/// What the names of environment variables begin with.
const ENVIRONMENT: &str = "LOG_SERVER_";

/// Variables that are no properties, or have another name than their property.
const OTHER_VARIABLES: [(&str, Option<&str>); 6] = [
    ("LISTEN", Some("listeners")),
    ("DATA_DIR", Some("log.dirs")),
    ("DEFAULT_PARTITIONS", Some("num.partitions")),
    ("METRICS_LISTEN", Some("metrics.listen")),
    ("CONFIG", None),
    ("LOG_FORMAT", None),
];

/// Threads for reads that the page cache does not hold.
const MAX_BLOCKING_THREADS: usize = 16;

impl Serve {
    /// Serves until a signal comes.
    ///
    /// # Errors
    /// [`Error`] if the server cannot start or cannot stop cleanly.
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        self.start_logging();
        #[cfg(unix)]
        super::open_files::raise_limit();
        let config = self.configuration(std::env::vars())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .max_blocking_threads(MAX_BLOCKING_THREADS)
            .enable_all()
            .build()
            .map_err(|error| Error::Config(format!("cannot start the threads: {error}")))?;
        runtime.block_on(async {
            let server = LogServer::start(config).await?;
            println!("ready {}", server.address());
            stop_signal::first().await;
            tracing::info!("stopping; a second signal leaves at once");
            tokio::spawn(stop_signal::leave_at_the_next());
            server.shutdown().await
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn start_logging(&self) {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format.as_str() {
            "json" => builder.json().flatten_event(true).init(),
            _ => builder.with_ansi(std::io::stderr().is_terminal()).init(),
        }
    }

    /// File, environment and options, of which the later go before the former.
    fn configuration(
        self,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<LogServerConfig, Error> {
        let mut properties = match &self.config {
            Some(file) => read_properties(file)?,
            None => Vec::new(),
        };
        properties.extend(environment.filter_map(variable));
        let mut topic_defaults = Vec::new();
        for setting in &self.topic_defaults {
            topic_defaults.push(pair("--topic-default", setting)?);
        }
        for setting in &self.set {
            properties.push(pair("--set", setting)?);
        }
        properties.extend(self.options());
        let config = LogServerConfig::from_properties(properties)?;
        Ok(topic_defaults.into_iter().fold(config, |config, (name, value)| config.topic_default(name, value)))
    }

    /// The options that were given, as properties.
    fn options(self) -> Vec<(String, String)> {
        let flag = |given: bool, value: &str| given.then(|| value.to_owned());
        let options = [
            ("listeners", self.listen),
            ("log.dirs", self.data_dir.map(|path| path.display().to_string())),
            ("fsync", self.fsync),
            ("fsync.interval.ms", self.fsync_interval_ms.map(|value| value.to_string())),
            ("num.partitions", self.default_partitions.map(|value| value.to_string())),
            ("auto.create.topics.enable", flag(self.no_auto_create_topics, "false")),
            ("max.connections", self.max_connections.map(|value| value.to_string())),
            ("socket.request.max.bytes", self.max_request_bytes.map(|value| value.to_string())),
            (
                "group.initial.rebalance.delay.ms",
                self.group_initial_rebalance_delay_ms.map(|value| value.to_string()),
            ),
            ("metrics.listen", self.metrics_listen),
            ("authorizer.class.name", flag(self.authorizer, "acl")),
            ("insecure", flag(self.insecure, "true")),
        ];
        options.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// The property that an environment variable sets.
fn variable((name, value): (String, String)) -> Option<(String, String)> {
    let name = name.strip_prefix(ENVIRONMENT)?;
    match OTHER_VARIABLES.iter().find(|(known, _)| *known == name) {
        Some((_, property)) => property.map(|property| (property.to_owned(), value)),
        None => Some((name.to_lowercase().replace('_', "."), value)),
    }
}

fn pair(option: &str, setting: &str) -> Result<(String, String), Error> {
    let (name, value) = setting
        .split_once('=')
        .ok_or_else(|| Error::Config(format!("{option} {setting} is not NAME=VALUE")))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        serve: Serve,
    }

    fn configuration(arguments: &[&str], environment: &[(&str, &str)]) -> Result<String, String> {
        let arguments = ["log-server"].iter().chain(arguments);
        let serve = CommandLine::try_parse_from(arguments).map_err(|error| error.to_string())?.serve;
        let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        serve
            .configuration(environment)
            .map(|config| format!("{config:?}"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn options_go_before_the_environment_and_that_before_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("server.toml");
        std::fs::write(&file, "log.dirs = \"/file\"\nnum.partitions = 2\nmax.connections = 7\n").unwrap();
        let file = file.to_str().unwrap();
        let environment =
            [("LOG_SERVER_NUM_PARTITIONS", "3"), ("LOG_SERVER_DATA_DIR", "/environment"), ("PATH", "x")];
        let both = configuration(&["--config", file], &environment).unwrap();
        for part in ["default_partitions: 3", "data_dir: \"/environment\"", "max_connections: 7"] {
            assert!(both.contains(part), "{part} is not in {both}");
        }
        let options =
            ["--config", file, "--set", "num.partitions=4", "--default-partitions", "5", "--insecure"];
        let all = configuration(&options, &environment).unwrap();
        assert!(all.contains("default_partitions: 5") && all.contains("insecure: true"), "{all}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (arguments, environment, reason) in [
            (&["--set", "x"][..], &[][..], "NAME=VALUE"),
            (&["--data-dir", "d"], &[("LOG_SERVER_NUM_PARTITION", "1")], "did you mean num.partitions?"),
            (&[], &[], "--data-dir"),
            (&["--data-dir", "d", "--listen", "SSL:9092"], &[], "NAME://HOST:PORT"),
            (&["--fsync", "perhaps"], &[], "always"),
        ] {
            let refused = configuration(arguments, environment).unwrap_err();
            assert!(refused.contains(reason), "{reason} is not in {refused}");
        }
    }
}
