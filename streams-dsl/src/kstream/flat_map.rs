//! `flat_map`.

use std::sync::Arc;

use streams_core::record::{Data, Record};

use super::{KStream, step};
use crate::plan::NodeTag;

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Makes each record none, one or many, all of its time and headers. The answer must own what it yields: end an
    /// iterator over borrowed data with `.collect::<Vec<_>>()`.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let lines = builder.stream::<String, String>("words");
    /// lines.flat_map(|_, line| line.chars().map(|it| (it.to_string(), 1i64)).collect::<Vec<_>>()).to("letters");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let letters = driver.output_topic::<String, i64>("letters");
    /// assert_eq!(letters.read_key_values(&mut driver)?.len(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flat_map<K2: Data, V2: Data, I: IntoIterator<Item = (K2, V2)>>(
        &self,
        map: impl Fn(K, V) -> I + Send + Sync + 'static,
    ) -> KStream<K2, V2>
    where
        K: Data,
        V: Data,
    {
        let map = Arc::new(map);
        self.with_keys(self.place.then_tagged("KSTREAM-FLATMAP-", NodeTag::KeyChanging, move |lowering| {
            let map = Arc::clone(&map);
            lowering.processor(step::<K, V, K2, V2>(move |slot, context| {
                let Some(Record { key, value, timestamp, headers }) = slot.take() else { return Ok(()) };
                map(key, value).into_iter().try_for_each(|(key, value)| {
                    context.forward(Record { key, value, timestamp, headers: headers.clone() })
                })
            }));
        }))
    }
}
