//! What the commands have in common.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::verifier::application::Application;

/// What runs, on what, under which load.
#[derive(Debug, Clone, Args)]
pub struct ElasticOptions {
    /// Keys, and who dies when, follow from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// `relay`, which has no state, or `tally`, which counts.
    #[arg(long, value_enum, default_value = "relay")]
    pub application: Application,
    /// `at_least_once` or `exactly_once_v2`.
    #[arg(long, default_value = "at_least_once")]
    pub guarantee: String,
    /// Partitions of the input and the output.
    #[arg(long, default_value_t = 12)]
    pub partitions: i32,
    /// Keys of each partition.
    #[arg(long, default_value_t = 50)]
    pub keys: usize,
    /// Records per second, the same in each partition.
    #[arg(long, default_value_t = 6_000)]
    pub rate: u64,
    /// `session.timeout.ms` of the instances.
    #[arg(long, default_value_t = 6_000)]
    pub session_ms: u64,
    /// A broker that is there (host:port), instead of a log server that is started.
    #[arg(long, env = "KAFKA_BOOTSTRAP")]
    pub bootstrap: Option<String>,
    /// Any setting of the application by its key, as key=value; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Keeps state, data and logs here, instead of in a temporary directory.
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

impl Default for ElasticOptions {
    fn default() -> Self {
        ElasticOptions {
            seed: 1,
            application: Application::Relay,
            guarantee: "at_least_once".to_owned(),
            partitions: 12,
            keys: 50,
            rate: 6_000,
            session_ms: 6_000,
            bootstrap: None,
            sets: Vec::new(),
            dir: None,
        }
    }
}

impl ElasticOptions {
    /// The application's name on the command line.
    pub(super) fn application_name(&self) -> String {
        let value = self.application.to_possible_value();
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What kind of broker it is.
    pub(super) fn broker_name(&self) -> String {
        if self.bootstrap.is_some() { "given" } else { "log-server" }.to_owned()
    }
}
