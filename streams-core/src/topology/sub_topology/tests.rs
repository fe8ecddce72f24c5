use crate::fixture::{appending, pass, sink, source, store};
use crate::topology::{InternalTopic, SubTopology, Topology, TopologyBuilder};

fn parts(topology: &Topology) -> Vec<(u32, Vec<&str>, bool)> {
    let name = |&place: &usize| &*topology.nodes()[place].name;
    let part = |part: SubTopology| (part.id, part.nodes.iter().map(name).collect(), part.global.is_some());
    topology.sub_topologies().into_iter().map(part).collect()
}

#[test]
fn a_repartition_topic_separates_and_parts_count_as_they_were_added() {
    let mut builder = TopologyBuilder::new();
    builder
        .add_source("z-source", source(&["in"]))
        .add_processor("key", &["z-source"], pass())
        .add_sink("to", &["key"], sink("by-zone-repartition"))
        .add_internal_topic("by-zone-repartition", InternalTopic::default())
        .add_source("from", source(&["by-zone-repartition"]))
        .add_processor("count", &["from"], appending("counts"))
        .add_store(store("counts"), &["count"]);
    let topology = builder.build().unwrap();
    assert_eq!(
        parts(&topology),
        [(0, vec!["z-source", "key", "to"], false), (1, vec!["from", "count"], false)]
    );
    assert!(topology.sub_topologies()[0].stores.is_empty());
    assert_eq!(topology.sub_topologies()[1].stores, [0]);
}

#[test]
fn shared_stores_join_and_global_ones_do_not() {
    let mut builder = TopologyBuilder::new();
    builder
        .add_source("a", source(&["a"]))
        .add_source("c", source(&["c"]))
        .add_global_store(store("g"), ("b", source(&["b"])), ("keep", pass()))
        .add_processor("reads", &["c"], appending("shared"))
        .add_processor("writes", &["a"], appending("shared"))
        .add_store(store("shared"), &["reads"]);
    let topology = builder.build().unwrap();
    assert_eq!(
        parts(&topology),
        [(0, vec!["a", "c", "reads", "writes"], false), (1, vec!["b", "keep"], true)]
    );
}
