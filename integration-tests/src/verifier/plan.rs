//! What a run of the verifier does.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::application::Application;
use super::site::SiteOptions;

/// Which application runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Program {
    /// Echo, sum, minimum and count, and beyond a repartition topic maximum and count.
    Eos,
    /// Counts and sums per window, with and without a repartition topic, and final counts of windows that are closed.
    Smoke,
}

impl From<Program> for Application {
    fn from(program: Program) -> Self {
        match program {
            Program::Eos => Application::Eos,
            Program::Smoke => Application::Smoke,
        }
    }
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// An instance is killed (SIGKILL) and started again.
    Kill,
    /// An instance is stopped (SIGSTOP) for twice the session time-out.
    Stop,
    /// An instance is asked to end (SIGTERM) and started again.
    Leave,
    /// The broker is killed (SIGKILL) and started again.
    Broker,
    /// All connections of an instance are cut, and new ones refused for a while.
    Cut,
    /// Everything that an instance sends and receives comes late.
    Delay,
    /// What an instance sends, or what it is sent, goes nowhere for a while; then its connections are cut.
    Half,
}

/// What is run, and against what.
#[derive(Debug, Clone, Args)]
pub struct Plan {
    /// Faults and input follow from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The application.
    #[arg(long, value_enum, default_value = "eos")]
    pub program: Program,
    /// `at_least_once` or `exactly_once_v2`.
    #[arg(long, default_value = "exactly_once_v2")]
    pub guarantee: String,
    /// Which faults happen; `broker` needs a log server that is started.
    #[arg(long = "fault", value_enum, value_delimiter = ',', default_value = "kill")]
    pub faults: Vec<Fault>,
    /// How many faults happen.
    #[arg(long, default_value_t = 20)]
    pub rounds: usize,
    /// Instances of the application.
    #[arg(long, default_value_t = 3)]
    pub instances: usize,
    /// Partitions of the input and the output topics.
    #[arg(long, default_value_t = 5)]
    pub partitions: i32,
    /// Keys of the input.
    #[arg(long, default_value_t = 2_000)]
    pub keys: u64,
    /// Records that are sent each second, while faults happen.
    #[arg(long, default_value_t = 4_000)]
    pub rate: u64,
    /// Records that are sent at least, at full speed once the faults are over.
    #[arg(long, default_value_t = 0)]
    pub records: u64,
    /// Shortest and longest pause between two faults, in milliseconds.
    #[arg(long, num_args = 2, value_names = ["MIN", "MAX"], default_values_t = [500, 5_000])]
    pub pause_ms: Vec<u64>,
    /// `session.timeout.ms` of the instances.
    #[arg(long, default_value_t = 6_000)]
    pub session_ms: u64,
    /// How long the instances may take in the end to process what is left, in seconds.
    #[arg(long, default_value_t = 120)]
    pub patience_s: u64,
    /// On what; `--fault broker` needs a log server that is started.
    #[command(flatten)]
    pub site: SiteOptions,
    /// Any setting of the application by its key, as key=value; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
}

impl Plan {
    pub(super) fn exactly_once(&self) -> bool {
        self.guarantee != "at_least_once"
    }

    pub(super) fn session(&self) -> Duration {
        Duration::from_millis(self.session_ms)
    }

    /// Whether the instances reach the broker through a proxy.
    pub(super) fn needs_proxy(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault, Fault::Cut | Fault::Delay | Fault::Half))
    }
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            seed: 1,
            program: Program::Eos,
            guarantee: "exactly_once_v2".to_owned(),
            faults: vec![Fault::Kill],
            rounds: 20,
            instances: 3,
            partitions: 5,
            keys: 2_000,
            rate: 4_000,
            records: 0,
            pause_ms: vec![500, 5_000],
            session_ms: 6_000,
            patience_s: 120,
            site: SiteOptions::default(),
            sets: Vec::new(),
        }
    }
}
