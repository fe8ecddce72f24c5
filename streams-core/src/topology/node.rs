//! What a topology knows of its nodes and stores.

use std::sync::Arc;
use std::time::Duration;

use crate::processor::{InitContext, processor_node};
use crate::processor::{
    Node, NodeFactory, Partitioner, Processor, ProcessorError, RecordType, SinkNode, SinkTopic,
    SourceDecoder, SourceNode,
};
use crate::record::Data;
use crate::serdes::Serde;
use crate::state::StoreBuilder;

/// The topics of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topics {
    /// These topics.
    Named(Vec<Arc<str>>),
    /// Every topic whose whole name matches this regular expression.
    Matching(String),
}

impl Topics {
    /// The topics by name; none for a pattern.
    pub fn names(&self) -> &[Arc<str>] {
        match self {
            Topics::Named(names) => names,
            Topics::Matching(_) => &[],
        }
    }

    /// The pattern, compiled so that it must match a whole name; none for topics by name and for a text that is no
    /// regular expression, which [`crate::topology::TopologyBuilder::build`] refuses.
    pub fn pattern(&self) -> Option<regex::Regex> {
        match self {
            Topics::Named(_) => None,
            Topics::Matching(pattern) => regex::Regex::new(&format!("^(?:{pattern})$")).ok(),
        }
    }
}

/// Where a source starts when the group has committed no offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the oldest record.
    Earliest,
    /// Behind the newest record.
    Latest,
    /// At the first record not older than this.
    ByDuration(Duration),
    /// Nowhere: it is an error.
    None,
}

/// A source node.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    /// Its topics; internal ones without the application id in front.
    pub topics: Topics,
    /// Deserializes and finds the event time.
    pub decoder: Arc<dyn SourceDecoder>,
    /// What it forwards.
    pub output: RecordType,
    /// Where to start without a committed offset; none takes the configuration's.
    pub reset: Option<OffsetReset>,
}

impl SourceSpec {
    /// A source of these topics.
    pub fn new<K: Data, V: Data>(topics: Topics, source: SourceNode<K, V>) -> Self {
        SourceSpec { topics, decoder: Arc::new(source), output: RecordType::of::<K, V>(), reset: None }
    }
}

/// A processor node.
#[derive(Clone)]
pub struct ProcessorSpec {
    /// Makes the node for each task.
    pub factory: Arc<dyn NodeFactory>,
    /// What it takes.
    pub input: RecordType,
    /// What it forwards.
    pub output: RecordType,
    /// Names of the stores that it uses.
    pub stores: Vec<Arc<str>>,
}

impl ProcessorSpec {
    /// A processor of the Processor API: `factory` makes it for each task.
    pub fn new<P, KIn, VIn, KOut, VOut>(
        factory: impl Fn(&mut InitContext<'_>) -> Result<P, ProcessorError> + Send + Sync + 'static,
    ) -> Self
    where
        P: Processor<KIn, VIn, KOut, VOut> + 'static,
        KIn: Data,
        VIn: Data,
        KOut: Data,
        VOut: Data,
    {
        Self::from_factory::<KIn, VIn, KOut, VOut>(move |context: &mut InitContext<'_>| {
            Ok(processor_node::<P, KIn, VIn, KOut, VOut>(factory(context)?))
        })
    }

    /// A node of the erased kind, with the types that it takes and forwards.
    pub fn from_factory<KIn: 'static, VIn: 'static, KOut: 'static, VOut: 'static>(
        factory: impl Fn(&mut InitContext<'_>) -> Result<Box<dyn Node>, ProcessorError> + Send + Sync + 'static,
    ) -> Self {
        ProcessorSpec {
            factory: Arc::new(factory),
            input: RecordType::of::<KIn, VIn>(),
            output: RecordType::of::<KOut, VOut>(),
            stores: Vec::new(),
        }
    }

    /// The same with stores that it uses.
    #[must_use]
    pub fn with_stores(mut self, stores: impl IntoIterator<Item = Arc<str>>) -> Self {
        self.stores.extend(stores);
        self
    }
}

impl std::fmt::Debug for ProcessorSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessorSpec").field("stores", &self.stores).finish_non_exhaustive()
    }
}

/// A sink node.
#[derive(Clone)]
pub struct SinkSpec {
    /// Its topic (internal ones without the application id in front); none where it is chosen per record.
    pub topic: Option<Arc<str>>,
    /// Makes the node for each task.
    pub factory: Arc<dyn NodeFactory>,
    /// What it takes.
    pub input: RecordType,
}

impl SinkSpec {
    /// A sink.
    pub fn new<K: Data, V: Data>(
        topic: SinkTopic<K, V>,
        key_serde: Arc<dyn Serde<K>>,
        value_serde: Arc<dyn Serde<V>>,
        partitioner: Partitioner<K, V>,
    ) -> Self {
        let name = match &topic {
            SinkTopic::Fixed(topic) => Some(Arc::clone(topic)),
            SinkTopic::Chosen(_) => None,
        };
        let factory = move |_: &mut InitContext<'_>| -> Result<Box<dyn Node>, ProcessorError> {
            let (keys, values) = (Arc::clone(&key_serde), Arc::clone(&value_serde));
            Ok(Box::new(SinkNode::new(topic.clone(), keys, values, partitioner.clone())))
        };
        SinkSpec { topic: name, factory: Arc::new(factory), input: RecordType::of::<K, V>() }
    }
}

impl std::fmt::Debug for SinkSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkSpec").field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// What a node does.
#[derive(Debug, Clone)]
pub enum NodeKind {
    /// Takes records in.
    Source(SourceSpec),
    /// Works on records.
    Processor(ProcessorSpec),
    /// Sends records out.
    Sink(SinkSpec),
}

/// A node of the topology.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Its name, unique in the topology.
    pub name: Arc<str>,
    /// Names of the nodes that forward to it, in order of declaration.
    pub parents: Vec<Arc<str>>,
    /// What it does.
    pub kind: NodeKind,
}

/// A store of the topology.
#[derive(Debug, Clone)]
pub struct StoreSpec {
    /// Makes it for each task.
    pub builder: Arc<dyn StoreBuilder>,
    /// The source topic that serves as its changelog (optimised source tables); none where it has a topic of its own.
    pub source_topic: Option<Arc<str>>,
}

/// A store of which every instance holds a full copy, fed from one topic.
#[derive(Debug, Clone)]
pub struct GlobalStoreSpec {
    /// Makes it.
    pub builder: Arc<dyn StoreBuilder>,
    /// Name of the source node.
    pub source: Arc<str>,
    /// Name of the processor node that keeps it up to date.
    pub processor: Arc<str>,
}
