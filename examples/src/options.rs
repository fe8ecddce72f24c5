//! The options that every example takes.

use std::path::PathBuf;

use clap::Args;

/// Where an example runs, and as which application.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Address of a Kafka broker, host:port; without it the program starts a log server of its own.
    #[arg(long, env = "BOOTSTRAP_SERVERS")]
    pub bootstrap: Option<String>,
    /// Instances with the same application id share the work; by default each run is an application of its own.
    #[arg(long, env = "APPLICATION_ID")]
    pub application_id: Option<String>,
    /// Where the state is kept; a temporary directory by default.
    #[arg(long)]
    pub state_dir: Option<PathBuf>,
    /// Partitions of the topics that the program creates.
    #[arg(long, default_value_t = 4)]
    pub partitions: i32,
    /// Any setting by its Kafka Streams key, as key=value; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub sets: Vec<(String, String)>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
