//! `filter` and `filter_not`.

use std::sync::Arc;

use streams_core::record::Data;

use super::{KStream, step};

const NAME: &str = "KSTREAM-FILTER-";

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Keeps the records for which `keep` is true.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("words").filter(|_, word| word.len() == 3).to("short");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let short = driver.output_topic::<String, String>("short");
    /// assert_eq!(short.read_values(&mut driver)?, ["red"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter(&self, keep: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> KStream<K, V>
    where
        K: Data,
        V: Data,
    {
        let keep = Arc::new(keep);
        self.same(self.place.then(NAME, move |lowering| {
            let keep = Arc::clone(&keep);
            lowering.processor(step::<K, V, K, V>(move |slot, context| match slot {
                Some(record) if keep(&record.key, &record.value) => context.forward_slot(slot),
                _ => Ok(()),
            }));
        }))
    }

    /// Keeps the records for which `drop` is false.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("words").filter_not(|_, word| word.len() == 3).to("long");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let long = driver.output_topic::<String, String>("long");
    /// assert_eq!(long.read_values(&mut driver)?, ["green"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter_not(&self, drop: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> KStream<K, V>
    where
        K: Data,
        V: Data,
    {
        self.filter(move |key, value| !drop(key, value))
    }
}
