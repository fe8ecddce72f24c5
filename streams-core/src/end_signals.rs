//! The signals by which a process is asked to end.

use crate::error::Error;

/// What shells add to a signal's number for the exit code.
const SIGNAL_EXIT_BASE: i32 = 128;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Hears ctrl-c, and on Unix SIGTERM. While one of these is alive, the signals do not end the process by themselves.
#[derive(Debug)]
pub(crate) struct EndSignals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl EndSignals {
    /// Begins to listen.
    #[cfg(unix)]
    pub(crate) fn listen() -> Result<Self, Error> {
        use tokio::signal::unix::{SignalKind, signal};
        let fault = |fault: std::io::Error| Error::Runtime { reason: fault.to_string() };
        Ok(EndSignals {
            interrupt: signal(SignalKind::interrupt()).map_err(fault)?,
            terminate: signal(SignalKind::terminate()).map_err(fault)?,
        })
    }

    /// Begins to listen.
    #[cfg(not(unix))]
    pub(crate) fn listen() -> Result<Self, Error> {
        Ok(EndSignals {})
    }

    /// Waits for the next signal; answers the exit code of a process that it kills.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SIGNAL_EXIT_BASE + SIGINT,
            _ = self.terminate.recv() => SIGNAL_EXIT_BASE + SIGTERM,
        }
    }

    /// Waits for the next signal; answers the exit code of a process that it kills.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> i32 {
        // Without a console there is nothing to hear.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        SIGNAL_EXIT_BASE + SIGINT
    }
}
