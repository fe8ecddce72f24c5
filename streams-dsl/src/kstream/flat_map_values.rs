//! `flat_map_values` and `flat_map_values_with_key`.

use std::sync::Arc;

use streams_core::record::{Data, Record};

use super::{KStream, step};
use crate::plan::NodeTag;

const NAME: &str = "KSTREAM-FLATMAPVALUES-";

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Makes each value none, one or many, all under the record's key. The answer must own what it yields: end an
    /// iterator over borrowed data with `.collect::<Vec<_>>()`.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let lines = builder.stream::<String, String>("words");
    /// lines.flat_map_values(|line| line.split('e').map(str::to_owned).collect::<Vec<_>>()).to("parts");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let parts = driver.output_topic::<String, String>("parts");
    /// assert_eq!(parts.read_values(&mut driver)?, ["r", "d", "gr", "", "n"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flat_map_values<V2: Data, I: IntoIterator<Item = V2>>(
        &self,
        map: impl Fn(V) -> I + Send + Sync + 'static,
    ) -> KStream<K, V2>
    where
        K: Data,
        V: Data,
    {
        self.flat_map_values_with_key(move |_, value| map(value))
    }

    /// As [`flat_map_values`](KStream::flat_map_values), with the key in sight.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let lines = builder.stream::<String, String>("words");
    /// lines.flat_map_values_with_key(|key, word| [key.clone(), word]).to("both");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let both = driver.output_topic::<String, String>("both");
    /// assert_eq!(both.read_values(&mut driver)?, ["a", "red", "b", "green"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flat_map_values_with_key<V2: Data, I: IntoIterator<Item = V2>>(
        &self,
        map: impl Fn(&K, V) -> I + Send + Sync + 'static,
    ) -> KStream<K, V2>
    where
        K: Data,
        V: Data,
    {
        let map = Arc::new(map);
        self.with_values(self.place.then_tagged(NAME, NodeTag::ValueChanging, move |lowering| {
            let map = Arc::clone(&map);
            lowering.processor(step::<K, V, K, V2>(move |slot, context| {
                let Some(Record { key, value, timestamp, headers }) = slot.take() else { return Ok(()) };
                map(&key, value).into_iter().try_for_each(|value| {
                    context.forward(Record { key: key.clone(), value, timestamp, headers: headers.clone() })
                })
            }));
        }))
    }
}
