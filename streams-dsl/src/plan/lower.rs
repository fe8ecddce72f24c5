//! From plan to topology.

use std::sync::Arc;

use streams_core::processor::RecordType;
use streams_core::state::StoreBuilder;
use streams_core::topology::{
    ProcessorSpec, SinkSpec, SourceSpec, Topology, TopologyBuilder, TopologyError, TopologyFault,
};

use super::name::Name;
use super::node::{NodeId, NodeTag, RepartitionNodes};
use super::{Plan, automatic};
use crate::topology_config::TopologyConfig;

/// The topology in the making, as one plan node sees it while it adds itself.
#[derive(Debug)]
pub(crate) struct Lowering<'a> {
    /// The topology so far.
    pub(crate) builder: &'a mut TopologyBuilder,
    /// Settings that shape the topology.
    pub(crate) config: &'a TopologyConfig,
    name: Arc<str>,
    parents: Vec<Arc<str>>,
    repartition: Option<RepartitionNodes>,
    keep_null_keys: bool,
    node: NodeId,
    plan: &'a Plan,
    outputs: &'a [Arc<str>],
}

impl Lowering<'_> {
    /// The names of the nodes that forward to it.
    pub(crate) fn parents(&self) -> &[Arc<str>] {
        &self.parents
    }

    /// The names of a repartition's nodes, where the node is one.
    pub(crate) fn repartition(&self) -> Option<RepartitionNodes> {
        self.repartition.clone()
    }

    /// Whether records without a key are to pass a repartition.
    pub(crate) fn keeps_null_keys(&self) -> bool {
        self.keep_null_keys
    }

    /// The name under which children of an earlier node hang.
    pub(crate) fn output_of(&self, node: NodeId) -> Arc<str> {
        Arc::clone(&self.outputs[node.0 as usize])
    }

    /// The node itself.
    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    /// A name, once all that names it has been said.
    pub(crate) fn resolve(&self, name: &Name) -> Arc<str> {
        name.resolve(&self.plan.names)
    }

    /// Whether two earlier nodes get their records from the same nodes.
    pub(crate) fn share_parents(&self, one: NodeId, other: NodeId) -> bool {
        let parents = |node: NodeId| self.plan.nodes[node.0 as usize].parents.iter();
        let mut pairs = parents(one).zip(parents(other));
        parents(one).len() == parents(other).len()
            && pairs.all(|(one, other)| self.output_of(*one) == self.output_of(*other))
    }

    /// Adds the node as a source.
    pub(crate) fn source(&mut self, spec: SourceSpec) {
        self.builder.add_source(Arc::clone(&self.name), spec);
    }

    /// Adds the node as a processor behind its parents.
    pub(crate) fn processor(&mut self, spec: ProcessorSpec) {
        self.builder.add_processor(Arc::clone(&self.name), &self.parents, spec);
    }

    /// Adds the node as a processor behind an earlier node instead of its parents.
    pub(crate) fn processor_behind(&mut self, parent: NodeId, spec: ProcessorSpec) {
        let parent = self.output_of(parent);
        self.builder.add_processor(Arc::clone(&self.name), &[parent], spec);
    }

    /// Adds the node as a sink behind its parents.
    pub(crate) fn sink(&mut self, spec: SinkSpec) {
        self.builder.add_sink(Arc::clone(&self.name), &self.parents, spec);
    }

    /// Adds a store and connects it with the node.
    pub(crate) fn store(&mut self, store: Arc<dyn StoreBuilder>) {
        self.builder.add_store(store, std::slice::from_ref(&self.name));
    }

    /// Connects the node with a store that another node has added.
    pub(crate) fn connect(&mut self, store: &Arc<str>) {
        self.builder.connect(&self.name, Arc::clone(store));
    }

    /// Demands equally many partitions of the topics behind these sources; one alone demands nothing.
    pub(crate) fn copartition(&mut self, sources: &[NodeId]) {
        let mut names: Vec<_> = sources.iter().map(|&source| self.output_of(source)).collect();
        names.sort();
        names.dedup();
        if names.len() > 1 {
            self.builder.copartition(&names);
        }
    }

    /// Notes a fault, to be listed with the others.
    pub(crate) fn fault(&mut self, message: impl Into<String>) {
        self.builder.fault(TopologyFault::Other(message.into()));
    }
}

/// A repartition that was lowered: its topic, what it reads, and the node behind it.
struct Repartitioned {
    topic: Arc<str>,
    from: Option<Arc<str>>,
    source: Arc<str>,
}

impl Plan {
    /// Turns the plan into a topology.
    ///
    /// # Errors
    /// Every fault of the plan and of the topology at once.
    pub(crate) fn lower(&self, config: &TopologyConfig) -> Result<Topology, TopologyError> {
        let mut builder = TopologyBuilder::new();
        let mut outputs: Vec<Arc<str>> = Vec::with_capacity(self.nodes.len());
        for fault in &self.faults {
            builder.fault(fault.clone());
        }
        for store in &self.stores {
            builder.add_store::<&str>(Arc::clone(store), &[]);
        }
        let keep_null_keys = self.nodes_before_relaxed_joins();
        let mut sources: Vec<(&str, RecordType, Arc<str>)> = Vec::new();
        // One stream or grouping that is repartitioned twice under one name is repartitioned once.
        let mut repartitions: Vec<Repartitioned> = Vec::new();
        for (node, keep_null_keys) in self.nodes.iter().zip(keep_null_keys) {
            let name = node.name.resolve(&self.names);
            let mut repartition = None;
            let output = match &node.tag {
                NodeTag::Source { topics, output } => {
                    let same = sources.iter().find(|(other, kind, _)| other == topics && kind == output);
                    if let Some((_, _, first)) = same {
                        outputs.push(Arc::clone(first));
                        continue;
                    }
                    sources.push((topics, *output, Arc::clone(&name)));
                    Arc::clone(&name)
                }
                NodeTag::Repartition(names) => {
                    let nodes = names.resolve(&self.names);
                    let from = node.parents.first().map(|parent| Arc::clone(&outputs[parent.0 as usize]));
                    let same = |it: &&Repartitioned| it.topic == nodes.topic && it.from == from;
                    if let Some(first) = repartitions.iter().find(same) {
                        outputs.push(Arc::clone(&first.source));
                        continue;
                    }
                    let (topic, source) = (Arc::clone(&nodes.topic), Arc::clone(&nodes.source));
                    repartitions.push(Repartitioned { topic, from, source });
                    let source = Arc::clone(&nodes.source);
                    repartition = Some(nodes);
                    source
                }
                NodeTag::Plain | NodeTag::RelaxedJoin => Arc::clone(&name),
            };
            let parents = node.parents.iter().map(|parent| Arc::clone(&outputs[parent.0 as usize])).collect();
            (node.lower)(&mut Lowering {
                builder: &mut builder,
                config,
                name,
                parents,
                repartition,
                keep_null_keys,
                node: NodeId(outputs.len() as u32),
                plan: self,
                outputs: &outputs,
            });
            outputs.push(output);
        }
        if config.ensure_explicit_names {
            automatic::refuse(&mut builder);
        }
        builder.build()
    }

    /// Which nodes have a join somewhere behind them that lets records without a key pass.
    fn nodes_before_relaxed_joins(&self) -> Vec<bool> {
        let mut before = vec![false; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate().rev() {
            if before[index] || matches!(node.tag, NodeTag::RelaxedJoin) {
                for parent in &node.parents {
                    before[parent.0 as usize] = true;
                }
            }
        }
        before
    }
}
