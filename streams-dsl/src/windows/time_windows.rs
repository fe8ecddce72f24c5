//! Tumbling and hopping windows.

use std::time::Duration;

use state_stores::Window;
use streams_core::time::{Timestamp, duration_millis};

use super::{SetGrace, Windows, WithoutGrace};

/// Windows of one size that begin at multiples of the advance: tumbling where both are equal, which is the default,
/// hopping where the advance is smaller.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let minute = Duration::from_secs(60);
/// let tumbling = TimeWindows::of_size(minute).no_grace();
/// let hopping = TimeWindows::of_size(minute).advance_by(minute / 4).grace(minute);
/// let mut starts = Vec::new();
/// hopping.windows_for(Timestamp::from_millis(70_000), &mut |window| starts.push(window.start.as_millis()));
/// assert_eq!(starts, [15_000, 30_000, 45_000, 60_000]);
/// assert_eq!(tumbling.size(), minute);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeWindows {
    size: Duration,
    advance: Duration,
    grace: Duration,
}

impl TimeWindows {
    /// Windows of this size, of at least a millisecond, that begin where the last one ended.
    pub fn of_size(size: Duration) -> WithoutGrace<TimeWindows> {
        let size = size.max(Duration::from_millis(1));
        WithoutGrace(TimeWindows { size, advance: size, grace: Duration::ZERO })
    }

    /// Windows that begin this far apart: at least a millisecond, at most their size.
    pub fn advance_by(self, advance: Duration) -> Self {
        TimeWindows { advance: advance.clamp(Duration::from_millis(1), self.size), ..self }
    }
}

impl WithoutGrace<TimeWindows> {
    /// Windows that begin this far apart: at least a millisecond, at most their size.
    pub fn advance_by(self, advance: Duration) -> Self {
        WithoutGrace(self.0.advance_by(advance))
    }
}

impl SetGrace for TimeWindows {
    fn set_grace(self, grace: Duration) -> Self {
        TimeWindows { grace, ..self }
    }
}

impl Windows for TimeWindows {
    fn windows_for(&self, timestamp: Timestamp, visit: &mut dyn FnMut(Window)) {
        let (size, advance) = (duration_millis(self.size), duration_millis(self.advance));
        let time = timestamp.as_millis();
        // The first window that has not ended yet; none begins before time 0.
        let mut start = (time - size + advance).max(0) / advance * advance;
        while start <= time {
            visit(Window::new(start, start.saturating_add(size)));
            start += advance;
        }
    }

    fn size(&self) -> Duration {
        self.size
    }

    fn grace(&self) -> Duration {
        self.grace
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_is_in_exactly_the_windows_that_contain_it(
            size in 1u64..500, advance in 1u64..500, time in 0i64..5_000,
        ) {
            let windows = TimeWindows::of_size(Duration::from_millis(size))
                .advance_by(Duration::from_millis(advance))
                .no_grace();
            let step = duration_millis(windows.advance);
            let mut found = Vec::new();
            windows.windows_for(Timestamp::from_millis(time), &mut |window| found.push(window));
            let all = (0..).map(|n| n * step).take_while(|start| *start <= time);
            let expected: Vec<_> = all
                .map(|start| Window::new(start, start + size as i64))
                .filter(|window| time < window.end.as_millis())
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
