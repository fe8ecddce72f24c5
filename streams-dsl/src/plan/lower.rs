//! From plan to topology.

use std::sync::Arc;

use streams_core::processor::RecordType;
use streams_core::state::StoreBuilder;
use streams_core::topology::{
    ProcessorSpec, SinkSpec, SourceSpec, Topology, TopologyBuilder, TopologyError, TopologyFault,
};

use super::layout::Layout;
use super::name::{Name, Names};
use super::node::{NodeId, NodeTag, PlanNode, RepartitionNodes};
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
    layout: &'a Layout,
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
        let (one, other) = (self.layout.parents(one), self.layout.parents(other));
        let mut pairs = one.iter().zip(other);
        one.len() == other.len() && pairs.all(|(one, other)| self.output_of(*one) == self.output_of(*other))
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
        builder.optimized_by(config.optimization);
        for fault in &self.faults {
            builder.fault(fault.clone());
        }
        for wrapper in &self.wrappers {
            builder.wrap_processors(Arc::clone(wrapper));
        }
        for store in &self.stores {
            builder.add_store::<&str>(Arc::clone(store), &[]);
        }
        let layout = match config.optimization.merge_repartition_topics {
            true => Layout::with_merged_repartitions(self),
            false => Layout::of(self),
        };
        let keep_null_keys = layout.before_relaxed_joins(self);
        let nowhere: Arc<str> = "".into();
        let mut outputs = vec![nowhere; layout.len()];
        let mut seen = Seen::default();
        for &id in &layout.order {
            let (origin, merged) = layout.origin(id);
            let node = &self.nodes[origin.0 as usize];
            let parents: Vec<_> =
                layout.parents(id).iter().map(|parent| Arc::clone(&outputs[parent.0 as usize])).collect();
            let placed = seen.place(node, merged, &parents, &self.names);
            let (name, repartition) = match placed {
                Placed::Again(output) => {
                    outputs[id.0 as usize] = output;
                    continue;
                }
                Placed::New { name, repartition } => (name, repartition),
            };
            let output = repartition.as_ref().map_or_else(|| Arc::clone(&name), |it| Arc::clone(&it.source));
            (node.lower)(&mut Lowering {
                builder: &mut builder,
                config,
                name,
                parents,
                repartition,
                keep_null_keys: keep_null_keys[id.0 as usize],
                node: id,
                plan: self,
                layout: &layout,
                outputs: &outputs,
            });
            if merged.is_some() {
                let replaced = self.ids().filter(|node| layout.replacement(*node) == Some(id));
                replaced.for_each(|node| outputs[node.0 as usize] = Arc::clone(&output));
            }
            outputs[id.0 as usize] = output;
        }
        if config.ensure_explicit_names {
            automatic::refuse(&mut builder);
        }
        builder.build()
    }
}

/// What was added so far and need not be added again.
#[derive(Default)]
struct Seen<'a> {
    sources: Vec<(&'a str, RecordType, Arc<str>)>,
    /// One stream or grouping that is repartitioned twice under one name is repartitioned once.
    repartitions: Vec<Repartitioned>,
}

/// A node about to be lowered.
enum Placed {
    /// It is there already, under this name.
    Again(Arc<str>),
    /// It is to be added.
    New { name: Arc<str>, repartition: Option<RepartitionNodes> },
}

impl<'a> Seen<'a> {
    fn place(
        &mut self,
        node: &'a PlanNode,
        merged: Option<&RepartitionNodes>,
        parents: &[Arc<str>],
        names: &Names,
    ) -> Placed {
        let name = node.name.resolve(names);
        match &node.tag {
            NodeTag::Source { topics, output } => {
                let same = self.sources.iter().find(|(other, kind, _)| other == topics && kind == output);
                if let Some((_, _, first)) = same {
                    return Placed::Again(Arc::clone(first));
                }
                self.sources.push((topics, *output, Arc::clone(&name)));
                Placed::New { name, repartition: None }
            }
            NodeTag::Repartition(of_node) => {
                let nodes = merged.cloned().unwrap_or_else(|| of_node.resolve(names));
                let from = parents.first().cloned();
                let same = |it: &&Repartitioned| it.topic == nodes.topic && it.from == from;
                if let Some(first) = self.repartitions.iter().find(same) {
                    return Placed::Again(Arc::clone(&first.source));
                }
                let (topic, source) = (Arc::clone(&nodes.topic), Arc::clone(&nodes.source));
                self.repartitions.push(Repartitioned { topic, from, source });
                Placed::New { name, repartition: Some(nodes) }
            }
            _ => Placed::New { name, repartition: None },
        }
    }
}
