//! Signals that ask the server to stop.

/// The exit code after a second signal: that of a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Ends with the first signal.
pub(super) async fn first() {
    next().await;
}

/// Ends the process at once when another signal comes.
pub(super) async fn leave_at_the_next() {
    next().await;
    tracing::warn!("a second signal: leaving at once; the next start checks the logs");
    std::process::exit(INTERRUPTED);
}

#[cfg(unix)]
async fn next() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "cannot listen for SIGTERM, only for SIGINT");
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn next() {
    let _ = tokio::signal::ctrl_c().await;
}
