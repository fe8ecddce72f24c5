//! What the commands have in common.

use clap::{Args, ValueEnum};

use crate::verifier::application::Application;
use crate::verifier::site::SiteOptions;

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
    /// On what.
    #[command(flatten)]
    pub site: SiteOptions,
    /// Any setting of the application by its key, as key=value; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
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
            site: SiteOptions::default(),
            sets: Vec::new(),
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
        if self.site.bootstrap.is_some() { "given" } else { "log-server" }.to_owned()
    }
}
