//! The time as the coordinators are told it.

use std::time::Duration;

/// One reading of both clocks, taken by the caller: the coordinators have none of their own, so a test or a
/// simulation decides what time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Monotonic time since the server's start: sessions and time-outs run on it, untouched by clock changes.
    pub(crate) ticks: Duration,
    /// Wall clock in milliseconds since 1970: what goes into records that outlive the process.
    pub(crate) wall_ms: i64,
}

impl Moment {
    /// The instant `wait` from now on the monotonic clock.
    pub(crate) fn after(self, wait: Duration) -> Duration {
        self.ticks.saturating_add(wait)
    }
}
