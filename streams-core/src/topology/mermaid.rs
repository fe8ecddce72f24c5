//! A topology as a Mermaid flowchart: forges and editors draw it.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::builder::Topology;
use super::node::{NodeKind, Topics};

/// The flowchart: a box per sub-topology, topics and stores outside and between them.
pub(super) fn mermaid(topology: &Topology) -> String {
    let mut drawing = Drawing::default();
    let mut text = String::from("flowchart LR\n");
    // Writing to a string cannot fail.
    for part in topology.sub_topologies() {
        let _ = match part.global {
            Some(_) => writeln!(text, "  subgraph s{}[\"Global store {}\"]", part.id, part.id),
            None => writeln!(text, "  subgraph s{}[\"Sub-topology {}\"]", part.id, part.id),
        };
        for &place in &part.nodes {
            let node = &topology.nodes()[place];
            let _ = writeln!(text, "    n{place}[{}]", quoted(&node.name));
        }
        text.push_str("  end\n");
    }
    for (place, node) in topology.nodes().iter().enumerate() {
        for parent in &node.parents {
            if let Some(parent) = topology.nodes().iter().position(|other| other.name == *parent) {
                drawing.edges.push(format!("n{parent} --> n{place}"));
            }
        }
        match &node.kind {
            NodeKind::Source(source) => {
                let names = source.topics.names().iter().map(ToString::to_string);
                let pattern = match &source.topics {
                    Topics::Matching(pattern) => Some(format!("/{pattern}/")),
                    Topics::Named(_) => None,
                };
                for topic in names.chain(pattern) {
                    let topic = drawing.topic(&topic);
                    drawing.edges.push(format!("{topic} --> n{place}"));
                }
            }
            NodeKind::Sink(sink) => {
                let topic = drawing.topic(sink.topic.as_deref().unwrap_or("chosen per record"));
                drawing.edges.push(format!("n{place} --> {topic}"));
            }
            NodeKind::Processor(processor) => {
                for store in &processor.stores {
                    let store = drawing.store(store);
                    drawing.edges.push(format!("n{place} <-.-> {store}"));
                }
            }
        }
    }
    for (name, id) in &drawing.topics {
        let _ = writeln!(text, "  {id}([{}])", quoted(name));
    }
    for (name, id) in &drawing.stores {
        let _ = writeln!(text, "  {id}[({})]", quoted(name));
    }
    for edge in &drawing.edges {
        let _ = writeln!(text, "  {edge}");
    }
    text
}

#[derive(Default)]
struct Drawing {
    topics: BTreeMap<String, String>,
    stores: BTreeMap<String, String>,
    edges: Vec<String>,
}

impl Drawing {
    fn topic(&mut self, name: &str) -> String {
        let id = format!("t{}", self.topics.len());
        self.topics.entry(name.to_owned()).or_insert(id).clone()
    }

    fn store(&mut self, name: &str) -> String {
        let id = format!("d{}", self.stores.len());
        self.stores.entry(name.to_owned()).or_insert(id).clone()
    }
}

/// A label: Mermaid takes anything between double quotes but these themselves.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "#quot;"))
}

#[cfg(test)]
mod tests {
    use super::super::TopologyBuilder;
    use crate::fixture::{pass, sink, source};

    #[test]
    fn nodes_topics_and_their_edges_are_drawn() {
        let mut builder = TopologyBuilder::new();
        builder.add_source("in", source(&["rides"])).add_processor("pass", &["in"], pass()).add_sink(
            "out",
            &["pass"],
            sink("zones"),
        );
        let text = builder.build().unwrap().mermaid();
        assert_eq!(
            text,
            "flowchart LR\n  subgraph s0[\"Sub-topology 0\"]\n    n0[\"in\"]\n    n1[\"pass\"]\n    n2[\"out\"]\n  \
             end\n  t0([\"rides\"])\n  t1([\"zones\"])\n  t0 --> n0\n  n0 --> n1\n  n1 --> n2\n  n2 --> t1\n"
        );
    }
}
