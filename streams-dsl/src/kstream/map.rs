//! `map`.

use std::sync::Arc;

use streams_core::record::{Data, Record};

use super::{KStream, step};
use crate::plan::NodeTag;

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Makes each record another key and value. Grouping or joining behind it goes through a repartition topic, for the
    /// key may have changed: where it does not, take [`map_values`](KStream::map_values).
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("words").map(|key, word| (word, key)).to("keys");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let keys = driver.output_topic::<String, String>("keys");
    /// assert_eq!(keys.read_key_values(&mut driver)?[0], ("red".to_owned(), "a".to_owned()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map<K2: Data, V2: Data>(
        &self,
        map: impl Fn(K, V) -> (K2, V2) + Send + Sync + 'static,
    ) -> KStream<K2, V2>
    where
        K: Data,
        V: Data,
    {
        let map = Arc::new(map);
        self.with_keys(self.place.then_tagged("KSTREAM-MAP-", NodeTag::KeyChanging, move |lowering| {
            let map = Arc::clone(&map);
            lowering.processor(step::<K, V, K2, V2>(move |slot, context| match slot.take() {
                Some(Record { key, value, timestamp, headers }) => {
                    let (key, value) = map(key, value);
                    context.forward(Record { key, value, timestamp, headers })
                }
                None => Ok(()),
            }));
        }))
    }
}
