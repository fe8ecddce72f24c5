use std::sync::Mutex;

use super::*;
use crate::fixture::{pass, source, step};
use crate::processor::{NodeFactory, PartitionCounts, ProcessorWrapper};
use crate::state::ReadOnlyStores;
use crate::topology::{ProcessorSpec, TopologyBuilder};

type Seen = Arc<Mutex<Vec<String>>>;

fn noting(seen: &Seen, name: &'static str) -> ProcessorSpec {
    let seen = Arc::clone(seen);
    step(move |record, context| {
        seen.lock().unwrap().push(format!("{name} {}", record.value));
        context.forward(record)
    })
}

fn build(builder: TopologyBuilder) -> ProcessorGraph {
    let topology = builder.build().unwrap();
    let shared = Shared::new(Vec::new(), ReadOnlyStores::default(), PartitionCounts::default());
    ProcessorGraph::build(&topology, &topology.sub_topologies()[0].nodes, shared).unwrap()
}

fn feed(graph: &mut ProcessorGraph, value: &str) -> Result<(), ProcessorError> {
    let record = Record::new("k".to_owned(), value.to_owned(), Timestamp::ZERO);
    let fed = graph.feed(0, |context| Ok(context.forward(record)?));
    fed.map_err(|error| match error {
        SourceError::Process(error) => error,
        other => panic!("{other}"),
    })
}

#[test]
fn records_go_depth_first_in_the_order_of_declaration() {
    let seen: Seen = Arc::default();
    let mut builder = TopologyBuilder::new();
    // `last` is declared before its second parent, so the arena's order differs from the order of declaration.
    builder
        .add_source("s", source(&["in"]))
        .add_processor("b", &["s"], noting(&seen, "b"))
        .add_processor("last", &["b", "a"], noting(&seen, "last"))
        .add_processor("a", &["s"], noting(&seen, "a"))
        .add_processor("c", &["b"], noting(&seen, "c"));
    let mut graph = build(builder);
    feed(&mut graph, "1").unwrap();
    assert_eq!(*seen.lock().unwrap(), ["b 1", "last 1", "c 1", "a 1", "last 1"]);
}

#[test]
fn a_child_may_be_named() {
    let seen: Seen = Arc::default();
    let choosing = step(|record, context| {
        let child = record.value.clone();
        context.forward_to(&child, record)
    });
    let mut builder = TopologyBuilder::new();
    builder
        .add_source("s", source(&["in"]))
        .add_processor("choose", &["s"], choosing)
        .add_processor("x", &["choose"], noting(&seen, "x"))
        .add_processor("y", &["choose"], noting(&seen, "y"));
    let mut graph = build(builder);
    feed(&mut graph, "y").unwrap();
    assert_eq!(*seen.lock().unwrap(), ["y y"]);
    let error = feed(&mut graph, "z").unwrap_err();
    assert_eq!(error.to_string(), "node choose: there is no child node `z`; there are: x, y");
}

#[test]
fn the_context_is_that_of_the_record_at_hand() {
    let seen: Arc<Mutex<Vec<(i64, usize)>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let later = step(|mut record, context| {
        record.headers.add("h", None);
        context.forward(record.with_timestamp(9))?;
        assert_eq!((context.headers().len(), context.timestamp()), (0, Timestamp::ZERO));
        Ok(())
    });
    let note = step(move |_, context| {
        noted.lock().unwrap().push((context.timestamp().as_millis(), context.headers().len()));
        Ok(())
    });
    let mut builder = TopologyBuilder::new();
    builder.add_source("s", source(&["in"])).add_processor("later", &["s"], later).add_processor(
        "note",
        &["later", "s"],
        note,
    );
    feed(&mut build(builder), "v").unwrap();
    assert_eq!(*seen.lock().unwrap(), [(9, 1), (0, 0)]);
}

#[derive(Debug)]
struct Counting(Arc<Mutex<Vec<String>>>);

struct Counted {
    name: String,
    calls: Arc<Mutex<Vec<String>>>,
    inner: Box<dyn Node>,
}

impl Node for Counted {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        self.calls.lock().unwrap().push(self.name.clone());
        self.inner.process(slot, context)
    }
}

impl ProcessorWrapper for Counting {
    fn wrap(&self, node: &str, inner: Arc<dyn NodeFactory>) -> Arc<dyn NodeFactory> {
        let (name, calls) = (node.to_owned(), Arc::clone(&self.0));
        Arc::new(move |context: &mut InitContext<'_>| -> Result<Box<dyn Node>, ProcessorError> {
            let inner = inner.make(context)?;
            Ok(Box::new(Counted { name: name.clone(), calls: Arc::clone(&calls), inner }))
        })
    }
}

#[test]
fn a_wrapper_sees_every_processor() {
    let seen: Seen = Arc::default();
    let calls: Seen = Arc::default();
    let mut builder = TopologyBuilder::new();
    builder
        .add_source("s", source(&["in"]))
        .add_processor("p", &["s"], pass())
        .wrap_processors(Arc::new(Counting(Arc::clone(&calls))))
        .add_processor("q", &["p"], noting(&seen, "q"));
    feed(&mut build(builder), "v").unwrap();
    assert_eq!(*calls.lock().unwrap(), ["p", "q"]);
    assert_eq!(*seen.lock().unwrap(), ["q v"]);
}
