//! `map_values` and `map_values_with_key`.

use std::sync::Arc;

use streams_core::record::{Data, Record};

use super::{KStream, step};
use crate::plan::NodeTag;

const NAME: &str = "KSTREAM-MAPVALUES-";

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Makes each value another one; keys, and with them partitions, stay.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("words").map_values(|word| word.to_uppercase()).to("loud");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let loud = driver.output_topic::<String, String>("loud");
    /// assert_eq!(loud.read_values(&mut driver)?, ["RED", "GREEN"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_values<V2: Data>(&self, map: impl Fn(V) -> V2 + Send + Sync + 'static) -> KStream<K, V2>
    where
        K: Data,
        V: Data,
    {
        self.map_values_with_key(move |_, value| map(value))
    }

    /// Makes each value another one, with the key in sight.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("words");
    /// words.map_values_with_key(|key, word| format!("{key}:{word}")).to("labelled");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let labelled = driver.output_topic::<String, String>("labelled");
    /// assert_eq!(labelled.read_values(&mut driver)?, ["a:red", "b:green"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_values_with_key<V2: Data>(
        &self,
        map: impl Fn(&K, V) -> V2 + Send + Sync + 'static,
    ) -> KStream<K, V2>
    where
        K: Data,
        V: Data,
    {
        let map = Arc::new(map);
        self.with_values(self.place.then_tagged(NAME, NodeTag::ValueChanging, move |lowering| {
            let map = Arc::clone(&map);
            lowering.processor(step::<K, V, K, V2>(move |slot, context| match slot.take() {
                Some(Record { key, value, timestamp, headers }) => {
                    let value = map(&key, value);
                    context.forward(Record { key, value, timestamp, headers })
                }
                None => Ok(()),
            }));
        }))
    }
}
