//! `reduce`.

use streams_core::record::Data;
use streams_core::serdes::DefaultSerde;

use super::KGroupedStream;
use crate::ktable::KTable;
use crate::options::Materialized;

const NAME: &str = "KSTREAM-REDUCE-";

impl<K: Data, V: Data> KGroupedStream<K, V> {
    /// The table of each key's values made one, two by two: the first value is the beginning. A result that stands for
    /// null deletes the row. Records without key or value are dropped.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// fares.group_by_key().reduce(|sum, fare| sum + fare).to_stream().to("sums");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let fares = driver.input_topic::<String, i64>("fares");
    /// fares.pipe_at(&mut driver, "north".to_owned(), 7, 1_000)?;
    /// fares.pipe_at(&mut driver, "north".to_owned(), 5, 2_000)?;
    /// let out = driver.output_topic::<String, i64>("sums");
    /// assert_eq!(out.read_values(&mut driver)?, [7, 12]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reduce(&self, reducer: impl Fn(V, V) -> V + Send + Sync + 'static) -> KTable<K, V>
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        self.reduce_with(reducer, Materialized::new())
    }

    /// As [`reduce`](KGroupedStream::reduce), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// let largest = fares.group_by_key().reduce_with(i64::max, Materialized::named("largest-fares"));
    /// largest.to_stream().to("largest");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let fares = driver.input_topic::<String, i64>("fares");
    /// fares.pipe_at(&mut driver, "north".to_owned(), 7, 1_000)?;
    /// fares.pipe_at(&mut driver, "north".to_owned(), 5, 2_000)?;
    /// let out = driver.output_topic::<String, i64>("largest");
    /// assert_eq!(out.read_values(&mut driver)?, [7, 7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reduce_with(
        &self,
        reducer: impl Fn(V, V) -> V + Send + Sync + 'static,
        mut materialized: Materialized<K, V>,
    ) -> KTable<K, V> {
        materialized.inherit_value_serde(&self.value_serde);
        self.fold(NAME, materialized, reduction(reducer))
    }
}

pub(super) fn reduction<K, V>(
    reducer: impl Fn(V, V) -> V + Send + Sync + 'static,
) -> impl Fn(&K, V, Option<V>) -> V + Send + Sync + 'static {
    move |_, value, so_far| match so_far {
        Some(so_far) => reducer(so_far, value),
        None => value,
    }
}
