//! `select_key`.

use std::sync::Arc;

use streams_core::record::{Data, Record};

use super::{KStream, step};
use crate::plan::NodeTag;

const NAME: &str = "KSTREAM-KEY-SELECT-";

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Gives each record another key. Grouping or joining behind it goes through a repartition topic.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("words").select_key(|_, word| word.len() as i64).to("by-length");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let by_length = driver.output_topic::<i64, String>("by-length");
    /// assert_eq!(by_length.read_key_values(&mut driver)?, [(3i64, "red".to_owned()), (5, "green".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn select_key<K2: Data>(
        &self,
        select: impl Fn(&K, &V) -> K2 + Send + Sync + 'static,
    ) -> KStream<K2, V>
    where
        K: Data,
        V: Data,
    {
        let select = Arc::new(select);
        let place = self.place.then_tagged(NAME, NodeTag::KeyChanging, move |lowering| {
            let select = Arc::clone(&select);
            lowering.processor(step::<K, V, K2, V>(move |slot, context| match slot.take() {
                Some(Record { key, value, timestamp, headers }) => {
                    let key = select(&key, &value);
                    context.forward(Record { key, value, timestamp, headers })
                }
                None => Ok(()),
            }));
        });
        KStream { place, rekeyed: true, key_serde: None, value_serde: self.value_serde.clone() }
    }
}
