//! What can go wrong inside a graph.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::serdes::SerdeError;
use crate::state::StoreError;

/// The key or the value of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordPart {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl fmt::Display for RecordPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordPart::Key => "key",
            RecordPart::Value => "value",
        })
    }
}

/// An error of a node: what happened, and in which node. One word wide, so that passing on success costs nothing.
#[derive(Debug)]
pub struct ProcessorError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    node: Option<Arc<str>>,
    kind: ProcessorErrorKind,
}

/// What happened in a node.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProcessorErrorKind {
    /// A store failed.
    #[error("state store: {0}")]
    Store(#[from] StoreError),
    /// A record could not be written for a topic.
    #[error("the {part} of a record for topic {topic} cannot be serialized: {source}")]
    Serialize {
        /// The topic.
        topic: Arc<str>,
        /// Key or value.
        part: RecordPart,
        /// Why.
        source: SerdeError,
    },
    /// A serde failed within an operator.
    #[error(transparent)]
    Serde(#[from] SerdeError),
    /// A parent forwards another type than the node takes.
    #[error(
        "the node takes {expected}, but was handed another type: connect it behind a node that forwards {expected}"
    )]
    WrongType {
        /// The type it takes.
        expected: &'static str,
    },
    /// A store was asked for that the node is not connected with, or by another type.
    #[error(
        "state store `{store}` is not available here as {expected}: connect it with the processor when adding either"
    )]
    NoSuchStore {
        /// The store's name.
        store: String,
        /// The type asked for.
        expected: &'static str,
    },
    /// A child was named that the node does not have.
    #[error("there is no child node `{child}`; there are: {children}")]
    NoSuchChild {
        /// The name asked for.
        child: String,
        /// The names there are.
        children: String,
    },
    /// A custom partitioner answered with a partition that the topic does not have.
    #[error("partition {partition} was chosen for topic {topic}, which has {partitions}")]
    NoSuchPartition {
        /// The topic.
        topic: Arc<str>,
        /// The answer.
        partition: i32,
        /// How many there are.
        partitions: i32,
    },
    /// A bounded buffer that is to end the task when it is full is full.
    #[error(
        "the buffer of suppressed changes is full, it has {records} of at most {max_records} records and {bytes} of at \
         most {max_bytes} bytes: give it more room, or let it emit early when it is full"
    )]
    BufferFull {
        /// How many records it has.
        records: usize,
        /// How many it may have.
        max_records: usize,
        /// How many bytes they take.
        bytes: usize,
        /// How many they may take.
        max_bytes: usize,
    },
    /// The user's code panicked.
    #[error("the application's code panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The user's code refused.
    #[error("{0}")]
    User(Box<dyn std::error::Error + Send + Sync>),
}

impl ProcessorError {
    /// An error of the user's own code.
    pub fn user(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        ProcessorErrorKind::User(source.into()).into()
    }

    /// What happened.
    pub fn kind(&self) -> &ProcessorErrorKind {
        &self.0.kind
    }

    /// The node where it happened, once the error has left it.
    pub fn node(&self) -> Option<&str> {
        self.0.node.as_deref()
    }

    /// Notes the node, unless an inner one is noted already.
    #[must_use]
    pub fn at(mut self, node: &Arc<str>) -> Self {
        self.0.node.get_or_insert_with(|| Arc::clone(node));
        self
    }
}

impl ProcessorErrorKind {
    /// A short name of what happened, for the headers of dead letters.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            ProcessorErrorKind::Store(_) => "StoreError",
            ProcessorErrorKind::Serialize { .. } | ProcessorErrorKind::Serde(_) => "SerializationError",
            ProcessorErrorKind::Panicked { .. } => "Panic",
            _ => "ProcessorError",
        }
    }
}

impl<E: Into<ProcessorErrorKind>> From<E> for ProcessorError {
    fn from(error: E) -> Self {
        ProcessorError(Box::new(Inner { node: None, kind: error.into() }))
    }
}

impl fmt::Display for ProcessorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.node {
            Some(node) => write!(f, "node {node}: {}", self.0.kind),
            None => self.0.kind.fmt(f),
        }
    }
}

impl std::error::Error for ProcessorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.kind)
    }
}
