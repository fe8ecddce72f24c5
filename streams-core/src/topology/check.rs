//! The faults that a finished topology may have, all found at once.

use std::collections::HashMap;
use std::sync::Arc;

use super::builder::Topology;
use super::error::TopologyFault;
use super::node::{NodeKind, NodeSpec, Topics};
use crate::processor::RecordType;

/// Kafka's limit for the names of topics, in characters.
const LONGEST_TOPIC_NAME: usize = 249;

/// Adds every fault of the topology to `faults`.
pub(super) fn find_faults(topology: &Topology, faults: &mut Vec<TopologyFault>) {
    // The last of several nodes of one name wins here; that there are several is a fault already.
    let index: HashMap<&str, &NodeSpec> = topology.nodes().iter().map(|node| (&*node.name, node)).collect();
    let check = Check { topology, index };
    if !topology.nodes().iter().any(|node| matches!(node.kind, NodeKind::Source(_))) {
        faults.push(TopologyFault::NoSource);
    }
    for node in topology.nodes() {
        check.parents(node, faults);
        check.node_topics(node, faults);
        check.node_stores(node, faults);
    }
    check.topics_read_twice(faults);
    check.stores(faults);
    check.globals(faults);
    check.internal_topics(faults);
    check.copartitions(faults);
    check.cycles(faults);
}

/// Places of the nodes so that parents come before children, and otherwise in the order of `places`; a circle's nodes
/// are left out.
pub(super) fn parents_first(topology: &Topology, places: &[usize]) -> Vec<usize> {
    let index: HashMap<&str, usize> =
        places.iter().map(|&place| (&*topology.nodes()[place].name, place)).collect();
    let mut sorted: Vec<usize> = Vec::with_capacity(places.len());
    let mut done = vec![false; topology.nodes().len()];
    let mut left: Vec<usize> = places.to_vec();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|&place| {
            let parents = &topology.nodes()[place].parents;
            let ready = parents.iter().filter_map(|parent| index.get(&**parent)).all(|&parent| done[parent]);
            if ready {
                done[place] = true;
                sorted.push(place);
            }
            !ready
        });
        if left.len() == before {
            break;
        }
    }
    sorted
}

struct Check<'a> {
    topology: &'a Topology,
    index: HashMap<&'a str, &'a NodeSpec>,
}

impl Check<'_> {
    fn parents(&self, node: &NodeSpec, faults: &mut Vec<TopologyFault>) {
        let takes = match &node.kind {
            NodeKind::Source(_) => return,
            NodeKind::Processor(processor) => processor.input,
            NodeKind::Sink(sink) => sink.input,
        };
        if node.parents.is_empty() {
            faults.push(TopologyFault::NoParent(node.name.to_string()));
        }
        for parent in &node.parents {
            let (node, parent_name) = (node.name.to_string(), parent.to_string());
            match self.index.get(&**parent).map(|parent| forwards(parent)) {
                None => faults.push(TopologyFault::UnknownParent { node, parent: parent_name }),
                Some(None) => faults.push(TopologyFault::SinkAsParent { node, parent: parent_name }),
                Some(Some(given)) if given != takes => faults.push(TopologyFault::TypeMismatch {
                    node,
                    takes: takes.name,
                    parent: parent_name,
                    forwards: given.name,
                }),
                Some(Some(_)) => {}
            }
        }
    }

    fn node_topics(&self, node: &NodeSpec, faults: &mut Vec<TopologyFault>) {
        let topics: &[Arc<str>] = match &node.kind {
            NodeKind::Source(source) => {
                if let Topics::Matching(pattern) = &source.topics {
                    if let Err(error) = regex::Regex::new(pattern) {
                        let (node, message) = (node.name.to_string(), error.to_string());
                        faults.push(TopologyFault::InvalidPattern { node, message });
                    }
                } else if source.topics.names().is_empty() {
                    faults.push(TopologyFault::NoTopic(node.name.to_string()));
                }
                source.topics.names()
            }
            NodeKind::Processor(_) => &[],
            NodeKind::Sink(sink) => sink.topic.as_slice(),
        };
        for topic in topics.iter().filter(|topic| !is_legal_topic(topic)) {
            faults.push(TopologyFault::InvalidTopic { topic: topic.to_string() });
        }
    }

    fn node_stores(&self, node: &NodeSpec, faults: &mut Vec<TopologyFault>) {
        let NodeKind::Processor(processor) = &node.kind else { return };
        for store in &processor.stores {
            if self.topology.stores().iter().any(|spec| spec.builder.name() == &**store) {
                continue;
            }
            let global = self.topology.globals().iter().find(|global| global.builder.name() == &**store);
            let (node_name, store) = (node.name.to_string(), store.to_string());
            match global {
                Some(global) if global.processor == node.name => {}
                Some(_) => faults.push(TopologyFault::GlobalStoreConnected { node: node_name, store }),
                None => faults.push(TopologyFault::UnknownStore { node: node_name, store }),
            }
        }
    }

    fn topics_read_twice(&self, faults: &mut Vec<TopologyFault>) {
        let mut readers: HashMap<&str, &str> = HashMap::new();
        for node in self.topology.nodes() {
            let NodeKind::Source(source) = &node.kind else { continue };
            for topic in source.topics.names() {
                if let Some(first) = readers.insert(topic, &node.name) {
                    faults.push(TopologyFault::TopicReadTwice {
                        topic: topic.to_string(),
                        first: first.to_owned(),
                        second: node.name.to_string(),
                    });
                }
            }
        }
    }

    fn stores(&self, faults: &mut Vec<TopologyFault>) {
        for spec in self.topology.stores() {
            let name = spec.builder.name();
            if !is_legal_topic(name) {
                faults.push(TopologyFault::InvalidStore(name.to_owned()));
            }
            if self.topology.globals().iter().any(|global| global.builder.name() == name) {
                faults.push(TopologyFault::DuplicateStore(name.to_owned()));
            }
            if let Some(topic) = spec.source_topic.as_ref().filter(|topic| !self.is_read(topic)) {
                let (store, topic) = (name.to_owned(), topic.to_string());
                faults.push(TopologyFault::UnknownChangelogSource { store, topic });
            }
        }
    }

    fn globals(&self, faults: &mut Vec<TopologyFault>) {
        for global in self.topology.globals() {
            let store = global.builder.name();
            if !is_legal_topic(store) {
                faults.push(TopologyFault::InvalidStore(store.to_owned()));
            }
            for node in self.topology.nodes().iter().filter(|node| node.name != global.processor) {
                for parent in
                    node.parents.iter().filter(|parent| [&global.source, &global.processor].contains(parent))
                {
                    faults.push(TopologyFault::GlobalSourceShared {
                        node: node.name.to_string(),
                        parent: parent.to_string(),
                        store: store.to_owned(),
                    });
                }
            }
        }
    }

    fn internal_topics(&self, faults: &mut Vec<TopologyFault>) {
        for topic in self.topology.internal_topics().keys() {
            let written =
                self.topology.nodes().iter().any(
                    |node| matches!(&node.kind, NodeKind::Sink(sink) if sink.topic.as_ref() == Some(topic)),
                );
            let (has, lacks) = match (written, self.is_read(topic)) {
                (true, true) => continue,
                (true, false) => ("written", "read"),
                (false, true) => ("read", "written"),
                (false, false) => ("declared", "used"),
            };
            faults.push(TopologyFault::HalfInternalTopic { topic: topic.to_string(), has, lacks });
        }
    }

    fn copartitions(&self, faults: &mut Vec<TopologyFault>) {
        for source in self.topology.copartitions().iter().flatten() {
            if !matches!(self.index.get(&**source).map(|node| &node.kind), Some(NodeKind::Source(_))) {
                faults.push(TopologyFault::UnknownCopartition(source.to_string()));
            }
        }
    }

    fn cycles(&self, faults: &mut Vec<TopologyFault>) {
        let places: Vec<usize> = (0..self.topology.nodes().len()).collect();
        let sorted = parents_first(self.topology, &places);
        let circle: Vec<&str> = places
            .iter()
            .filter(|place| !sorted.contains(place))
            .map(|&place| &*self.topology.nodes()[place].name)
            .collect();
        if !circle.is_empty() && self.index.len() == places.len() {
            faults.push(TopologyFault::Cycle(circle.join(", ")));
        }
    }

    fn is_read(&self, topic: &str) -> bool {
        self.topology.nodes().iter().any(|node| match &node.kind {
            NodeKind::Source(source) => source.topics.names().iter().any(|name| &**name == topic),
            _ => false,
        })
    }
}

/// What a node forwards; none for a sink.
fn forwards(node: &NodeSpec) -> Option<RecordType> {
    match &node.kind {
        NodeKind::Source(source) => Some(source.output),
        NodeKind::Processor(processor) => Some(processor.output),
        NodeKind::Sink(_) => None,
    }
}

/// Whether Kafka takes this as the name of a topic (`org.apache.kafka.common.internals.Topic.validate`).
fn is_legal_topic(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= LONGEST_TOPIC_NAME
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests;
