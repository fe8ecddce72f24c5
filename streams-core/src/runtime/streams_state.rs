//! What state an application is in, and what can be seen of it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use crate::membership::InstanceMetadata;
use crate::record::TopicPartition;
use crate::time::Timestamp;
use crate::topology::TaskId;

/// The state of an application instance (Kafka's `KafkaStreams.State`, with restoring apart).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamsState {
    /// Made, not started.
    Created,
    /// Waiting for the group to assign tasks; tasks that it has already go on.
    Rebalancing,
    /// At least one task is reading its state back; the others go on.
    Restoring,
    /// All tasks of the instance run.
    Running,
    /// Closing: what was processed is being committed.
    PendingShutdown,
    /// Closed.
    NotRunning,
    /// Ended by an error.
    Failed,
}

impl fmt::Display for StreamsState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StreamsState::Created => "CREATED",
            StreamsState::Rebalancing => "REBALANCING",
            StreamsState::Restoring => "RESTORING",
            StreamsState::Running => "RUNNING",
            StreamsState::PendingShutdown => "PENDING_SHUTDOWN",
            StreamsState::NotRunning => "NOT_RUNNING",
            StreamsState::Failed => "ERROR",
        })
    }
}

/// What an instance does at a moment.
#[derive(Debug, Clone, Default)]
pub struct StreamsStatus {
    /// The group's generation; -1 before the first.
    pub generation: i32,
    /// This member's id in the group.
    pub member_id: String,
    /// Whether this member leads the group.
    pub leader: bool,
    /// All instances of the application and their tasks, as of the latest assignment.
    pub instances: Vec<InstanceMetadata>,
    /// What is wrong with the source topics, for instance that one has got partitions for which the application's own topics have
    /// none: the tasks go on as they are.
    pub topic_fault: Option<String>,
    /// The tasks of this instance.
    pub tasks: BTreeMap<TaskId, TaskStatus>,
    /// Tasks of other instances whose state is copied here, and the sum of the changelog offsets that the copy has
    /// reached.
    pub standbys: BTreeMap<TaskId, i64>,
    /// The last errors, those included that passed by themselves; the latest comes last.
    pub errors: VecDeque<StatusError>,
}

/// An error as the status remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusError {
    /// When it happened, by the machine's clock.
    pub at: Timestamp,
    /// The task that it happened in, where it was one.
    pub task: Option<TaskId>,
    /// What happened.
    pub message: String,
}

/// What a task does at a moment.
#[derive(Debug, Clone, Default)]
pub struct TaskStatus {
    /// The worker that runs it, from 0.
    pub worker: usize,
    /// Whether it processes records; else it is reading its state back.
    pub running: bool,
    /// Records processed since it was opened here.
    pub processed_records: u64,
    /// Records dropped by operators: null keys, late records, undecodable ones under the policy `continue`.
    pub dropped_records: u64,
    /// Records read back into its stores when it was opened.
    pub restored_records: u64,
    /// Bytes of keys and values of these.
    pub restored_bytes: u64,
    /// Records still to be read back.
    pub restore_remaining: u64,
    /// How long that will take, by the pace so far; none where there is nothing to restore, or no pace yet.
    pub restore_eta: Option<Duration>,
    /// For each input partition the offset of the next record to process, and the lag as of the latest fetch answer
    /// (unknown before the first one).
    pub inputs: BTreeMap<TopicPartition, (i64, Option<i64>)>,
}
