use std::sync::Arc;

use crate::fixture::{appending, pass, sink, source, store};
use crate::processor::{Partitioner, SinkTopic, SourceNode, TimestampExtractor};
use crate::serdes::{BigEndian, Utf8};
use crate::topology::{
    InternalTopic, SinkSpec, SourceSpec, Topics, Topology, TopologyBuilder, TopologyFault,
};

fn faults(builder: TopologyBuilder) -> Vec<TopologyFault> {
    builder.build().map(|_: Topology| ()).expect_err("the topology has faults").faults
}

#[test]
fn an_empty_topology_has_no_source() {
    assert_eq!(faults(TopologyBuilder::new()), [TopologyFault::NoSource]);
}

#[test]
fn all_faults_are_listed_at_once() {
    let mut builder = TopologyBuilder::new();
    builder
        .add_source("s", source(&["in"]))
        .add_source("t", source(&["in", "bad topic"]))
        .add_source("none", source(&[]))
        .add_processor("p", &["s", "nowhere"], pass())
        .add_processor("p", &["s"], appending("gone"))
        .add_processor("lonely", &[] as &[&str], pass())
        .add_sink("out", &["p"], sink("."))
        .add_processor("behind", &["out"], pass())
        .add_store(store("count"), &["p", "absent"])
        .add_store(store("count"), &[] as &[&str])
        .add_store(store("bad name"), &[] as &[&str])
        .use_source_as_changelog("count", "unread")
        .add_internal_topic("half", InternalTopic::default())
        .copartition(&["s", "p"]);
    let found = faults(builder);
    let expected = [
        TopologyFault::DuplicateNode("p".into()),
        TopologyFault::UnknownProcessor { store: "count".into(), processor: "absent".into() },
        TopologyFault::DuplicateStore("count".into()),
        TopologyFault::InvalidTopic { topic: "bad topic".into() },
        TopologyFault::NoTopic("none".into()),
        TopologyFault::UnknownParent { node: "p".into(), parent: "nowhere".into() },
        TopologyFault::UnknownStore { node: "p".into(), store: "gone".into() },
        TopologyFault::NoParent("lonely".into()),
        TopologyFault::InvalidTopic { topic: ".".into() },
        TopologyFault::SinkAsParent { node: "behind".into(), parent: "out".into() },
        TopologyFault::TopicReadTwice { topic: "in".into(), first: "s".into(), second: "t".into() },
        TopologyFault::UnknownChangelogSource { store: "count".into(), topic: "unread".into() },
        TopologyFault::InvalidStore("bad name".into()),
        TopologyFault::HalfInternalTopic { topic: "half".into(), has: "declared", lacks: "used" },
        TopologyFault::UnknownCopartition("p".into()),
    ];
    assert_eq!(found, expected);
}

#[test]
fn types_must_fit_along_every_edge() {
    let mut builder = TopologyBuilder::new();
    let numbers = SourceNode::<String, i64>::new(
        Arc::new(Utf8),
        Arc::new(BigEndian),
        TimestampExtractor::FailOnInvalid,
    );
    let longs = SinkSpec::new::<String, i64>(
        SinkTopic::Fixed("out".into()),
        Arc::new(Utf8),
        Arc::new(BigEndian),
        Partitioner::default(),
    );
    builder
        .add_source("s", SourceSpec::new(Topics::Named(vec!["in".into()]), numbers))
        .add_processor("p", &["s"], pass())
        .add_sink("out", &["s"], longs);
    let [TopologyFault::TypeMismatch { node, takes, parent, forwards }] = &faults(builder)[..] else {
        panic!("one fault is expected");
    };
    assert_eq!((node.as_str(), parent.as_str()), ("p", "s"));
    assert!(takes.contains("String, alloc::string::String") && forwards.contains("String, i64"), "{takes}");
}

#[test]
fn a_pattern_must_be_a_regular_expression() {
    let mut spec = source(&["in"]);
    spec.topics = Topics::Matching("rides-(".into());
    let mut builder = TopologyBuilder::new();
    builder.add_source("s", spec);
    assert!(matches!(&faults(builder)[..], [TopologyFault::InvalidPattern { node, .. }] if node == "s"));
}

#[test]
fn a_global_store_is_fed_by_its_source_alone() {
    let mut builder = TopologyBuilder::new();
    builder
        .add_global_store(store("g"), ("gs", source(&["g-topic"])), ("gp", pass()))
        .add_processor("p", &["gs"], pass())
        .add_source("s", source(&["in"]))
        .add_processor("q", &["s"], appending("g"));
    assert_eq!(
        faults(builder),
        [
            TopologyFault::GlobalStoreConnected { node: "q".into(), store: "g".into() },
            TopologyFault::GlobalSourceShared { node: "p".into(), parent: "gs".into(), store: "g".into() },
        ]
    );
}

#[test]
fn parents_may_be_added_later_but_not_in_a_circle() {
    let mut builder = TopologyBuilder::new();
    builder.add_processor("p", &["s"], pass()).add_source("s", source(&["in"]));
    let topology = builder.build().unwrap();
    assert_eq!(topology.sub_topologies()[0].nodes, [1, 0]);

    let mut builder = TopologyBuilder::new();
    builder.add_source("s", source(&["in"])).add_processor("a", &["s", "b"], pass());
    builder.add_processor("b", &["a"], pass());
    assert_eq!(faults(builder), [TopologyFault::Cycle("a, b".into())]);
}

#[test]
fn the_text_names_every_fault() {
    let mut builder = TopologyBuilder::new();
    builder.add_processor("p", &["nowhere"], pass());
    let text = builder.build().unwrap_err().to_string();
    assert!(text.starts_with("the topology has 2 fault(s)\n  - the topology has no source"), "{text}");
    assert!(text.contains("\n  - node `p` names the parent `nowhere`"), "{text}");
}
