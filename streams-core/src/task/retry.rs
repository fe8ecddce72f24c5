//! Records and punctuations that are tried again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::processor::PunctuationId;
use crate::record::TopicPartition;
use crate::time::Timestamp;

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How failed records and punctuations are tried again before the policies are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// `errors.retry.max`: how often; where it is none, only a handler's wish counts.
    pub max: Option<u32>,
    /// `errors.retry.backoff.ms`: the first pause, which doubles.
    pub backoff: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy { max: None, backoff: Duration::from_millis(100) }
    }
}

impl RetryPolicy {
    /// The pause before something is tried again that was tried `times` times before.
    pub fn pause(&self, times: u32) -> Duration {
        self.backoff.saturating_mul(1 << times.min(16)).min(PAUSE_MAX)
    }
}

/// How often a step was tried by a task that then began again from its last commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Which step.
    pub step: TriedStep,
    /// How often it failed.
    pub times: u32,
}

/// What is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriedStep {
    /// An input record.
    Record {
        /// Its partition.
        partition: TopicPartition,
        /// Its offset.
        offset: i64,
    },
    /// A punctuation of a node; a task that is opened again has the same ones.
    Punctuation {
        /// The node.
        node: Arc<str>,
        /// Which of its punctuations.
        id: PunctuationId,
    },
}

impl Tried {
    pub(super) fn is_record(&self, partition: &TopicPartition, offset: i64) -> bool {
        matches!(&self.step, TriedStep::Record { partition: p, offset: o } if *o == offset && p == partition)
    }

    pub(super) fn is_punctuation(&self, id: PunctuationId) -> bool {
        matches!(&self.step, TriedStep::Punctuation { id: tried, .. } if *tried == id)
    }
}

impl fmt::Display for TriedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TriedStep::Record { partition, offset } => {
                write!(f, "the record of {partition} at offset {offset}")
            }
            TriedStep::Punctuation { node, .. } => write!(f, "a punctuation of node {node}"),
        }
    }
}

/// The record that a task is about to try again.
#[derive(Debug)]
pub(super) struct Retry {
    pub(super) tried: Tried,
    pub(super) not_before: Timestamp,
}
