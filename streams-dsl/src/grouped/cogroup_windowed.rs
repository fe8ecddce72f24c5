//! Aggregations of several grouped streams over windows.

use std::sync::Arc;

use state_stores::Windowed;
use streams_core::record::Data;
use streams_core::serdes::DefaultSerde;

use super::CogroupedKStream;
use super::cogroup::{AGGREGATE, Init};
use super::session_store::SessionTable;
use super::session_windowed::merging;
use super::window_store::{Spans, WindowedTable};
use crate::ktable::KTable;
use crate::options::Materialized;
use crate::windows::{EmitStrategy, SessionWindows};

/// Several grouped streams cut into windows: see [`CogroupedKStream::windowed_by`]. Results leave with each record, as in
/// Kafka Streams.
#[derive(Debug)]
#[must_use = "windows do nothing until they are aggregated"]
pub struct TimeWindowedCogroupedKStream<K, A> {
    pub(super) cogrouped: CogroupedKStream<K, A>,
    pub(super) spans: Spans,
}

impl<K: Data, A: Data> TimeWindowedCogroupedKStream<K, A> {
    /// The table of an aggregate of each key and window: `init` makes the first one, each stream's own function takes
    /// its records into it.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares").group_by_key();
    /// let tips = builder.stream::<String, i64>("tips").group_by_key();
    /// let income = fares.cogroup(|_, fare, sum: i64| sum + fare).cogroup(&tips, |_, tip, sum| sum + tip);
    /// let minutes = TimeWindows::of_size(Duration::from_secs(60)).no_grace();
    /// let sums = income.windowed_by(minutes).aggregate(|| 0);
    /// sums.to_stream().map(|zone, sum| (zone.key, sum)).to("sums");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let (fares, tips) = (driver.input_topic::<String, i64>("fares"), driver.input_topic::<String, i64>("tips"));
    /// fares.pipe_at(&mut driver, "ada".to_owned(), 12, 1_000)?;
    /// tips.pipe_at(&mut driver, "ada".to_owned(), 2, 3_000)?;
    /// fares.pipe_at(&mut driver, "ada".to_owned(), 9, 61_000)?;
    /// let sums = driver.output_topic::<String, Option<i64>>("sums");
    /// assert_eq!(sums.read_values(&mut driver)?, [Some(12), Some(14), Some(9)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aggregate(&self, init: impl Fn() -> A + Send + Sync + 'static) -> KTable<Windowed<K>, A>
    where
        K: DefaultSerde,
        A: DefaultSerde,
    {
        self.aggregate_with(init, Materialized::new())
    }

    /// As [`aggregate`](TimeWindowedCogroupedKStream::aggregate), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares").group_by_key();
    /// let tips = builder.stream::<String, i64>("tips").group_by_key();
    /// let income = fares.cogroup(|_, fare, sum: i64| sum + fare).cogroup(&tips, |_, tip, sum| sum + tip);
    /// let windows = SlidingWindows::of_time_difference(Duration::from_secs(10)).no_grace();
    /// income.windowed_by(windows).aggregate_with(|| 0, Materialized::named("income")).to_stream().to("sums");
    /// assert!(builder.build()?.describe().contains("stores: [income]"));
    /// # Ok::<(), TopologyError>(())
    /// ```
    pub fn aggregate_with(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        materialized: Materialized<K, A>,
    ) -> KTable<Windowed<K>, A> {
        let first = self.cogrouped.first();
        let store_name = first.place().store_name(materialized.name.as_deref(), AGGREGATE);
        let (spans, emit, keys) = (self.spans.clone(), EmitStrategy::OnWindowUpdate, Some(first.key_serde()));
        let table = WindowedTable::new(&store_name, spans, emit, materialized, keys);
        let init: Init<A> = Arc::new(init);
        self.cogrouped.build(table, move |group, table| group.windowed(table, &init))
    }
}

/// Several grouped streams cut into sessions: see [`CogroupedKStream::windowed_by`]. Results leave with each record, as in
/// Kafka Streams.
#[derive(Debug)]
#[must_use = "sessions do nothing until they are aggregated"]
pub struct SessionWindowedCogroupedKStream<K, A> {
    pub(super) cogrouped: CogroupedKStream<K, A>,
    pub(super) windows: SessionWindows,
}

impl<K: Data, A: Data> SessionWindowedCogroupedKStream<K, A> {
    /// The table of an aggregate of each key and session: `init` makes the first one, each stream's own function takes
    /// its records into it, and `merge` makes one of two sessions'.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares").group_by_key();
    /// let tips = builder.stream::<String, i64>("tips").group_by_key();
    /// let income = fares.cogroup(|_, fare, sum: i64| sum + fare).cogroup(&tips, |_, tip, sum| sum + tip);
    /// let shifts = SessionWindows::of_inactivity_gap(Duration::from_secs(10)).no_grace();
    /// let sums = income.windowed_by(shifts).aggregate(|| 0, |_, one, other| one + other);
    /// sums.to_stream().map(|zone, sum| (zone.key, sum)).to("sums");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let (fares, tips) = (driver.input_topic::<String, i64>("fares"), driver.input_topic::<String, i64>("tips"));
    /// fares.pipe_at(&mut driver, "ada".to_owned(), 12, 1_000)?;
    /// tips.pipe_at(&mut driver, "ada".to_owned(), 2, 3_000)?;
    /// fares.pipe_at(&mut driver, "ada".to_owned(), 9, 61_000)?;
    /// let sums = driver.output_topic::<String, Option<i64>>("sums");
    /// // The tip extends the session of the first fare, which gives way to the longer one.
    /// assert_eq!(sums.read_values(&mut driver)?, [Some(12), None, Some(14), Some(9)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aggregate(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A>
    where
        K: DefaultSerde,
        A: DefaultSerde,
    {
        self.aggregate_with(init, merge, Materialized::new())
    }

    /// As [`aggregate`](SessionWindowedCogroupedKStream::aggregate), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares").group_by_key();
    /// let tips = builder.stream::<String, i64>("tips").group_by_key();
    /// let income = fares.cogroup(|_, fare, sum: i64| sum + fare).cogroup(&tips, |_, tip, sum| sum + tip);
    /// let shifts = SessionWindows::of_inactivity_gap(Duration::from_secs(3_600)).no_grace();
    /// let sums = income.windowed_by(shifts).aggregate_with(
    ///     || 0,
    ///     |_, one, other| one + other,
    ///     Materialized::named("income"),
    /// );
    /// sums.to_stream().to("sums");
    /// assert!(builder.build()?.describe().contains("stores: [income]"));
    /// # Ok::<(), TopologyError>(())
    /// ```
    pub fn aggregate_with(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
        materialized: Materialized<K, A>,
    ) -> KTable<Windowed<K>, A> {
        let first = self.cogrouped.first();
        let store_name = first.place().store_name(materialized.name.as_deref(), AGGREGATE);
        let init: Init<A> = Arc::new(init);
        let (merge, emit) = (merging(Arc::clone(&init), merge), EmitStrategy::OnWindowUpdate);
        let keys = Some(first.key_serde());
        let table = SessionTable::new(&store_name, self.windows, emit, merge, materialized, keys);
        self.cogrouped.build(table, move |group, table| group.sessions(table, &init))
    }
}
