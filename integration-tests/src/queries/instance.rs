//! A process of the application that is asked.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use streams_dsl::http::{HttpOptions, StartWithHttp};
use streams_dsl::{KafkaStreams, StreamsConfig};

use crate::verifier::end_with_the_starter;
use crate::word_count::word_count;

/// What an instance is told.
#[derive(Debug, Clone, Args)]
pub struct QueriedOptions {
    /// The broker, host:port.
    #[arg(long)]
    pub bootstrap: String,
    /// `application.id`; its topics begin with it as well.
    #[arg(long)]
    pub application_id: String,
    /// `state.dir`.
    #[arg(long)]
    pub state_dir: PathBuf,
}

/// Runs a word count from the topic `APPLICATION-lines` with its HTTP service, whose address it prints, until a signal asks it to
/// end, or its starter is gone.
///
/// # Errors
/// Why it ended, where nobody asked for it.
pub async fn run_queried(options: QueriedOptions) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    end_with_the_starter();
    let id = &options.application_id;
    let config = StreamsConfig::new(id, &options.bootstrap)
        .state_dir(&options.state_dir)
        .commit_interval(Duration::from_millis(200))
        .session_timeout(Duration::from_secs(6));
    let topology = word_count(&format!("{id}-lines"), &format!("{id}-counts"));
    let streams = KafkaStreams::new(topology, config)?.start_with_http(HttpOptions::default()).await?;
    println!("{}", streams.address());
    Ok(streams.run_until_signal().await?)
}
