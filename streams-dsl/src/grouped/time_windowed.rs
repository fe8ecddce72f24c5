//! Aggregations over windows of fixed spans, and over sliding ones.

use state_stores::Windowed;
use streams_core::record::Data;
use streams_core::serdes::{BigEndian, DefaultSerde};

use super::KGroupedStream;
use super::aggregate::addition;
use super::aggregation::Fold;
use super::count::OneMore;
use super::reduce::reduction;
use super::window_store::{Spans, WindowedTable};
use crate::ktable::KTable;
use crate::options::{Materialized, SerdeChoice};
use crate::windows::EmitStrategy;

const AGGREGATE: &str = "KSTREAM-AGGREGATE-";
const REDUCE: &str = "KSTREAM-REDUCE-";

/// A grouped stream cut into windows, to be counted, reduced or aggregated in each.
///
/// A record updates every window that contains its event time and is not closed: a window is closed when the largest
/// event time seen has reached its end plus the grace period; a sliding window, whose end belongs to it, when it has
/// passed that. Records without a key are dropped; those without a value are not, as in Kafka Streams, but for sliding
/// windows.
#[derive(Debug)]
#[must_use = "windows do nothing until they are aggregated"]
pub struct TimeWindowedKStream<K, V> {
    pub(super) grouped: KGroupedStream<K, V>,
    pub(super) spans: Spans,
    pub(super) emit: EmitStrategy,
}

impl<K: Data, V: Data> TimeWindowedKStream<K, V> {
    /// The same windows, whose results leave by this strategy: see [`EmitStrategy`].
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
    /// for time in [1_000, 2_000, 12_000] {
    ///     fares.pipe_at(&mut driver, "north".to_owned(), 7, time)?;
    /// }
    /// let out = driver.output_topic::<String, i64>("counts");
    /// assert_eq!(out.read_values(&mut driver)?, [2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn emit_strategy(self, emit: EmitStrategy) -> Self {
        TimeWindowedKStream { emit, ..self }
    }

    /// The table of the number of records of each key and window.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// let windows = TimeWindows::of_size(Duration::from_secs(10)).no_grace();
    /// fares.group_by_key().windowed_by(windows).count().to_stream().to("counts");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let fares = driver.input_topic::<String, i64>("fares");
    /// fares.pipe_at(&mut driver, "north".to_owned(), 7, 1_000)?;
    /// fares.pipe_at(&mut driver, "north".to_owned(), 5, 2_000)?;
    /// let out = driver.output_topic_with::<Windowed<String>, i64>("counts", TimeWindowed::of_size(Utf8, Duration::from_secs(10)), BigEndian);
    /// assert_eq!(out.read_values(&mut driver)?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn count(&self) -> KTable<Windowed<K>, i64> {
        let mut materialized = Materialized::with(self.grouped.key_serde.clone(), BigEndian);
        materialized.key_serde = SerdeChoice::Default(self.grouped.key_serde.clone());
        self.fold(AGGREGATE, materialized, OneMore)
    }

    /// As [`count`](TimeWindowedKStream::count), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// let windows = TimeWindows::of_size(Duration::from_secs(10)).no_grace();
    /// let counts = fares.group_by_key().windowed_by(windows).count_with(Materialized::named("rides"));
    /// counts.to_stream().map(|zone, count| (zone.key, count)).to("counts");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let fares = driver.input_topic::<String, i64>("fares");
    /// fares.pipe_at(&mut driver, "north".to_owned(), 7, 1_000)?;
    /// fares.pipe_at(&mut driver, "north".to_owned(), 5, 2_000)?;
    /// let out = driver.output_topic::<String, i64>("counts");
    /// assert_eq!(out.read_values(&mut driver)?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn count_with(&self, materialized: Materialized<K, i64>) -> KTable<Windowed<K>, i64> {
        if materialized.name.is_none() && matches!(self.spans, Spans::Fixed(_)) {
            // Kafka Streams takes one number more here.
            self.grouped.place.plan.borrow_mut().generate_store(AGGREGATE);
        }
        self.fold(AGGREGATE, materialized, OneMore)
    }

    /// The table of each key's and window's values made one, two by two.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// let windows = TimeWindows::of_size(Duration::from_secs(10)).no_grace();
    /// fares.group_by_key().windowed_by(windows).reduce(i64::max).to_stream().to("largest");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let fares = driver.input_topic::<String, i64>("fares");
    /// fares.pipe_at(&mut driver, "north".to_owned(), 7, 1_000)?;
    /// fares.pipe_at(&mut driver, "north".to_owned(), 5, 2_000)?;
    /// let out = driver.output_topic_with::<Windowed<String>, i64>("largest", TimeWindowed::of_size(Utf8, Duration::from_secs(10)), BigEndian);
    /// assert_eq!(out.read_values(&mut driver)?, [7, 7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reduce(&self, reducer: impl Fn(V, V) -> V + Send + Sync + 'static) -> KTable<Windowed<K>, V>
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        self.reduce_with(reducer, Materialized::new())
    }

    /// As [`reduce`](TimeWindowedKStream::reduce), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// let windows = TimeWindows::of_size(Duration::from_secs(10)).no_grace();
    /// let sums = fares
    ///     .group_by_key()
    ///     .windowed_by(windows)
    ///     .reduce_with(|sum, fare| sum + fare, Materialized::named("sums").retention(Duration::from_secs(3600)));
    /// sums.to_stream().to("sums-out");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let fares = driver.input_topic::<String, i64>("fares");
    /// fares.pipe_at(&mut driver, "north".to_owned(), 7, 1_000)?;
    /// fares.pipe_at(&mut driver, "north".to_owned(), 5, 2_000)?;
    /// let out = driver.output_topic_with::<Windowed<String>, i64>("sums-out", TimeWindowed::of_size(Utf8, Duration::from_secs(10)), BigEndian);
    /// assert_eq!(out.read_values(&mut driver)?, [7, 12]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reduce_with(
        &self,
        reducer: impl Fn(V, V) -> V + Send + Sync + 'static,
        mut materialized: Materialized<K, V>,
    ) -> KTable<Windowed<K>, V> {
        materialized.inherit_value_serde(&self.grouped.value_serde);
        self.fold(REDUCE, materialized, reduction(reducer))
    }

    /// The table of an aggregate of each key and window: `init` makes the first one, `add` takes a record into it.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// let windows = TimeWindows::of_size(Duration::from_secs(10)).no_grace();
    /// let lists = fares
    ///     .group_by_key()
    ///     .windowed_by(windows)
    ///     .aggregate(String::new, |_, fare, list| format!("{list}{fare} "));
    /// lists.to_stream().to("lists");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let fares = driver.input_topic::<String, i64>("fares");
    /// fares.pipe_at(&mut driver, "north".to_owned(), 7, 1_000)?;
    /// fares.pipe_at(&mut driver, "north".to_owned(), 5, 2_000)?;
    /// let out = driver.output_topic_with::<Windowed<String>, String>("lists", TimeWindowed::of_size(Utf8, Duration::from_secs(10)), Utf8);
    /// assert_eq!(out.read_values(&mut driver)?, ["7 ", "7 5 "]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aggregate<A: Data + DefaultSerde>(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A>
    where
        K: DefaultSerde,
    {
        self.aggregate_with(init, add, Materialized::new())
    }

    /// As [`aggregate`](TimeWindowedKStream::aggregate), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// let windows = TimeWindows::of_size(Duration::from_secs(10)).no_grace();
    /// let sums = fares.group_by_key().windowed_by(windows).aggregate_with(
    ///     || 0i64,
    ///     |_, fare, sum| sum + fare,
    ///     Materialized::named("sums").in_memory(),
    /// );
    /// sums.to_stream().to("sums-out");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let fares = driver.input_topic::<String, i64>("fares");
    /// fares.pipe_at(&mut driver, "north".to_owned(), 7, 1_000)?;
    /// fares.pipe_at(&mut driver, "north".to_owned(), 5, 2_000)?;
    /// let out = driver.output_topic_with::<Windowed<String>, i64>("sums-out", TimeWindowed::of_size(Utf8, Duration::from_secs(10)), BigEndian);
    /// assert_eq!(out.read_values(&mut driver)?, [7, 12]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aggregate_with<A: Data>(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        materialized: Materialized<K, A>,
    ) -> KTable<Windowed<K>, A> {
        self.fold(AGGREGATE, materialized, addition(init, add))
    }

    fn fold<A: Data>(
        &self,
        prefix: &'static str,
        materialized: Materialized<K, A>,
        fold: impl Fold<K, V, A>,
    ) -> KTable<Windowed<K>, A> {
        let store_name = self.grouped.place.store_name(materialized.name.as_deref(), prefix);
        let (spans, keys) = (self.spans.clone(), Some(&self.grouped.key_serde));
        let table = WindowedTable::new(&store_name, spans, self.emit, materialized, keys);
        self.grouped.aggregate_into(prefix, table, fold)
    }
}
