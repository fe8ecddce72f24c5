//! Faults of a topology.

use std::fmt;

use thiserror::Error;

/// One fault, with its remedy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TopologyFault {
    /// Two nodes have one name.
    #[error("two nodes are named `{0}`: name them apart with `.named(..)`")]
    DuplicateNode(String),
    /// Two stores have one name.
    #[error("two stores are named `{0}`: name them apart with `Materialized::named(..)`")]
    DuplicateStore(String),
    /// A node names a parent that is not there (yet).
    #[error("node `{node}` names the parent `{parent}`, which was not added before it")]
    UnknownParent {
        /// The node.
        node: String,
        /// The parent.
        parent: String,
    },
    /// A processor or sink without a parent never sees a record.
    #[error("node `{0}` has no parent")]
    NoParent(String),
    /// A sink forwards nothing.
    #[error("node `{node}` names the sink `{parent}` as its parent, but sinks forward nothing")]
    SinkAsParent {
        /// The node.
        node: String,
        /// The sink.
        parent: String,
    },
    /// A parent forwards another type than the node takes.
    #[error("node `{node}` takes {takes}, but its parent `{parent}` forwards {forwards}")]
    TypeMismatch {
        /// The node.
        node: String,
        /// What it takes.
        takes: &'static str,
        /// The parent.
        parent: String,
        /// What that forwards.
        forwards: &'static str,
    },
    /// A node uses a store that is not there.
    #[error(
        "node `{node}` uses the store `{store}`, which the topology does not have: add it with `add_store`"
    )]
    UnknownStore {
        /// The node.
        node: String,
        /// The store.
        store: String,
    },
    /// Two sources read one topic, so a record's way would be ambiguous.
    #[error(
        "topic `{topic}` is read by two sources, `{first}` and `{second}`: read it once and use the stream twice"
    )]
    TopicReadTwice {
        /// The topic.
        topic: String,
        /// One source.
        first: String,
        /// The other source.
        second: String,
    },
    /// A topic's name is not a legal one.
    #[error("`{topic}` is no legal topic name: letters, digits, `.`, `_` and `-`, at most 249 of them")]
    InvalidTopic {
        /// The name.
        topic: String,
    },
    /// A source without a topic never sees a record.
    #[error("source `{0}` has no topic: name one, or give a pattern")]
    NoTopic(String),
    /// A source's pattern is no regular expression.
    #[error("the topic pattern of source `{node}` is no regular expression: {message}")]
    InvalidPattern {
        /// The source.
        node: String,
        /// What is wrong with it.
        message: String,
    },
    /// A store's name does not fit a topic's name, though its changelog is one.
    #[error("`{0}` is no legal store name: letters, digits, `.`, `_` and `-`, at most 249 of them")]
    InvalidStore(String),
    /// A store is to be connected with a processor that is not there.
    #[error(
        "the store `{store}` is to be connected with `{processor}`, which is no processor added before it"
    )]
    UnknownProcessor {
        /// The store.
        store: String,
        /// The processor.
        processor: String,
    },
    /// A processor names a global store as its own.
    #[error(
        "node `{node}` is connected with the global store `{store}`: every processor may read global stores, ask for \
         it by `global_store` instead"
    )]
    GlobalStoreConnected {
        /// The node.
        node: String,
        /// The store.
        store: String,
    },
    /// A node takes records from the source or the processor of a global store.
    #[error(
        "node `{node}` takes records from `{parent}`, which serves only the global store `{store}`: read the topic \
         by a source of its own"
    )]
    GlobalSourceShared {
        /// The node.
        node: String,
        /// The source or processor of the global store.
        parent: String,
        /// The store.
        store: String,
    },
    /// Nodes feed each other.
    #[error("the nodes {0} feed each other in a circle: break it with a topic")]
    Cycle(String),
    /// A store is to use a topic as its changelog that no source reads.
    #[error("the store `{store}` is to use the topic `{topic}` as its changelog, but no source reads that")]
    UnknownChangelogSource {
        /// The store.
        store: String,
        /// The topic.
        topic: String,
    },
    /// A join demands equal partition counts of something that is no source.
    #[error("`{0}` is to have as many partitions as others, but is no source")]
    UnknownCopartition(String),
    /// One of the topology's own topics is read but never written.
    #[error("the internal topic `{topic}` is {has}, but not {lacks}")]
    HalfInternalTopic {
        /// The topic.
        topic: String,
        /// What there is.
        has: &'static str,
        /// What there is not.
        lacks: &'static str,
    },
    /// A store's or topic's name is an automatic one, though the settings forbid that (KIP-1111).
    #[error(
        "the {resource} `{name}` has an automatic name, which changes with the topology and which \
         `ensure.explicit.internal.resource.naming` forbids: {remedy}"
    )]
    AutomaticName {
        /// What it is.
        resource: &'static str,
        /// Its name.
        name: String,
        /// How to name it.
        remedy: &'static str,
    },
    /// There is nothing to read from.
    #[error("the topology has no source: begin with `stream(..)` or `table(..)`")]
    NoSource,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// All faults of a topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopologyError {
    /// The faults in the order in which they were found.
    pub faults: Vec<TopologyFault>,
}

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the topology has {} fault(s)", self.faults.len())?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  - {fault}"))
    }
}

impl std::error::Error for TopologyError {}
