//! `peek`.

use std::sync::Arc;

use streams_core::record::Data;

use super::{KStream, step};

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Shows each record to `look` and passes it on as it is. With at-least-once, `look` sees a record again after a
    /// crash.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("words").peek(|key, word| println!("{key}: {word}")).to("same");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let same = driver.output_topic::<String, String>("same");
    /// assert_eq!(same.read_values(&mut driver)?, ["red", "green"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek(&self, look: impl Fn(&K, &V) + Send + Sync + 'static) -> KStream<K, V>
    where
        K: Data,
        V: Data,
    {
        let look = Arc::new(look);
        self.same(self.place.then("KSTREAM-PEEK-", move |lowering| {
            let look = Arc::clone(&look);
            lowering.processor(step::<K, V, K, V>(move |slot, context| {
                if let Some(record) = slot {
                    look(&record.key, &record.value);
                }
                context.forward_slot(slot)
            }));
        }))
    }
}
