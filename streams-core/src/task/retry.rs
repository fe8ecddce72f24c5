//! Records that are tried again.

use std::time::Duration;

use crate::record::TopicPartition;
use crate::time::Timestamp;

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How failed records are tried again before the policies are asked.
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
    /// The pause before a record is tried again that was tried `times` times before.
    pub fn pause(&self, times: u32) -> Duration {
        self.backoff.saturating_mul(1 << times.min(16)).min(PAUSE_MAX)
    }
}

/// How often a record was tried by a task that then began again from its last commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The record's partition.
    pub partition: TopicPartition,
    /// Its offset.
    pub offset: i64,
    /// How often it failed.
    pub times: u32,
}

/// The record that a task is about to try again.
#[derive(Debug)]
pub(super) struct Retry {
    pub(super) tried: Tried,
    pub(super) not_before: Timestamp,
}
