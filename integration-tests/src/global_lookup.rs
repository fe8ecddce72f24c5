//! Records joined by the Processor API with a global store that is fed from a topic.

use std::sync::Arc;

use streams_dsl::Record;
use streams_dsl::processor::{
    GlobalStore, InitContext, Partitioner, Processor, ProcessorContext, ProcessorError, SinkTopic,
    SourceNode, StoreHandle, TimestampExtractor,
};
use streams_dsl::serdes::{Utf8, Void};
use streams_dsl::stores::{KeyValueStore, Stores};
use streams_dsl::topology::{ProcessorSpec, SinkSpec, SourceSpec, Topics, Topology, TopologyBuilder};

const STORE: &str = "names";

/// Puts `CODE NAME` lines into the global store.
struct Keep {
    names: StoreHandle<KeyValueStore<String, String>>,
}

impl Processor<(), String, (), ()> for Keep {
    fn process(
        &mut self,
        record: Record<(), String>,
        context: &mut ProcessorContext<'_, '_, (), ()>,
    ) -> Result<(), ProcessorError> {
        if let Some((code, name)) = record.value.split_once(' ') {
            context.store_mut(self.names).put(&code.to_owned(), Some(name.to_owned()))?;
        }
        Ok(())
    }
}

/// Answers each code with its name.
struct LookUp {
    names: GlobalStore<KeyValueStore<String, String>>,
}

impl Processor<(), String, String, String> for LookUp {
    fn process(
        &mut self,
        record: Record<(), String>,
        context: &mut ProcessorContext<'_, '_, String, String>,
    ) -> Result<(), ProcessorError> {
        let name = self.names.with(|names| names.get(&record.value))?.unwrap_or_default();
        context.forward(Record::new(record.value, name, record.timestamp))
    }
}

/// For each code among the values of `codes` its name, as the lines `CODE NAME` of `names` have it, to `output`.
///
/// # Panics
/// When the topology has faults, which it has not.
pub fn global_lookup(codes: &str, names: &str, output: &str) -> Topology {
    let mut builder = TopologyBuilder::new();
    let text = || Arc::new(Utf8);
    let source = |topic: &str| {
        let node = SourceNode::<(), String>::new(Arc::new(Void), text(), TimestampExtractor::FailOnInvalid);
        SourceSpec::new(Topics::Named(vec![topic.into()]), node)
    };
    let keep = ProcessorSpec::new(|context: &mut InitContext<'_>| Ok(Keep { names: context.store(STORE)? }));
    let look_up = ProcessorSpec::new(|context: &mut InitContext<'_>| {
        Ok(LookUp { names: context.global_store(STORE)? })
    });
    let sink = SinkSpec::new::<String, String>(
        SinkTopic::Fixed(output.into()),
        text(),
        text(),
        Partitioner::default(),
    );
    builder
        .add_global_store(
            Stores::key_value::<String, String>(STORE, text(), text()).logging(false).build(),
            ("names-source", source(names)),
            ("keep", keep),
        )
        .add_source("codes", source(codes))
        .add_processor("look-up", &["codes"], look_up)
        .add_sink("out", &["look-up"], sink);
    builder.build().expect("the topology has no fault")
}
