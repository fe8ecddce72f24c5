//! `group_by` and `group_by_key`.

use streams_core::record::Data;
use streams_core::serdes::DefaultSerde;

use super::KStream;
use crate::grouped::KGroupedStream;
use crate::options::Grouped;

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Groups records by their keys. Where the keys were changed before, the stream goes through a repartition topic.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("words").group_by_key().count().to_stream().to("counts");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// words.pipe(&mut driver, "a".to_owned(), "blue".to_owned())?;
    /// let counts = driver.output_topic::<String, i64>("counts");
    /// assert_eq!(counts.read_key_values(&mut driver)?.last(), Some(&("a".to_owned(), 2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn group_by_key(&self) -> KGroupedStream<K, V>
    where
        K: Data + DefaultSerde,
        V: Data + DefaultSerde,
    {
        self.group_by_key_with(Grouped::new())
    }

    /// As [`group_by_key`](KStream::group_by_key), with serdes of your choice.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("words");
    /// words.group_by_key_with(Grouped::with(Utf8, Json)).count().to_stream().to("counts");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let counts = driver.output_topic::<String, i64>("counts");
    /// assert_eq!(counts.read_values(&mut driver)?, [1, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn group_by_key_with(&self, grouped: Grouped<K, V>) -> KGroupedStream<K, V>
    where
        K: Data,
        V: Data,
    {
        let mut place = self.place.clone();
        place.operator = place.plan.borrow_mut().operator();
        let key_serde = grouped.key_serde.or_carried(self.key_serde.as_ref());
        let value_serde = grouped.value_serde.or_carried(self.value_serde.as_ref());
        KGroupedStream::new(place, self.rekeyed, key_serde, value_serde)
    }

    /// Groups records by a key made from each, through a repartition topic.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("words")
    ///     .group_by(|_, word| word.len() as i64)
    ///     .named("by-length")
    ///     .count()
    ///     .to_stream()
    ///     .to("counts");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let counts = driver.output_topic::<i64, i64>("counts");
    /// assert_eq!(counts.read_key_values(&mut driver)?, [(3i64, 1i64), (5, 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn group_by<K2: Data + DefaultSerde>(
        &self,
        select: impl Fn(&K, &V) -> K2 + Send + Sync + 'static,
    ) -> KGroupedStream<K2, V>
    where
        K: Data,
        V: Data + DefaultSerde,
    {
        self.group_by_with(select, Grouped::new())
    }

    /// As [`group_by`](KStream::group_by), with serdes of your choice.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("words");
    /// let by_word = words.group_by_with(|_, word| word.clone(), Grouped::with(Utf8, Json));
    /// by_word.count().to_stream().to("counts");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let counts = driver.output_topic::<String, i64>("counts");
    /// assert_eq!(counts.read_values(&mut driver)?, [1, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn group_by_with<K2: Data>(
        &self,
        select: impl Fn(&K, &V) -> K2 + Send + Sync + 'static,
        grouped: Grouped<K2, V>,
    ) -> KGroupedStream<K2, V>
    where
        K: Data,
        V: Data,
    {
        let selected = self.select_key(select);
        let key_serde = grouped.key_serde.or_carried(None);
        let value_serde = grouped.value_serde.or_carried(self.value_serde.as_ref());
        KGroupedStream::new(selected.place, true, key_serde, value_serde)
    }
}
