//! When the results of windows leave.

/// When results of windows are sent on (KIP-825): with each record, or once, when the window is closed.
///
/// ```
/// use streams_dsl::prelude::*;
/// use streams_test_driver::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new();
/// let fares = builder.stream::<String, i64>("fares");
/// let windows = TimeWindows::of_size(Duration::from_secs(10)).no_grace();
/// let counts = fares.group_by_key().windowed_by(windows).emit_strategy(EmitStrategy::OnWindowClose).count();
/// counts.to_stream().map(|zone, count| (zone.key, count)).to("counts");
/// let topology = builder.build()?;
///
/// let mut driver = TopologyTestDriver::new(topology)?;
/// let fares = driver.input_topic::<String, i64>("fares");
/// for (fare, time) in [(7, 1_000), (5, 2_000), (6, 12_000)] {
///     fares.pipe_at(&mut driver, "north".to_owned(), fare, time)?;
/// }
/// // The third record closes the first window.
/// let out = driver.output_topic::<String, i64>("counts");
/// assert_eq!(out.read_values(&mut driver)?, [2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EmitStrategy {
    /// Each record sends on what it changed; with caching, the latest change by the next commit.
    #[default]
    OnWindowUpdate,
    /// A window's result leaves once: when event time has passed its end and the grace period. It leaves while the
    /// operator handles a record, at most once a second by the wall clock. Such tables are not cached.
    OnWindowClose,
}
