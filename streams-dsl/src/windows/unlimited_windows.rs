//! One window without an end.

use std::time::Duration;

use state_stores::Window;
use streams_core::time::Timestamp;

use super::Windows;

/// One window from a start to the end of time; records before the start belong to none. It never closes, so there is
/// no grace period.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let builder = StreamsBuilder::new();
/// let rides = builder.stream::<String, i64>("rides");
/// rides.group_by_key().windowed_by(UnlimitedWindows::starting_at(Timestamp::from_millis(5_000))).count();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnlimitedWindows {
    start: Timestamp,
}

impl UnlimitedWindows {
    /// The window from time 0 on.
    pub fn new() -> Self {
        UnlimitedWindows::default()
    }

    /// The window from this time on.
    pub fn starting_at(start: impl Into<Timestamp>) -> Self {
        UnlimitedWindows { start: start.into() }
    }
}

impl Windows for UnlimitedWindows {
    fn windows_for(&self, timestamp: Timestamp, visit: &mut dyn FnMut(Window)) {
        if timestamp >= self.start {
            visit(Window::new(self.start, Timestamp::MAX));
        }
    }

    fn size(&self) -> Duration {
        Duration::from_millis(i64::MAX as u64)
    }

    fn grace(&self) -> Duration {
        Duration::ZERO
    }

    fn closes(&self) -> bool {
        false
    }
}
