//! What happens to a record that a node cannot process.

use std::any::Any;
use std::sync::Arc;

use super::error::{ProcessorError, ProcessorErrorKind};
use super::policy::Policy;
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
    /// Tries again after a pause that doubles each time, up to [`RETRIES_MAX`] times or as often as `errors.retry.max`
    /// says; then it counts as `Fail`. The record is tried again where it stands if nothing was done for it yet; else, so that
    /// nothing is done twice, from the last commit. So is a punctuation: once more after the pause if nothing was done for it
    /// yet, records being processed meanwhile; else the task begins again from the last commit, and the punctuation comes
    /// when it is due then. When caches are flushed, and for a record that the producer or the broker has refused, it counts as
    /// `Fail`.
    Retry,
}

/// How often a handler's [`Respond::Retry`] is followed for one record, unless `errors.retry.max` is set.
pub const RETRIES_MAX: u32 = 10;

/// A step that failed, as a processing handler sees it.
#[derive(Debug, Clone, Copy)]
pub struct FailedStep<'a> {
    /// What happened, and in which node.
    pub error: &'a ProcessorError,
    /// Where the input record came from; none for a punctuation.
    pub record: Option<&'a RecordContext>,
    /// How often the record, or the punctuation, was tried before.
    pub attempt: u32,
}

/// A user's own decision about steps that fail.
pub type ProcessingHandler = dyn Fn(&FailedStep<'_>) -> Respond + Send + Sync;

/// What to do when a node fails to process a record (`processing.exception.handler`, KIP-1033): the record is dropped
/// at that node, and its other ways through the topology go on.
pub type ProcessingPolicy = Policy<ProcessingHandler>;

impl ProcessingPolicy {
    /// The answer to a failed step. A storage that fails is never passed over, for records would be lost without a trace;
    /// nor is a bound that the application wants kept.
    pub(super) fn respond(&self, step: &FailedStep<'_>) -> Respond {
        if is_lasting(step.error) { Respond::Fail } else { self.answer(|handler| handler(step)) }
    }
}

/// Whether the storage is at fault, or a bound that is to be kept.
fn is_lasting(error: &ProcessorError) -> bool {
    matches!(
        error.kind(),
        ProcessorErrorKind::Store(
            StoreError::Storage { .. } | StoreError::Corrupted { .. } | StoreError::Locked { .. }
        ) | ProcessorErrorKind::BufferFull { .. }
    )
}

/// How failed records are tried again.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    /// `errors.retry.max`: how often each is tried again before the policy is asked.
    pub(crate) max: Option<u32>,
    /// How often the current record, or punctuation, was tried before.
    pub(crate) attempt: u32,
    /// The current record, or punctuation, is to be tried again.
    pub(crate) wanted: bool,
    /// A punctuation runs: it may be tried again as a record may.
    pub(crate) at_punctuation: bool,
}

impl Retries {
    /// Whether the current record is to be tried again without asking anybody.
    pub(super) fn come_first(&self, error: &ProcessorError) -> bool {
        self.attempt < self.max.unwrap_or(0) && !is_lasting(error)
    }

    /// Whether a handler's wish to try again is granted.
    pub(crate) fn are_left(&self) -> bool {
        self.attempt < self.max.unwrap_or(RETRIES_MAX)
    }
}

/// An input record that is to be sent to a topic as it came, and why.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    pub(crate) topic: Arc<str>,
    /// What kind of error.
    pub(crate) exception: &'static str,
    pub(crate) message: String,
    /// The node where it happened.
    pub(crate) node: Option<Arc<str>>,
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "(no message)".to_owned())
}
