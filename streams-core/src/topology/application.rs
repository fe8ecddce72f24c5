//! A topology under an application id: what its topics are called on the broker.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::builder::Topology;
use super::check::parents_first;
use super::node::{NodeKind, SourceSpec};
use super::sub_topology::SubTopology;

/// A topology and the application it runs as. Nodes name the topology's own topics without the application id;
/// here they get their full names, `<application id>-<name>-repartition` and
/// `<application id>-<store>-changelog`.
#[derive(Debug)]
pub struct ApplicationTopology {
    topology: Arc<Topology>,
    application_id: Arc<str>,
    sub_topologies: Vec<SubTopology>,
    full_names: FxHashMap<Arc<str>, Arc<str>>,
}

impl ApplicationTopology {
    /// The topology as the application `application_id`.
    pub fn new(topology: Arc<Topology>, application_id: impl Into<Arc<str>>) -> Self {
        let application_id = application_id.into();
        let full_names = topology
            .internal_topics()
            .keys()
            .map(|name| (Arc::clone(name), Arc::from(format!("{application_id}-{name}"))))
            .collect();
        let sub_topologies = topology.sub_topologies();
        ApplicationTopology { topology, application_id, sub_topologies, full_names }
    }

    /// The same with all sub-topologies that have tasks put together in one, number 0: what the test driver runs, as
    /// Kafka's does, for there all topics have one partition and records cross repartition topics within the step.
    pub fn in_one_task(topology: Arc<Topology>, application_id: impl Into<Arc<str>>) -> Self {
        let mut application = ApplicationTopology::new(topology, application_id);
        let (globals, parts): (Vec<_>, Vec<_>) =
            application.sub_topologies.drain(..).partition(|sub_topology| sub_topology.global.is_some());
        let mut whole = SubTopology { id: 0, nodes: Vec::new(), stores: Vec::new(), global: None };
        for part in parts {
            whole.nodes.extend(part.nodes);
            whole.stores.extend(part.stores);
        }
        // Stores in the order in which they are to be flushed.
        whole.nodes.sort_unstable();
        whole.nodes = parents_first(&application.topology, &whole.nodes);
        whole.stores.sort_unstable();
        application.sub_topologies = (0u32..)
            .zip([whole].into_iter().chain(globals))
            .map(|(id, part)| SubTopology { id, ..part })
            .collect();
        application
    }

    /// The topology.
    pub fn topology(&self) -> &Arc<Topology> {
        &self.topology
    }

    /// The application id.
    pub fn application_id(&self) -> &Arc<str> {
        &self.application_id
    }

    /// All sub-topologies, those of global stores included, in the order of their numbers.
    pub fn sub_topologies(&self) -> &[SubTopology] {
        &self.sub_topologies
    }

    /// The sub-topology of this number.
    pub fn sub_topology(&self, id: u32) -> Option<&SubTopology> {
        self.sub_topologies.get(id as usize)
    }

    /// The name on the broker of a topic as a node names it.
    pub fn topic(&self, declared: &Arc<str>) -> Arc<str> {
        Arc::clone(self.full_names.get(declared).unwrap_or(declared))
    }

    /// The topology's own topics: the name that nodes use, the name on the broker.
    pub fn full_names(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.full_names.iter()
    }

    /// The changelog topic of the store at this place in [`Topology::stores`]; none where logging is off.
    pub fn changelog_topic(&self, store: usize) -> Option<Arc<str>> {
        let spec = self.topology.stores().get(store)?;
        match &spec.source_topic {
            Some(topic) => Some(self.topic(topic)),
            None => spec
                .builder
                .changelog()
                .map(|_| Arc::from(format!("{}-{}-changelog", self.application_id, spec.builder.name()))),
        }
    }

    /// Place and settings of the source that reads a topic (by its name on the broker) in a sub-topology.
    pub fn source_of(&self, sub_topology: &SubTopology, topic: &str) -> Option<(usize, &SourceSpec)> {
        sub_topology.nodes.iter().find_map(|&place| match &self.topology.nodes()[place].kind {
            NodeKind::Source(source) if self.reads(source, topic) => Some((place, source)),
            _ => None,
        })
    }

    /// Whether a source reads a topic, given by its name on the broker.
    pub fn reads(&self, source: &SourceSpec, topic: &str) -> bool {
        match source.topics.pattern() {
            // The application's own topics are never taken by a pattern: they have their sources.
            Some(pattern) => pattern.is_match(topic) && !self.full_names.values().any(|own| **own == *topic),
            None => source.topics.names().iter().any(|name| *self.topic(name) == *topic),
        }
    }
}
