//! `filter` and `filter_not` of tables.

use std::sync::Arc;

use streams_core::record::Data;

use super::KTable;
use super::derived::Derive;

impl<K: Data, V: Data> KTable<K, V> {
    /// The table of the rows for which `keep` is true. A row that no longer passes is deleted from it.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let ratings = builder.table::<String, i64>("ratings");
    /// ratings.filter(|_, rating| *rating > 3).to_stream().to("good");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let ratings = driver.input_topic::<String, i64>("ratings");
    /// ratings.pipe(&mut driver, "ada".to_owned(), 5)?;
    /// ratings.pipe(&mut driver, "bob".to_owned(), 2)?;
    /// ratings.pipe(&mut driver, "ada".to_owned(), 1)?;
    /// let good = driver.output_topic::<String, Option<i64>>("good");
    /// let ada = "ada".to_owned();
    /// let expected = [(ada.clone(), Some(5)), ("bob".to_owned(), None), (ada, None)];
    /// assert_eq!(good.read_key_values(&mut driver)?, expected);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter(&self, keep: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> KTable<K, V> {
        self.derive(Derive {
            prefix: "KTABLE-FILTER-",
            row: Arc::new(move |key, value| keep(key, &value).then_some(value)),
            skip_nothing: true,
        })
    }

    /// The table of the rows for which `drop` is false.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let ratings = builder.table::<String, i64>("ratings");
    /// ratings.filter_not(|_, rating| *rating > 3).to_stream().to("bad");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let ratings = driver.input_topic::<String, i64>("ratings");
    /// ratings.pipe(&mut driver, "ada".to_owned(), 5)?;
    /// ratings.pipe(&mut driver, "bob".to_owned(), 2)?;
    /// let bad = driver.output_topic::<String, Option<i64>>("bad");
    /// assert_eq!(bad.read_values(&mut driver)?, [None, Some(2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter_not(&self, drop: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> KTable<K, V> {
        self.filter(move |key, value| !drop(key, value))
    }
}
