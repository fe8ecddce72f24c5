//! `map_values`, `map_values_with_key` and `filter_map_values` of tables.

use std::sync::Arc;

use streams_core::record::Data;

use super::KTable;
use super::derived::Derive;

const NAME: &str = "KTABLE-MAPVALUES-";

impl<K: Data, V: Data> KTable<K, V> {
    /// The table with another value in each row; deletions pass without a call.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let ratings = builder.table::<String, i64>("ratings");
    /// ratings.map_values(|rating| "*".repeat(rating as usize)).to_stream().to("stars");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let ratings = driver.input_topic::<String, i64>("ratings");
    /// ratings.pipe(&mut driver, "ada".to_owned(), 5)?;
    /// ratings.pipe(&mut driver, "bob".to_owned(), 2)?;
    /// let stars = driver.output_topic::<String, String>("stars");
    /// assert_eq!(stars.read_values(&mut driver)?, ["*****", "**"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_values<V2: Data>(&self, map: impl Fn(V) -> V2 + Send + Sync + 'static) -> KTable<K, V2> {
        self.filter_map_values(move |_, value| Some(map(value)))
    }

    /// The table with another value in each row, made with the key in sight.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let ratings = builder.table::<String, i64>("ratings");
    /// ratings.map_values_with_key(|name, rating| format!("{name}: {rating}")).to_stream().to("cards");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let ratings = driver.input_topic::<String, i64>("ratings");
    /// ratings.pipe(&mut driver, "ada".to_owned(), 5)?;
    /// ratings.pipe(&mut driver, "bob".to_owned(), 2)?;
    /// let cards = driver.output_topic::<String, String>("cards");
    /// assert_eq!(cards.read_values(&mut driver)?, ["ada: 5", "bob: 2"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_values_with_key<V2: Data>(
        &self,
        map: impl Fn(&K, V) -> V2 + Send + Sync + 'static,
    ) -> KTable<K, V2> {
        self.filter_map_values(move |key, value| Some(map(key, value)))
    }

    /// The table with another value in each row, or without the row where `map` answers none.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let ratings = builder.table::<String, i64>("ratings");
    /// ratings.filter_map_values(|_, rating| (rating > 3).then(|| rating * 20)).to_stream().to("percent");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let ratings = driver.input_topic::<String, i64>("ratings");
    /// ratings.pipe(&mut driver, "ada".to_owned(), 5)?;
    /// ratings.pipe(&mut driver, "bob".to_owned(), 2)?;
    /// let percent = driver.output_topic::<String, Option<i64>>("percent");
    /// assert_eq!(percent.read_values(&mut driver)?, [Some(100), None]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter_map_values<V2: Data>(
        &self,
        map: impl Fn(&K, V) -> Option<V2> + Send + Sync + 'static,
    ) -> KTable<K, V2> {
        self.derive(Derive { prefix: NAME, row: Arc::new(map), skip_nothing: false })
    }
}
