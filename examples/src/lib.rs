//! What the example programs share: their command line, a broker to run on, topics to fill and to read, a panel in the
//! terminal. The programs themselves are in `src/bin`, each with its topology in one function.

mod board;
mod feed;
pub mod flights;
mod options;
mod playground;
mod topic;

pub use board::Board;
pub use feed::Feed;
pub use options::Options;
pub use playground::Playground;
pub use topic::{LastValues, Tail};

/// Any error: an example reports it and ends.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Runs an example; where it fails says why and ends the process with the exit code 1, whatever its threads are still busy with.
pub fn run(example: impl Future<Output = Result<()>>) {
    show_warnings();
    let outcome = tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| {
        let outcome = runtime.block_on(example);
        runtime.shutdown_background();
        outcome
    });
    if let Err(error) = outcome {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

/// Shows warnings and errors on standard error; `RUST_LOG` asks for more or less. librdkafka's own lines are left out: what matters
/// in them the runtime reports itself.
fn show_warnings() {
    let default = || tracing_subscriber::EnvFilter::new("warn,librdkafka=off,rdkafka=off");
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| default());
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();
}
