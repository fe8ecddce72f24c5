//! `to` and `to_chosen`: the ends of a stream.

use std::sync::Arc;

use streams_core::processor::{Partitioner, SinkTopic};
use streams_core::record::{Data, Record, RecordContext};
use streams_core::serdes::DefaultSerde;
use streams_core::topology::SinkSpec;

use super::KStream;
use crate::options::Produced;
use crate::plan::Place;

const NAME: &str = "KSTREAM-SINK-";

/// The end of a stream, there to be named.
#[derive(Debug)]
pub struct Sink {
    place: Place,
}

impl Sink {
    pub(crate) fn at(place: Place) -> Self {
        Sink { place }
    }

    /// Names the node just added.
    pub fn named(self, name: impl Into<String>) -> Self {
        self.place.set_name(name);
        self
    }
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Writes the stream to a topic, which must exist.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("words").to("copy").named("copier");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let copy = driver.output_topic::<String, String>("copy");
    /// assert_eq!(copy.read_values(&mut driver)?, ["red", "green"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to(&self, topic: impl Into<String>) -> Sink
    where
        K: Data + DefaultSerde,
        V: Data + DefaultSerde,
    {
        self.to_with(topic, Produced::new())
    }

    /// Writes the stream to a topic with serdes or a partitioner of your choice.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("words");
    /// words.map_values(|word| word.len() as i64).to_with("lengths", Produced::with(Utf8, Json));
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let lengths = driver.output_topic::<String, String>("lengths");
    /// assert_eq!(lengths.read_values(&mut driver)?, ["3", "5"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_with(&self, topic: impl Into<String>, produced: Produced<K, V>) -> Sink
    where
        K: Data,
        V: Data,
    {
        self.sink(SinkTopic::Fixed(topic.into().into()), produced)
    }

    /// Writes each record to the topic that `choose` names for it; all of them must exist.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("words");
    /// words.to_chosen(|record, _| if record.value.len() > 3 { "long" } else { "short" });
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
    pub fn to_chosen<T: Into<Arc<str>>>(
        &self,
        choose: impl Fn(&Record<K, V>, Option<&RecordContext>) -> T + Send + Sync + 'static,
    ) -> Sink
    where
        K: Data + DefaultSerde,
        V: Data + DefaultSerde,
    {
        self.to_chosen_with(choose, Produced::new())
    }

    /// As [`to_chosen`](KStream::to_chosen), with serdes or a partitioner of your choice.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("words");
    /// words.to_chosen_with(|record, _| format!("by-{}", record.key), Produced::with(Utf8, Json));
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let by_a = driver.output_topic::<String, String>("by-a");
    /// assert_eq!(by_a.read_values(&mut driver)?, ["\"red\""]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_chosen_with<T: Into<Arc<str>>>(
        &self,
        choose: impl Fn(&Record<K, V>, Option<&RecordContext>) -> T + Send + Sync + 'static,
        produced: Produced<K, V>,
    ) -> Sink
    where
        K: Data,
        V: Data,
    {
        self.sink(
            SinkTopic::Chosen(Arc::new(move |record, context| choose(record, context).into())),
            produced,
        )
    }

    fn sink(&self, topic: SinkTopic<K, V>, produced: Produced<K, V>) -> Sink
    where
        K: Data,
        V: Data,
    {
        let keys = produced.key_serde.or_carried(self.key_serde.as_ref());
        let values = produced.value_serde.or_carried(self.value_serde.as_ref());
        let partitioner = match produced.partitioner {
            Partitioner::ByKey { .. } => Partitioner::ByKey { suffix: keys.partition_suffix() },
            custom @ Partitioner::Custom(_) => custom,
        };
        Sink::at(self.place.then(NAME, move |lowering| {
            let (keys, values) = (Arc::clone(&keys), Arc::clone(&values));
            lowering.sink(SinkSpec::new(topic.clone(), keys, values, partitioner.clone()));
        }))
    }
}
