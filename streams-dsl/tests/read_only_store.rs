//! Stores that are filled from a topic of their own (KIP-813).

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use streams_dsl::prelude::*;
use streams_dsl::processor::SourceNode;
use streams_dsl::stores::KeyValueStore;
use streams_dsl::topology::{ProcessorSpec, SourceSpec, Topics, TopologyBuilder};
use streams_test_driver::TopologyTestDriver;

type Names = KeyValueStore<String, String>;

struct Keep(StoreHandle<Names>);

impl Processor<String, String, (), ()> for Keep {
    fn process(
        &mut self,
        record: Record<String, String>,
        context: &mut ProcessorContext<'_, '_, (), ()>,
    ) -> Result<(), ProcessorError> {
        Ok(context.store_mut(self.0).put(&record.key, Some(record.value))?)
    }
}

fn topology(topics: Topics) -> Result<Topology, TopologyError> {
    let text = || Arc::new(Utf8);
    let source = SourceNode::<String, String>::new(text(), text(), TimestampExtractor::FailOnInvalid);
    let keep = ProcessorSpec::new(|context: &mut InitContext<'_>| Ok(Keep(context.store("names")?)));
    let mut builder = TopologyBuilder::new();
    let store = Stores::key_value::<String, String>("names", text(), text()).build();
    builder.add_read_only_store(store, ("source", SourceSpec::new(topics, source)), ("keep", keep));
    builder.build()
}

#[test]
fn its_topic_is_its_changelog() {
    let topology = topology(Topics::Named(vec!["names".into()])).unwrap();
    assert!(topology.describe().contains("Processor: keep (stores: [names])"), "{}", topology.describe());
    assert_eq!(topology.stores()[0].source_topic.as_deref(), Some("names"));
    let mut driver = TopologyTestDriver::new(topology).unwrap();
    let names = driver.input_topic::<String, String>("names");
    names.pipe(&mut driver, "a".to_owned(), "Ada".to_owned()).unwrap();
    let found = driver.store("names", |names: &mut Names| names.get(&"a".to_owned())).unwrap().unwrap();
    assert_eq!(found.as_deref(), Some("Ada"));
    assert!(driver.take_internal().is_empty(), "nothing is written to a changelog of its own");
}

#[test]
fn it_has_one_topic() {
    let error = topology(Topics::Named(vec!["a".into(), "b".into()])).unwrap_err().to_string();
    assert!(error.contains("read-only store `names` is to be filled from one topic"), "{error}");
}
