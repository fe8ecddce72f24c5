//! How a task is to behave.

use std::fmt;
use std::time::Duration;

use super::retry::{RetryPolicy, Tried};
use crate::processor::{Policy, ProcessingPolicy, ProductionPolicy, Respond, Shared, SourceError};
use crate::record::{FetchedRecord, TopicPartition};
use crate::topology::TaskId;

/// The settings of a task.
#[derive(Debug, Clone)]
pub struct TaskConfig {
    /// `max.task.idle.ms`: how long to wait for a partition that has nothing left on the broker before records of
    /// others are processed without it; none never waits for any partition (Kafka's -1).
    pub max_task_idle: Option<Duration>,
    /// `buffered.records.per.partition`: a partition with more records waiting is to be paused.
    pub buffered_records_per_partition: usize,
    /// A partition with more bytes waiting is to be paused.
    pub buffered_bytes_per_partition: usize,
    /// A batch ends when what waits for the producer takes so many bytes of memory.
    pub max_output_bytes: usize,
    /// A commit is asked for when the stores hold so many bytes of uncommitted writes.
    pub max_uncommitted_bytes: usize,
    /// Changes gathered at most while much is restored.
    pub max_load_bytes: usize,
    /// What the caches of its stores may hold together (the task's share of `statestore.cache.max.bytes`).
    pub max_cache_bytes: usize,
    /// How often, by the wall clock, operators look for results whose time has come: windows that are closed, records
    /// that found no partner. Looking takes a scan of the store, so Kafka Streams does it once a second at most.
    pub emit_interval: Duration,
    /// What to do with records that cannot be deserialized.
    pub deserialization: DeserializationPolicy,
    /// What to do with records that a node fails to process.
    pub processing: ProcessingPolicy,
    /// What to do with records that cannot be serialized for a topic.
    pub production: ProductionPolicy,
    /// How failed records are tried again.
    pub retry: RetryPolicy,
    /// What a former run of the task has tried.
    pub tried: Option<Tried>,
}

impl TaskConfig {
    /// Hands the policies to the nodes.
    pub(super) fn apply_policies(&self, shared: &mut Shared) {
        shared.processing = self.processing.clone();
        shared.production = self.production.clone();
        shared.retries.max = self.retry.max;
    }
}

impl Default for TaskConfig {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        TaskConfig {
            max_task_idle: Some(Duration::ZERO),
            buffered_records_per_partition: 1000,
            buffered_bytes_per_partition: 2 * MIB,
            max_output_bytes: MIB,
            max_uncommitted_bytes: 32 * MIB,
            max_load_bytes: 32 * MIB,
            max_cache_bytes: 10 * MIB,
            emit_interval: Duration::from_secs(1),
            deserialization: DeserializationPolicy::default(),
            processing: ProcessingPolicy::default(),
            production: ProductionPolicy::default(),
            retry: RetryPolicy::default(),
            tried: None,
        }
    }
}

/// A record that cannot be read, as a deserialization handler sees it.
#[derive(Clone, Copy)]
pub struct FailedRecord<'a> {
    /// The task; none for the task of the global stores.
    pub task: Option<TaskId>,
    /// Where it came from.
    pub partition: &'a TopicPartition,
    /// Offset, time, headers and bytes.
    pub record: &'a dyn FetchedRecord,
}

impl fmt::Debug for FailedRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FailedRecord({} at offset {})", self.partition, self.record.offset())
    }
}

/// A user's own decision about records that cannot be deserialized.
pub type DeserializationHandler = dyn Fn(&FailedRecord<'_>, &SourceError) -> Respond + Send + Sync;

/// What to do with records that cannot be deserialized or have no valid time
/// (`deserialization.exception.handler`).
pub type DeserializationPolicy = Policy<DeserializationHandler>;

impl DeserializationPolicy {
    /// The answer to a record that cannot be read.
    pub(super) fn respond(&self, record: &FailedRecord<'_>, error: &SourceError) -> Respond {
        match (self, error) {
            // A node behind the source failed: the processing policy has decided already.
            (_, SourceError::Process(_)) => Respond::Fail,
            // As in Kafka, a time that is no time is a question of the extractor, not of this policy.
            (Policy::Continue | Policy::DeadLetter(_), SourceError::InvalidTimestamp { .. }) => Respond::Fail,
            _ => self.answer(|handler| handler(record, error)),
        }
    }
}
