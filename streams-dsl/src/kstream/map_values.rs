//! `map_values` and `map_values_with_key`.

use std::sync::Arc;

use streams_core::record::Data;

use super::{KStream, forward_mapped, step};
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
            lowering.processor(step::<K, V, K, V2>(move |slot, context| {
                forward_mapped(slot, context, |key, value| map(key, value))
            }));
        }))
    }
}

#[cfg(test)]
mod tests {
    use streams_test_driver::TopologyTestDriver;

    use crate::prelude::*;

    #[test]
    fn numbers_and_others_keep_their_records_key_time_and_headers() {
        let builder = StreamsBuilder::new();
        let numbers = builder.stream::<String, i64>("numbers").map_values(|number| number + 1);
        let halves =
            numbers.map_values(|number| number as f64 / 2.0).map_values_with_key(|_, half| half * 3.0);
        halves.map_values(|half| half.to_string()).map_values(|text| text + "!").to("texts");
        numbers.to("more");
        let mut driver = TopologyTestDriver::new(builder.build().unwrap()).unwrap();
        let mut headers = Headers::new();
        headers.add("from", None);
        let record = Record::new("a".to_owned(), 6, 7).with_headers(headers);
        driver.input_topic::<String, i64>("numbers").pipe_record(&mut driver, record.clone()).unwrap();
        let texts = driver.output_topic::<String, String>("texts").read_records(&mut driver).unwrap();
        assert_eq!(texts, [record.clone().with_value("10.5!".to_owned())]);
        let more = driver.output_topic::<String, i64>("more").read_records(&mut driver).unwrap();
        assert_eq!(more, [record.with_value(7)]);
    }
}
