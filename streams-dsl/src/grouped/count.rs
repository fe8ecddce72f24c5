//! `count`.

use streams_core::record::Data;
use streams_core::serdes::BigEndian;

use super::KGroupedStream;
use super::aggregation::Fold;
use crate::ktable::KTable;
use crate::options::{Materialized, SerdeChoice};

const NAME: &str = "KSTREAM-AGGREGATE-";

impl<K: Data, V: Data> KGroupedStream<K, V> {
    /// The table of the number of records of each key; records without key or value are dropped.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// fares.group_by_key().count().to_stream().to("counts");
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
    pub fn count(&self) -> KTable<K, i64> {
        let mut materialized = Materialized::with(self.key_serde.clone(), BigEndian);
        materialized.key_serde = SerdeChoice::Default(self.key_serde.clone());
        self.fold(NAME, materialized, OneMore)
    }

    /// As [`count`](KGroupedStream::count), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// fares.group_by_key().count_with(Materialized::named("rides-by-zone")).to_stream().to("counts");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let fares = driver.input_topic::<String, i64>("fares");
    /// fares.pipe_at(&mut driver, "north".to_owned(), 7, 1_000)?;
    /// fares.pipe_at(&mut driver, "north".to_owned(), 5, 2_000)?;
    /// type Counts = TimestampedKeyValueStore<String, i64>;
    /// let north = driver.store("rides-by-zone", |counts: &mut Counts| counts.get(&"north".to_owned()))??;
    /// assert_eq!(north.map(|row| row.value), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn count_with(&self, materialized: Materialized<K, i64>) -> KTable<K, i64> {
        if materialized.name.is_none() {
            // Kafka Streams takes one number more here.
            self.place.plan.borrow_mut().generate_store(NAME);
        }
        self.fold(NAME, materialized, OneMore)
    }
}

/// Counts.
pub(super) struct OneMore;

impl<K, V> Fold<K, V, i64> for OneMore {
    fn add(&self, _key: &K, _value: V, count: Option<i64>) -> i64 {
        count.unwrap_or(0) + 1
    }

    fn initial(&self) -> Option<i64> {
        Some(0)
    }
}
