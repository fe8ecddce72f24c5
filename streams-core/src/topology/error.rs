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
