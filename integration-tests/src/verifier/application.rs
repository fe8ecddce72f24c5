//! A process of the application under test.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use streams_dsl::{KafkaStreams, StreamsConfig};

use super::plan::Program;
use super::topology::topology;

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Exit code of a process whose starter is gone.
const ORPHANED: i32 = 3;

/// What a process of the application is told.
#[derive(Debug, Clone, Args)]
pub struct ApplicationOptions {
    /// Which application.
    #[arg(long, value_enum)]
    pub program: Program,
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
}

/// Runs the application until a signal asks it to end, or its starter is gone.
///
/// # Errors
/// Why it ended, where nobody asked for it.
pub async fn run_application(options: ApplicationOptions) -> Outcome {
    end_with_the_starter();
    let config =
        StreamsConfig::new(&options.application_id, &options.bootstrap).state_dir(&options.state_dir);
    let config = options.sets.iter().try_fold(config, |config, set| {
        let (key, value) = set.split_once('=').unwrap_or((set, ""));
        config.with(key, value)
    })?;
    let topology = topology(options.program, &options.prefix)?;
    let streams = KafkaStreams::new(topology, config)?.start().await?;
    Ok(streams.run_until_signal().await?)
}

/// Ends the process when its standard input is closed: no process outlives a verifier that was killed.
pub(super) fn end_with_the_starter() {
    std::thread::spawn(|| {
        let mut nothing = [0; 64];
        while std::io::stdin().read(&mut nothing).is_ok_and(|read| read > 0) {}
        std::process::exit(ORPHANED);
    });
}
