//! `aggregate`.

use streams_core::record::Data;
use streams_core::serdes::DefaultSerde;

use super::KGroupedStream;
use super::aggregation::Fold;
use crate::ktable::KTable;
use crate::options::Materialized;

const NAME: &str = "KSTREAM-AGGREGATE-";

impl<K: Data, V: Data> KGroupedStream<K, V> {
    /// The table of an aggregate of each key: `init` makes the first one, `add` takes a record into it. An aggregate
    /// that stands for null deletes the row. Records without key or value are dropped.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// let lists = fares.group_by_key().aggregate(String::new, |_, fare, list| format!("{list}{fare} "));
    /// lists.to_stream().to("lists");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let fares = driver.input_topic::<String, i64>("fares");
    /// fares.pipe_at(&mut driver, "north".to_owned(), 7, 1_000)?;
    /// fares.pipe_at(&mut driver, "north".to_owned(), 5, 2_000)?;
    /// let out = driver.output_topic::<String, String>("lists");
    /// assert_eq!(out.read_values(&mut driver)?, ["7 ", "7 5 "]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aggregate<A: Data + DefaultSerde>(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<K, A>
    where
        K: DefaultSerde,
    {
        self.aggregate_with(init, add, Materialized::new())
    }

    /// As [`aggregate`](KGroupedStream::aggregate), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// let sums = fares.group_by_key().aggregate_with(
    ///     || 0i64,
    ///     |_, fare, sum| sum + fare,
    ///     Materialized::with(Utf8, Json).name("sums"),
    /// );
    /// sums.to_stream().to_with("sums-out", Produced::with(Utf8, Nullable(BigEndian)));
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let fares = driver.input_topic::<String, i64>("fares");
    /// fares.pipe_at(&mut driver, "north".to_owned(), 7, 1_000)?;
    /// fares.pipe_at(&mut driver, "north".to_owned(), 5, 2_000)?;
    /// let out = driver.output_topic::<String, i64>("sums-out");
    /// assert_eq!(out.read_values(&mut driver)?, [7, 12]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aggregate_with<A: Data>(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        materialized: Materialized<K, A>,
    ) -> KTable<K, A> {
        self.fold(NAME, materialized, addition(init, add))
    }
}

pub(super) fn addition<K, V, A>(
    init: impl Fn() -> A + Send + Sync + 'static,
    add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
) -> impl Fold<K, V, A> {
    Addition { init, add }
}

struct Addition<I, F> {
    init: I,
    add: F,
}

impl<K, V, A, I, F> Fold<K, V, A> for Addition<I, F>
where
    I: Fn() -> A + Send + Sync + 'static,
    F: Fn(&K, V, A) -> A + Send + Sync + 'static,
{
    fn add(&self, key: &K, value: V, so_far: Option<A>) -> A {
        (self.add)(key, value, so_far.unwrap_or_else(&self.init))
    }

    fn initial(&self) -> Option<A> {
        Some((self.init)())
    }
}
