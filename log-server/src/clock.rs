//! Where logs and coordinators learn what time it is.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::moment::Moment;

/// Tells the time; a simulation brings its own.
pub(crate) trait Clock: Debug + Send + Sync {
    /// Monotonic time since the server's start.
    fn ticks(&self) -> Duration;

    /// Milliseconds since 1970, by a clock that may be set back.
    fn wall_ms(&self) -> i64;
}

impl dyn Clock {
    /// Both clocks.
    pub(crate) fn now(&self) -> Moment {
        Moment { ticks: self.ticks(), wall_ms: self.wall_ms() }
    }
}

/// The operating system's clocks.
#[derive(Debug)]
pub(crate) struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn ticks(&self) -> Duration {
        self.started.elapsed()
    }

    fn wall_ms(&self) -> i64 {
        now_ms()
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A clock that moves by a millisecond whenever it is read.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct SteppedClock(std::sync::atomic::AtomicI64);

#[cfg(test)]
impl Clock for SteppedClock {
    fn ticks(&self) -> Duration {
        Duration::from_millis(self.wall_ms() as u64)
    }

    fn wall_ms(&self) -> i64 {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }
}
