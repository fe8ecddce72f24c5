//! A word count by the Processor API: two sub-topologies, a repartition topic, a store with a changelog.

use std::sync::Arc;

use streams_dsl::Record;
use streams_dsl::processor::{
    InitContext, Partitioner, Processor, ProcessorContext, ProcessorError, SinkTopic, SourceNode,
    StoreHandle, TimestampExtractor,
};
use streams_dsl::serdes::{BigEndian, Utf8, Void};
use streams_dsl::stores::{KeyValueStore, Stores};
use streams_dsl::topology::{
    InternalTopic, ProcessorSpec, SinkSpec, SourceSpec, Topics, Topology, TopologyBuilder,
};

use crate::topics::Counts;

const REPARTITION: &str = "words-repartition";
const STORE: &str = "counts";

struct Split;

impl Processor<(), String, String, i64> for Split {
    fn process(
        &mut self,
        record: Record<(), String>,
        context: &mut ProcessorContext<'_, '_, String, i64>,
    ) -> Result<(), ProcessorError> {
        let at = record.timestamp;
        let mut words = record.value.split_whitespace();
        words.try_for_each(|word| context.forward(Record::new(word.to_owned(), 1, at)))
    }
}

struct Count {
    counts: StoreHandle<KeyValueStore<String, i64>>,
}

impl Processor<String, i64, String, i64> for Count {
    fn process(
        &mut self,
        record: Record<String, i64>,
        context: &mut ProcessorContext<'_, '_, String, i64>,
    ) -> Result<(), ProcessorError> {
        let store = context.store_mut(self.counts);
        let count = store.get(&record.key)?.unwrap_or(0) + record.value;
        store.put(&record.key, Some(count))?;
        context.forward(record.with_value(count))
    }
}

/// Counts the words of the values of `input` and sends each new count to `output`.
///
/// # Panics
/// When the topology has faults, which it has not.
pub fn word_count(input: &str, output: &str) -> Topology {
    let mut builder = TopologyBuilder::new();
    let (text, number) = (|| Arc::new(Utf8), || Arc::new(BigEndian));
    let lines = SourceNode::<(), String>::new(Arc::new(Void), text(), TimestampExtractor::FailOnInvalid);
    let words = SourceNode::<String, i64>::new(text(), number(), TimestampExtractor::FailOnInvalid);
    let sink = |topic: &str| {
        SinkSpec::new::<String, i64>(SinkTopic::Fixed(topic.into()), text(), number(), Partitioner::default())
    };
    builder
        .add_source("lines", SourceSpec::new(Topics::Named(vec![input.into()]), lines))
        .add_processor("split", &["lines"], ProcessorSpec::new(|_: &mut InitContext<'_>| Ok(Split)))
        .add_sink("to-words", &["split"], sink(REPARTITION))
        .add_internal_topic(REPARTITION, InternalTopic { partitions: None })
        .add_source("words", SourceSpec::new(Topics::Named(vec![REPARTITION.into()]), words))
        .add_processor(
            "count",
            &["words"],
            ProcessorSpec::new(|context: &mut InitContext<'_>| Ok(Count { counts: context.store(STORE)? }))
                .with_stores([Arc::from(STORE)]),
        )
        .add_store(Stores::key_value::<String, i64>(STORE, text(), number()).build(), &["count"])
        .add_sink("to-output", &["count"], sink(output));
    builder.build().expect("the topology has no fault")
}

/// The last count of a word among the values of the output topic.
pub fn count_of(counts: &Counts, word: &str) -> i64 {
    let last = counts.get(word).and_then(|values| values.last());
    last.and_then(|bytes| bytes.as_slice().try_into().ok()).map_or(0, i64::from_be_bytes)
}
