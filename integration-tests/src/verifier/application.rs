//! A process of the application under test.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use streams_dsl::{KafkaStreams, RunningStreams, StreamsConfig};

use super::status_report::report;
use super::topology::topology;

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Exit code of a process whose starter is gone.
const ORPHANED: i32 = 3;

/// Which application a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Application {
    /// Echo, sum, minimum and count, and beyond a repartition topic maximum and count.
    Eos,
    /// Counts and sums per window, and final counts of windows that are closed.
    Smoke,
    /// Passes each record on, with the process that did so.
    Relay,
    /// Counts by key, with the process that did so.
    Tally,
    /// Doubles numbers, of which some cannot be read and some cannot be doubled, and counts them.
    Poison,
}

/// What a process of the application is told.
#[derive(Debug, Clone, Args)]
pub struct ApplicationOptions {
    /// Which application.
    #[arg(long, value_enum)]
    pub application: Application,
    /// The broker, host:port.
    #[arg(long)]
    pub bootstrap: String,
    /// `application.id`.
    #[arg(long)]
    pub application_id: String,
    /// The names of its topics begin with this.
    #[arg(long)]
    pub prefix: String,
    /// `state.dir`.
    #[arg(long)]
    pub state_dir: PathBuf,
    /// Any setting by its key, as key=value.
    #[arg(long = "set")]
    pub sets: Vec<String>,
    /// Instances that the process runs, each with a state directory of its own below that one.
    #[arg(long, default_value_t = 1)]
    pub members: usize,
    /// A file that gets a line of JSON whenever the tasks of an instance change.
    #[arg(long)]
    pub report: Option<PathBuf>,
}

/// Runs the application until a signal asks it to end, or its starter is gone.
///
/// # Errors
/// Why it ended, where nobody asked for it.
pub async fn run_application(options: ApplicationOptions) -> Outcome {
    end_with_the_starter();
    let mut members = Vec::with_capacity(options.members);
    for number in 0..options.members {
        members.push(tokio::spawn(start(options.clone(), number)));
    }
    let mut running = Vec::with_capacity(members.len());
    for member in members {
        running.push(member.await??);
    }
    if let Some(path) = &options.report {
        report(path, running.iter().map(RunningStreams::handle).collect())?;
    }
    let mut ending = Vec::with_capacity(running.len());
    for streams in running {
        ending.push(tokio::spawn(streams.run_until_signal()));
    }
    for ended in ending {
        ended.await??;
    }
    Ok(())
}

async fn start(
    options: ApplicationOptions,
    number: usize,
) -> Result<RunningStreams, Box<dyn std::error::Error + Send + Sync>> {
    let state_dir = options.state_dir.join(number.to_string());
    let config = StreamsConfig::new(&options.application_id, &options.bootstrap).state_dir(state_dir);
    let config = options.sets.iter().try_fold(config, |config, set| {
        let (key, value) = set.split_once('=').unwrap_or((set, ""));
        config.with(key, value)
    })?;
    let topology = topology(options.application, &options.prefix)?;
    Ok(KafkaStreams::new(topology, config)?.start().await?)
}

/// Ends the process when its standard input is closed: no process outlives a verifier that was killed.
pub(crate) fn end_with_the_starter() {
    std::thread::spawn(|| {
        let mut nothing = [0; 64];
        while std::io::stdin().read(&mut nothing).is_ok_and(|read| read > 0) {}
        std::process::exit(ORPHANED);
    });
}
