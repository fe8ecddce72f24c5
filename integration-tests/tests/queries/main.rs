//! State is read from outside while tasks run, move and end: by the typed calls, and over HTTP.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

mod changes;
mod http;
mod rebalance;
mod stores;

const LIMIT: Duration = Duration::from_secs(30);

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
