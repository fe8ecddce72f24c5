//! The command line: the very options of the Kafka Streams benchmark.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::Workload;

/// Workloads for a broker: fill their input topics, run them, check their output.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Writes the input topics of a workload; a live stream with --rate and --seconds.
    Load(LoadArguments),
    /// Runs a workload to the end of its input and prints one JSON line.
    Run(RunArguments),
    /// Compares the output with a direct computation; exits with 1 where they differ.
    Verify(VerifyArguments),
    /// Loads, runs and verifies each workload, against a log server of its own unless --bootstrap is given.
    Suite(SuiteArguments),
    /// Runs Kafka Streams' benchmark and this one in turn on one broker; prints the medians and their ratios.
    Compare(CompareArguments),
    /// Lets Kafka Streams' benchmark and this one each continue what the other began; checks the final values.
    Takeover(TakeoverArguments),
    /// Runs workloads at-least-once and exactly-once in turn; prints what the latter costs.
    Guarantees(GuaranteeArguments),
    /// Times the sharing out of many tasks among many members.
    Assignor(AssignorArguments),
    /// How fast a deleted store is restored, against Kafka Streams and against bare fetching.
    Restore(ScenarioArguments),
    /// How fast tasks run while a large store of the same application is restored.
    RestoreBeside(ScenarioArguments),
    /// How soon an application with much state processes again after SIGKILL, and what it replays.
    CrashRestart(ScenarioArguments),
    /// What a standby still restores when it takes over from an instance that was killed.
    FailOver(ScenarioArguments),
    /// How much memory a large backlog in front of a slow sink takes.
    Backlog(ScenarioArguments),
    /// Runs a log server with temporary data until standard input ends.
    Serve(ServeArguments),
    /// What the machine allows: a bare consumer, and one that also produces, over the topic in-pages.
    Limits(LimitArguments),
}

/// Options of `load`.
#[derive(Debug, Clone, Args)]
pub struct LoadArguments {
    /// Address of a broker, host:port.
    #[arg(long)]
    pub bootstrap: String,
    /// The workload to load.
    #[arg(long)]
    pub workload: Workload,
    /// Records; for wordcount lines, for fraud payments, for join orders.
    #[arg(long, default_value = "1_000_000", value_parser = number)]
    pub records: u64,
    /// Partitions of each input topic.
    #[arg(long, default_value_t = 4)]
    pub partitions: i32,
    /// Seed of the inputs.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write also where the topics are already there.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    pub append: bool,
    /// Records with the present time at --rate for --seconds, for any workload.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    pub live: bool,
    /// Compression of the batches.
    #[arg(long, default_value = "lz4")]
    pub compression: String,
    /// How long the producer waits for a batch to fill, in milliseconds.
    #[arg(long, default_value = "20")]
    pub linger: String,
    /// Bytes of a batch.
    #[arg(long, default_value = "131072")]
    pub batch: String,
    /// Live workloads: records per second.
    #[arg(long, default_value = "10_000", value_parser = number)]
    pub rate: u64,
    /// Live workloads: seconds.
    #[arg(long, default_value = "30", value_parser = number)]
    pub seconds: u64,
}

/// Options of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArguments {
    /// Address of a broker, host:port.
    #[arg(long)]
    pub bootstrap: String,
    /// The workload to run.
    #[arg(long)]
    pub workload: Workload,
    /// Application id; a new one for each run by default. The output topic is `<app-id>-out`.
    #[arg(long)]
    pub app_id: Option<String>,
    /// `num.stream.threads`.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// `processing.guarantee`.
    #[arg(long, default_value = "at_least_once")]
    pub guarantee: String,
    /// Any setting by its Kafka Streams key, as key=value; may be repeated.
    #[arg(long = "set", value_parser = setting)]
    pub sets: Vec<(String, String)>,
    /// Process id of the broker, for its CPU seconds and memory.
    #[arg(long)]
    pub broker_pid: Option<u32>,
    /// Directory of the state.
    #[arg(long)]
    pub state_dir: Option<PathBuf>,
    /// Begin with the state that an earlier run left.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    pub keep_state: bool,
    /// Give up after so many seconds.
    #[arg(long, default_value = "300", value_parser = number)]
    pub timeout: u64,
    /// Delete the run's topics and state at the end.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    pub cleanup: bool,
    /// Measure the restore of an application that ran before, then stop.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    pub restore: bool,
    /// At the end of the input wait for a commit, then end like a killed process, with exit code 137.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    pub crash_after_commit: bool,
    /// How long --crash-after-commit waits, in milliseconds.
    #[arg(long, default_value = "4_000", value_parser = number)]
    pub crash_wait_ms: u64,
    /// Report how long the run stood still.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    pub stalls: bool,
    /// Print a line of progress every 20 ms until standard input ends; the state is kept.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    pub watch: bool,
    /// How long each record waits before it is sent, in microseconds, in workloads with a slow sink.
    #[arg(long, default_value = "0", value_parser = number)]
    pub slow_us: u64,
    /// Live workloads: file that gets a line every 20 ms.
    #[arg(long, default_value = "build/progress.txt")]
    pub progress: PathBuf,
    /// Live workloads: seconds.
    #[arg(long, default_value = "30", value_parser = number)]
    pub seconds: u64,
}

/// Options of `verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArguments {
    /// Address of a broker, host:port.
    #[arg(long)]
    pub bootstrap: String,
    /// The workload that ran.
    #[arg(long)]
    pub workload: Workload,
    /// The number of records that was loaded.
    #[arg(long, default_value = "1_000_000", value_parser = number)]
    pub records: u64,
    /// The seed of the inputs.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The output topic.
    #[arg(long)]
    pub output: String,
}

/// Options of `suite`.
#[derive(Debug, Clone, Args)]
pub struct SuiteArguments {
    /// Address of a broker, host:port; a log server of its own without.
    #[arg(long)]
    pub bootstrap: Option<String>,
    /// Records of each workload, as a share of the loads that the README gives figures for.
    #[arg(long, default_value_t = 0.1)]
    pub scale: f64,
    /// `num.stream.threads`.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// The workloads; passthrough, wordcount, surge, fraud, join and keys by default.
    pub workloads: Vec<Workload>,
}

/// Options of `compare`.
#[derive(Debug, Clone, Args)]
pub struct CompareArguments {
    /// Address of a broker, host:port.
    #[arg(long)]
    pub bootstrap: String,
    /// The folder of Kafka Streams' benchmark.
    #[arg(long, env = "ANCHOR_DIR")]
    pub anchor: PathBuf,
    /// Process id of the broker, for its CPU seconds.
    #[arg(long)]
    pub broker_pid: Option<u32>,
    /// Runs of each workload.
    #[arg(long, default_value_t = 3)]
    pub reps: u32,
    /// Records of each workload, as a share of the loads that the README gives figures for.
    #[arg(long, default_value_t = 1.0)]
    pub scale: f64,
    /// `num.stream.threads`.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// `processing.guarantee`.
    #[arg(long, default_value = "at_least_once")]
    pub guarantee: String,
    /// The workloads; passthrough, wordcount, surge, fraud, join and keys by default.
    pub workloads: Vec<Workload>,
}

/// Options of `takeover`.
#[derive(Debug, Clone, Args)]
pub struct TakeoverArguments {
    /// Address of a broker, host:port.
    #[arg(long)]
    pub bootstrap: String,
    /// The folder of Kafka Streams' benchmark.
    #[arg(long, env = "ANCHOR_DIR")]
    pub anchor: PathBuf,
    /// Records of each workload; for wordcount lines.
    #[arg(long, default_value = "200_000", value_parser = number)]
    pub records: u64,
    /// How long each step may take, in seconds.
    #[arg(long, default_value = "120", value_parser = number)]
    pub timeout: u64,
    /// The workloads.
    #[arg(default_values = ["wordcount", "surge"])]
    pub workloads: Vec<Workload>,
}

/// Options of `guarantees`.
#[derive(Debug, Clone, Args)]
pub struct GuaranteeArguments {
    /// Address of a broker, host:port; a log server of its own without.
    #[arg(long)]
    pub bootstrap: Option<String>,
    /// Records of each workload; for wordcount lines.
    #[arg(long, default_value = "200_000", value_parser = number)]
    pub records: u64,
    /// Runs with each guarantee.
    #[arg(long, default_value_t = 3)]
    pub reps: u32,
    /// `commit.interval.ms` of both.
    #[arg(long, default_value = "100", value_parser = number)]
    pub commit_interval_ms: u64,
    /// The least share of the throughput at-least-once.
    #[arg(long, default_value_t = 0.85)]
    pub share: f64,
    /// The workloads.
    #[arg(default_values = ["wordcount", "surge"])]
    pub workloads: Vec<Workload>,
}

/// Options of `assignor`.
#[derive(Debug, Clone, Args)]
pub struct AssignorArguments {
    /// Tasks, with state, a thousand in each sub-topology.
    #[arg(long, default_value_t = 10_000)]
    pub tasks: u32,
    /// Members, each in a process of its own.
    #[arg(long, default_value_t = 100)]
    pub members: u32,
    /// `num.standby.replicas`.
    #[arg(long, default_value_t = 1)]
    pub standbys: usize,
    /// Longest time for one round, in milliseconds.
    #[arg(long, default_value_t = 200.0)]
    pub limit_ms: f64,
}

/// Options of the scenarios about recovery and memory.
#[derive(Debug, Clone, Args)]
pub struct ScenarioArguments {
    /// Address of a broker, host:port; a log server of its own without.
    #[arg(long)]
    pub bootstrap: Option<String>,
    /// Records before the event, instead of the scenario's own number.
    #[arg(long, value_parser = number)]
    pub records: Option<u64>,
    /// The folder of Kafka Streams' benchmark, where it has a counterpart.
    #[arg(long, env = "ANCHOR_DIR")]
    pub anchor: Option<PathBuf>,
    /// Runs of what is run more than once.
    #[arg(long, default_value_t = 3)]
    pub reps: u32,
    /// Live records per second during the event.
    #[arg(long, default_value = "5_000", value_parser = number)]
    pub rate: u64,
    /// A slow sink's time for each record, in microseconds.
    #[arg(long, default_value = "20", value_parser = number)]
    pub slow_us: u64,
    /// `processing.guarantee`, instead of the scenario's own.
    #[arg(long)]
    pub guarantee: Option<String>,
    /// Any setting by its Kafka Streams key, as key=value; may be repeated.
    #[arg(long = "set", value_parser = setting)]
    pub sets: Vec<(String, String)>,
    /// Where state lies while it runs.
    #[arg(long)]
    pub state_dir: Option<PathBuf>,
    /// How long each step may take, in seconds.
    #[arg(long, default_value = "240", value_parser = number)]
    pub timeout: u64,
}

/// Options of `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArguments {
    /// Partitions of topics that are created without a count.
    #[arg(long, default_value_t = 4)]
    pub partitions: i32,
}

/// Options of `limits`.
#[derive(Debug, Clone, Args)]
pub struct LimitArguments {
    /// Address of a broker, host:port; `load --workload passthrough` must have run there.
    #[arg(long)]
    pub bootstrap: String,
}

/// A number that may be grouped by underscores.
fn number(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|error| format!("{error}"))
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_kafka_streams_benchmark_are_understood() {
        let line = "bench run --bootstrap h:1 --workload live-count --threads 2 --guarantee exactly_once_v2 --app-id x --set a.b=c=d \
                    --set e=f --broker-pid 7 --cleanup --state-dir d --keep-state --timeout 1_000 --crash-after-commit";
        let Command::Run(run) = Arguments::try_parse_from(line.split_whitespace()).unwrap().command else {
            panic!("not a run");
        };
        assert_eq!(run.sets, [("a.b".to_owned(), "c=d".to_owned()), ("e".to_owned(), "f".to_owned())]);
        assert!(run.cleanup && run.keep_state && run.crash_after_commit && !run.restore);
        assert_eq!((run.timeout, run.workload), (1_000, Workload::LiveCount));
    }

    #[test]
    fn an_unknown_workload_names_the_known_ones() {
        let line = "bench load --bootstrap h:1 --workload nope";
        let error = Arguments::try_parse_from(line.split_whitespace()).unwrap_err().to_string();
        assert!(error.contains("passthrough, wordcount"), "{error}");
    }
}
