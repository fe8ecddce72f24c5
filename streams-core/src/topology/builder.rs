//! Building a topology.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::error::{TopologyError, TopologyFault};
use super::node::{
    GlobalStoreSpec, NodeKind, NodeSpec, OffsetReset, ProcessorSpec, SinkSpec, SourceSpec, StoreSpec,
};
use super::optimization::TopologyOptimization;
use super::sub_topology::{self, SubTopology};
use super::{check, description, mermaid};
use crate::processor::ProcessorWrapper;
use crate::state::StoreBuilder;

/// A topic that the topology itself asks for: a repartition topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InternalTopic {
    /// How many partitions the user asked for; none takes as many as its inputs have.
    pub partitions: Option<i32>,
}

/// Gathers nodes and stores; faults are kept and listed together at [`TopologyBuilder::build`].
#[derive(Debug, Default)]
pub struct TopologyBuilder {
    nodes: Vec<NodeSpec>,
    index: HashMap<Arc<str>, usize>,
    stores: Vec<StoreSpec>,
    globals: Vec<GlobalStoreSpec>,
    internal_topics: BTreeMap<Arc<str>, InternalTopic>,
    copartitions: Vec<Vec<Arc<str>>>,
    wrappers: Vec<Arc<dyn ProcessorWrapper>>,
    optimization: Option<TopologyOptimization>,
    faults: Vec<TopologyFault>,
}

impl TopologyBuilder {
    /// An empty topology.
    pub fn new() -> Self {
        TopologyBuilder::default()
    }

    /// Adds a source.
    pub fn add_source(&mut self, name: impl Into<Arc<str>>, source: SourceSpec) -> &mut Self {
        self.add(name.into(), Vec::new(), NodeKind::Source(source))
    }

    /// Adds a processor behind its parents.
    pub fn add_processor<N: AsRef<str>>(
        &mut self,
        name: impl Into<Arc<str>>,
        parents: &[N],
        processor: ProcessorSpec,
    ) -> &mut Self {
        self.add(name.into(), names(parents), NodeKind::Processor(processor))
    }

    /// Adds a sink behind its parents.
    pub fn add_sink<N: AsRef<str>>(
        &mut self,
        name: impl Into<Arc<str>>,
        parents: &[N],
        sink: SinkSpec,
    ) -> &mut Self {
        self.add(name.into(), names(parents), NodeKind::Sink(sink))
    }

    /// Adds a store and connects it with processors, which must have been added before.
    pub fn add_store<N: AsRef<str>>(
        &mut self,
        builder: Arc<dyn StoreBuilder>,
        processors: &[N],
    ) -> &mut Self {
        let name: Arc<str> = builder.name().into();
        if self.stores.iter().any(|store| store.builder.name() == &*name) {
            self.faults.push(TopologyFault::DuplicateStore(name.to_string()));
            return self;
        }
        self.stores.push(StoreSpec { builder, source_topic: None });
        for processor in processors {
            self.connect(processor.as_ref(), Arc::clone(&name));
        }
        self
    }

    /// Uses a source topic as the changelog of a store, instead of a topic of its own.
    pub fn use_source_as_changelog(&mut self, store: &str, topic: impl Into<Arc<str>>) -> &mut Self {
        let topic = topic.into();
        for spec in self.stores.iter_mut().filter(|spec| spec.builder.name() == store) {
            spec.source_topic = Some(Arc::clone(&topic));
        }
        self
    }

    /// Connects a processor with a store.
    pub fn connect(&mut self, processor: &str, store: impl Into<Arc<str>>) -> &mut Self {
        let store = store.into();
        match self.index.get(processor).map(|&place| &mut self.nodes[place].kind) {
            Some(NodeKind::Processor(spec)) => {
                if !spec.stores.contains(&store) {
                    spec.stores.push(store);
                }
            }
            _ => self.faults.push(TopologyFault::UnknownProcessor {
                store: store.to_string(),
                processor: processor.to_owned(),
            }),
        }
        self
    }

    /// Adds a global store with its own source and processor.
    pub fn add_global_store(
        &mut self,
        builder: Arc<dyn StoreBuilder>,
        source: (impl Into<Arc<str>>, SourceSpec),
        processor: (impl Into<Arc<str>>, ProcessorSpec),
    ) -> &mut Self {
        let (source_name, processor_name): (Arc<str>, Arc<str>) = (source.0.into(), processor.0.into());
        let store: Arc<str> = builder.name().into();
        if self.globals.iter().any(|global| global.builder.name() == &*store) {
            self.faults.push(TopologyFault::DuplicateStore(store.to_string()));
        }
        self.add_source(Arc::clone(&source_name), source.1);
        let spec = processor.1.with_stores([store]);
        self.add_processor(Arc::clone(&processor_name), &[&source_name], spec);
        self.globals.push(GlobalStoreSpec { builder, source: source_name, processor: processor_name });
        self
    }

    /// Adds a store that is filled from a topic of its own by a processor and that all processors connected with it may
    /// read, one part per task (KIP-813). It has no changelog: it is restored from the topic as that has it, so the
    /// processor is to put keys and values there unchanged. The source begins at the oldest record.
    pub fn add_read_only_store(
        &mut self,
        builder: Arc<dyn StoreBuilder>,
        source: (impl Into<Arc<str>>, SourceSpec),
        processor: (impl Into<Arc<str>>, ProcessorSpec),
    ) -> &mut Self {
        let (source_name, processor_name): (Arc<str>, Arc<str>) = (source.0.into(), processor.0.into());
        let (store, mut spec) = (Arc::<str>::from(builder.name()), source.1);
        let topic = match spec.topics.names() {
            [topic] => Arc::clone(topic),
            _ => {
                let fault = format!(
                    "read-only store `{store}` is to be filled from one topic, named, not from several"
                );
                self.faults.push(TopologyFault::Other(fault));
                return self;
            }
        };
        spec.reset = Some(OffsetReset::Earliest);
        self.add_source(Arc::clone(&source_name), spec);
        self.add_processor(Arc::clone(&processor_name), &[source_name], processor.1);
        self.add_store(builder, &[processor_name]);
        self.use_source_as_changelog(&store, topic)
    }

    /// Declares a topic of the topology's own; nodes name it without the application id.
    pub fn add_internal_topic(&mut self, name: impl Into<Arc<str>>, topic: InternalTopic) -> &mut Self {
        self.internal_topics.insert(name.into(), topic);
        self
    }

    /// Demands that the topics of these sources have equally many partitions (both sides of a join).
    pub fn copartition<N: AsRef<str>>(&mut self, sources: &[N]) -> &mut Self {
        self.copartitions.push(names(sources));
        self
    }

    /// Lets `wrapper` wrap every processor, those added before and after; called again, the last one wraps the others.
    pub fn wrap_processors(&mut self, wrapper: Arc<dyn ProcessorWrapper>) -> &mut Self {
        self.wrappers.push(wrapper);
        self
    }

    /// Notes how the layer above has rewritten the topology, so that a setting that asks for more is not silently without
    /// effect.
    pub fn optimized_by(&mut self, optimization: TopologyOptimization) -> &mut Self {
        self.optimization = Some(optimization);
        self
    }

    /// Names of the stores added so far, without global ones.
    pub fn store_names(&self) -> impl Iterator<Item = &str> {
        self.stores.iter().map(|store| store.builder.name())
    }

    /// Names of the topology's own topics declared so far.
    pub fn internal_topic_names(&self) -> impl Iterator<Item = &str> {
        self.internal_topics.keys().map(|name| &**name)
    }

    /// Notes a fault that a layer above has found, to be listed with the others.
    pub fn fault(&mut self, fault: TopologyFault) -> &mut Self {
        self.faults.push(fault);
        self
    }

    /// The topology, if nothing is wrong with it.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn build(mut self) -> Result<Topology, TopologyError> {
        for node in &mut self.nodes {
            let NodeKind::Processor(processor) = &mut node.kind else { continue };
            for wrapper in &self.wrappers {
                processor.factory = wrapper.wrap(&node.name, Arc::clone(&processor.factory));
            }
        }
        let topology = Topology {
            nodes: self.nodes,
            stores: self.stores,
            globals: self.globals,
            internal_topics: self.internal_topics,
            copartitions: self.copartitions,
            optimization: self.optimization,
        };
        check::find_faults(&topology, &mut self.faults);
        if !self.faults.is_empty() {
            return Err(TopologyError { faults: self.faults });
        }
        Ok(topology)
    }

    fn add(&mut self, name: Arc<str>, parents: Vec<Arc<str>>, kind: NodeKind) -> &mut Self {
        if self.index.insert(Arc::clone(&name), self.nodes.len()).is_some() {
            self.faults.push(TopologyFault::DuplicateNode(name.to_string()));
        }
        self.nodes.push(NodeSpec { name, parents, kind });
        self
    }
}

fn names<N: AsRef<str>>(names: &[N]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(name.as_ref())).collect()
}

/// An immutable topology, shared by all tasks.
#[derive(Debug)]
pub struct Topology {
    nodes: Vec<NodeSpec>,
    stores: Vec<StoreSpec>,
    globals: Vec<GlobalStoreSpec>,
    internal_topics: BTreeMap<Arc<str>, InternalTopic>,
    copartitions: Vec<Vec<Arc<str>>>,
    optimization: Option<TopologyOptimization>,
}

impl Topology {
    /// All nodes in the order in which they were added; children usually, but not always, behind their parents.
    pub fn nodes(&self) -> &[NodeSpec] {
        &self.nodes
    }

    /// All stores but the global ones.
    pub fn stores(&self) -> &[StoreSpec] {
        &self.stores
    }

    /// The global stores.
    pub fn globals(&self) -> &[GlobalStoreSpec] {
        &self.globals
    }

    /// The topology's own topics, without the application id in front.
    pub fn internal_topics(&self) -> &BTreeMap<Arc<str>, InternalTopic> {
        &self.internal_topics
    }

    /// Groups of sources whose topics must have equally many partitions.
    pub fn copartitions(&self) -> &[Vec<Arc<str>>] {
        &self.copartitions
    }

    /// How it was rewritten when it was built; none where nothing can be, as it was not made of operators.
    pub fn optimization(&self) -> Option<TopologyOptimization> {
        self.optimization
    }

    /// The sub-topologies in the order of their numbers, those of global stores included.
    pub fn sub_topologies(&self) -> Vec<SubTopology> {
        sub_topology::group(self)
    }

    /// The text that Kafka's `Topology.describe()` prints for this topology, character by character.
    pub fn describe(&self) -> String {
        description::describe(self)
    }

    /// The topology as a Mermaid flowchart, with its topics and stores.
    pub fn mermaid(&self) -> String {
        mermaid::mermaid(self)
    }

    /// The place of the node of this name.
    pub(crate) fn place_of(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| &*node.name == name)
    }
}
