//! What happens to a record that a node cannot process.

use std::fmt;
use std::sync::Arc;

use super::error::{ProcessorError, ProcessorErrorKind};
use crate::record::RecordContext;
use crate::state::StoreError;

/// The answer of a handler to a record that cannot be read or processed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Respond {
    /// Ends the task with the error.
    Fail,
    /// Drops the record, counted in `dropped-records`, and goes on.
    Continue,
    /// Sends the input record as it came to this topic, with headers that say what happened (KIP-1034), and goes on.
    DeadLetter(Arc<str>),
}

/// A step that failed, as a processing handler sees it.
#[derive(Debug, Clone, Copy)]
pub struct FailedStep<'a> {
    /// What happened, and in which node.
    pub error: &'a ProcessorError,
    /// Where the input record came from; none for a punctuation.
    pub record: Option<&'a RecordContext>,
}

/// A user's own decision about steps that fail.
pub type ProcessingHandler = dyn Fn(&FailedStep<'_>) -> Respond + Send + Sync;

/// What to do when a node fails to process a record (`processing.exception.handler`, KIP-1033): the record is dropped
/// at that node, and its other ways through the topology go on.
#[derive(Clone, Default)]
pub enum ProcessingPolicy {
    /// The task ends with the error.
    #[default]
    Fail,
    /// The record is dropped and counted.
    Continue,
    /// The user decides.
    Ask(Arc<ProcessingHandler>),
}

impl fmt::Debug for ProcessingPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProcessingPolicy::Fail => "Fail",
            ProcessingPolicy::Continue => "Continue",
            ProcessingPolicy::Ask(_) => "Ask",
        })
    }
}

impl ProcessingPolicy {
    /// The answer to a failed step. A storage that fails is never passed over, for records would be lost without a trace;
    /// nor is a bound that the application wants kept.
    pub(super) fn respond(&self, step: &FailedStep<'_>) -> Respond {
        let lasting = matches!(
            step.error.kind(),
            ProcessorErrorKind::Store(
                StoreError::Storage { .. } | StoreError::Corrupted { .. } | StoreError::Locked { .. }
            ) | ProcessorErrorKind::BufferFull { .. }
        );
        match self {
            _ if lasting => Respond::Fail,
            ProcessingPolicy::Fail => Respond::Fail,
            ProcessingPolicy::Continue => Respond::Continue,
            ProcessingPolicy::Ask(handler) => handler(step),
        }
    }
}
