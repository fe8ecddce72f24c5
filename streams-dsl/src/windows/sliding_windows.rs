//! Sliding windows.

use std::time::Duration;

use super::{SetGrace, WithoutGrace};

/// Sliding windows (KIP-450): one for each set of records that lie within the time difference of one another. Both
/// ends of a window belong to it: one ends at each record, another begins just behind it where something follows.
///
/// A window is made from the one before it, which the store may have hidden by then, for its clock is that of all keys: the
/// default retention, Kafka's, is twice the time difference and the grace period. Where each of many keys' windows must be
/// whole, keep them for three time differences and the grace period:
/// [`Materialized::retention`](crate::Materialized::retention).
///
/// ```
/// use streams_dsl::prelude::*;
/// use streams_test_driver::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new();
/// let fares = builder.stream::<String, i64>("fares");
/// let windows = SlidingWindows::of_time_difference(Duration::from_secs(10)).grace(Duration::from_secs(30));
/// let counts = fares.group_by_key().windowed_by(windows).count();
/// counts.to_stream().map(|zone, count| (zone.window.start.as_millis(), count)).to("counts");
/// let topology = builder.build()?;
///
/// let mut driver = TopologyTestDriver::new(topology)?;
/// let fares = driver.input_topic::<String, i64>("fares");
/// fares.pipe_at(&mut driver, "north".to_owned(), 7, 20_000)?;
/// fares.pipe_at(&mut driver, "north".to_owned(), 5, 24_000)?;
/// let out = driver.output_topic::<i64, i64>("counts");
/// // Those that end at the records, and the one behind the first, which holds the second alone.
/// assert_eq!(out.read_key_values(&mut driver)?, [(10_000, 1), (20_001, 1), (14_000, 2)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlidingWindows {
    difference: Duration,
    grace: Duration,
}

impl SlidingWindows {
    /// Windows of records that are at most so far apart.
    pub fn of_time_difference(difference: Duration) -> WithoutGrace<SlidingWindows> {
        WithoutGrace(SlidingWindows { difference, grace: Duration::ZERO })
    }

    /// How far apart records of one window may be.
    pub fn time_difference(&self) -> Duration {
        self.difference
    }

    /// How late a record may be, in event time behind its window's end.
    pub fn grace(&self) -> Duration {
        self.grace
    }
}

impl SetGrace for SlidingWindows {
    fn set_grace(self, grace: Duration) -> Self {
        SlidingWindows { grace, ..self }
    }
}
