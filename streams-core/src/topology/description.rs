//! The text of `Topology::describe()`, equal to Kafka's.
//!
//! Kafka keeps a node's neighbours in sorted sets whose order is the size of the tree behind a node, and adds the
//! edges in the order of a Java hash set of node names while those sizes still grow
//! (`InternalTopologyBuilder.describeSubtopology`). Where several neighbours have sizes that change in between, the
//! printed order depends on all of that, so it is replayed here step by step.

use std::cmp::Ordering;
use std::fmt::Write;

use super::builder::Topology;
use super::node::{NodeKind, NodeSpec, Topics};
use super::sub_topology::SubTopology;

/// What stands where Kafka prints the class of a sink's topic extractor.
const CHOSEN_TOPIC: &str = "per-record function";

/// The description of a topology.
pub(super) fn describe(topology: &Topology) -> String {
    let mut text = String::from("Topologies:\n ");
    for sub_topology in topology.sub_topologies() {
        let drawn = Drawn::new(topology, &sub_topology);
        text.push_str("  ");
        // Writing to a string cannot fail.
        let _ = match sub_topology.global {
            Some(_) => {
                writeln!(text, "Sub-topology: {} for global store (will not generate tasks)", sub_topology.id)
            }
            None => writeln!(text, "Sub-topology: {}", sub_topology.id),
        };
        for &node in &drawn.in_order() {
            text.push_str("    ");
            drawn.write_node(node, &mut text);
            text.push('\n');
        }
        if sub_topology.global.is_none() {
            text.push('\n');
        }
    }
    text
}

/// A sub-topology as it is printed: nodes by their place in `nodes`.
struct Drawn<'a> {
    nodes: Vec<&'a NodeSpec>,
    sizes: Vec<usize>,
    predecessors: Vec<Vec<usize>>,
    successors: Vec<Vec<usize>>,
}

impl<'a> Drawn<'a> {
    fn new(topology: &'a Topology, sub_topology: &SubTopology) -> Self {
        let names: Vec<&str> =
            sub_topology.nodes.iter().map(|&place| &*topology.nodes()[place].name).collect();
        let nodes: Vec<&NodeSpec> = hash_order(&names)
            .into_iter()
            .map(|index| &topology.nodes()[sub_topology.nodes[index]])
            .collect();
        let len = nodes.len();
        let mut drawn = Drawn {
            nodes,
            sizes: vec![1; len],
            predecessors: vec![Vec::new(); len],
            successors: vec![Vec::new(); len],
        };
        for node in 0..len {
            let spec: &'a NodeSpec = drawn.nodes[node];
            for parent in &spec.parents {
                let Some(parent) = drawn.nodes.iter().position(|other| other.name == *parent) else {
                    continue;
                };
                drawn.link(parent, node);
            }
        }
        drawn
    }

    fn link(&mut self, parent: usize, node: usize) {
        let mut neighbours = std::mem::take(&mut self.predecessors[node]);
        self.insert(&mut neighbours, parent);
        self.predecessors[node] = neighbours;
        let mut neighbours = std::mem::take(&mut self.successors[parent]);
        self.insert(&mut neighbours, node);
        self.successors[parent] = neighbours;
        self.grow(parent, self.sizes[node]);
    }

    fn insert(&self, neighbours: &mut Vec<usize>, node: usize) {
        if let Err(place) = neighbours.binary_search_by(|&other| self.compare(other, node)) {
            neighbours.insert(place, node);
        }
    }

    fn grow(&mut self, node: usize, by: usize) {
        self.sizes[node] += by;
        for parent in self.predecessors[node].clone() {
            self.grow(parent, by);
        }
    }

    /// The larger tree first, then by name.
    fn compare(&self, left: usize, right: usize) -> Ordering {
        self.sizes[right]
            .cmp(&self.sizes[left])
            .then_with(|| self.nodes[left].name.cmp(&self.nodes[right].name))
    }

    fn in_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by(|&left, &right| self.compare(left, right));
        order
    }

    fn write_node(&self, node: usize, text: &mut String) {
        let name = &self.nodes[node].name;
        let children = self.names(&self.successors[node]);
        let parents = self.names(&self.predecessors[node]);
        // Writing to a string cannot fail.
        let _ = match &self.nodes[node].kind {
            NodeKind::Source(source) => {
                let topics = match &source.topics {
                    Topics::Named(topics) => as_set(topics),
                    Topics::Matching(pattern) => pattern.clone(),
                };
                write!(text, "Source: {name} (topics: {topics})\n      --> {children}")
            }
            NodeKind::Processor(processor) => {
                let stores = as_set(&processor.stores);
                write!(
                    text,
                    "Processor: {name} (stores: {stores})\n      --> {children}\n      <-- {parents}"
                )
            }
            NodeKind::Sink(sink) => match &sink.topic {
                Some(topic) => write!(text, "Sink: {name} (topic: {topic})\n      <-- {parents}"),
                None => write!(text, "Sink: {name} (extractor class: {CHOSEN_TOPIC})\n      <-- {parents}"),
            },
        };
    }

    fn names(&self, nodes: &[usize]) -> String {
        if nodes.is_empty() {
            return "none".to_owned();
        }
        let names: Vec<&str> = nodes.iter().map(|&node| &*self.nodes[node].name).collect();
        names.join(", ")
    }
}

/// How Java prints a hash set of these texts.
fn as_set<S: AsRef<str>>(texts: &[S]) -> String {
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    let ordered: Vec<&str> = hash_order(&texts).into_iter().map(|index| texts[index]).collect();
    format!("[{}]", ordered.join(", "))
}

/// The order in which a `java.util.HashMap` with these keys is walked: by bucket, the table having grown from 16
/// buckets so that at most three quarters are taken.
fn hash_order(keys: &[&str]) -> Vec<usize> {
    let mut buckets = 16usize;
    while keys.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    let bucket = |index: &usize| {
        let hash = keys[*index]
            .encode_utf16()
            .fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    };
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(bucket);
    order
}

#[cfg(test)]
mod tests;
