//! Tumbling and hopping windows.

use std::time::Duration;

use state_stores::Window;
use streams_core::time::{Timestamp, duration_millis};

use super::{SHORTEST, SetGrace, Windows, WithoutGrace};

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
        WithoutGrace(TimeWindows { size, advance: size, grace: Duration::ZERO })
    }

    /// Windows that begin this far apart: at least a millisecond, at most their size.
    pub fn advance_by(self, advance: Duration) -> Self {
        TimeWindows { advance, ..self }
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
        let (size, advance) = (duration_millis(self.size), duration_millis(self.advance).max(1));
        let time = timestamp.as_millis();
        // The first window that has not ended yet; none begins before time 0.
        let first = time.saturating_sub(size).saturating_add(advance).max(0) / advance * advance;
        let mut next = Some(first);
        while let Some(start) = next.filter(|start| *start <= time) {
            visit(Window::new(start, start.saturating_add(size)));
            next = start.checked_add(advance);
        }
    }

    fn size(&self) -> Duration {
        self.size
    }

    fn grace(&self) -> Duration {
        self.grace
    }

    fn validate(&self) -> Result<(), String> {
        let TimeWindows { size, advance, .. } = self;
        if *size < SHORTEST {
            return Err(format!("windows of {size:?} are too short: their size is at least 1 ms"));
        }
        if *advance < SHORTEST || advance > size {
            return Err(format!(
                "windows of {size:?} cannot begin {advance:?} apart: the advance is at least 1 ms and at most the size"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The windows of a time, by the definition.
    fn windows_by_definition(size: i64, advance: i64, time: i64) -> Vec<Window> {
        let all = (0..).map(|n| n * advance).take_while(|start| *start <= time);
        all.map(|start| Window::new(start, start + size))
            .filter(|window| time < window.end.as_millis())
            .collect()
    }

    proptest! {
        #[test]
        fn a_record_is_in_exactly_the_windows_that_contain_it(
            size in 1i64..500, advance in 1i64..500, time in 0i64..5_000,
        ) {
            let advance = advance.min(size);
            let millis = |millis: i64| Duration::from_millis(millis as u64);
            let windows = TimeWindows::of_size(millis(size)).advance_by(millis(advance)).no_grace();
            prop_assert!(windows.validate().is_ok());
            let mut found = Vec::new();
            windows.windows_for(Timestamp::from_millis(time), &mut |window| found.push(window));
            prop_assert_eq!(found, windows_by_definition(size, advance, time));
        }

        #[test]
        fn no_size_and_no_time_hangs_or_panics(size in any::<u64>(), time in any::<i64>()) {
            let windows = TimeWindows::of_size(Duration::from_millis(size)).no_grace();
            let mut count = 0;
            windows.windows_for(Timestamp::from_millis(time), &mut |_| count += 1);
            prop_assert!(count <= 1);
        }
    }

    #[test]
    fn sizes_and_advances_that_make_no_windows_are_told() {
        let second = Duration::from_secs(1);
        let fault = |windows: TimeWindows| windows.validate().unwrap_err();
        assert!(fault(TimeWindows::of_size(Duration::ZERO).no_grace()).contains("at least 1 ms"));
        let zero = TimeWindows::of_size(second).advance_by(Duration::ZERO).no_grace();
        assert!(fault(zero).contains("at most the size"));
        let too_far = TimeWindows::of_size(second).advance_by(second * 2).no_grace();
        assert!(fault(too_far).contains("at most the size"));
    }
}
