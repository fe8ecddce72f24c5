//! What a membership tells the runtime.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::assignor::TaskId;
use crate::record::TopicPartition;

use super::error::MembershipError;

/// News of the group, in order.
#[derive(Debug)]
#[non_exhaustive]
pub enum MembershipEvent {
    /// A rebalance is about to begin: commit what is processed, report the state held, go on processing.
    PreparingRebalance {
        /// Why, for logs.
        reason: String,
        /// JoinGroup is sent once this is resumed, or dropped, or `rebalance_timeout` has passed.
        ready: Pause<CurrentTasks>,
    },
    /// Tasks were taken away and will run elsewhere: commit and close them. Always before the [`Assigned`](Self::Assigned) of the same round.
    Revoke {
        /// The active tasks taken away.
        tasks: Vec<TaskId>,
        /// The next round begins once this is resumed or dropped.
        closed: Pause<()>,
    },
    /// A new generation: all that this member is to run.
    Assigned(TaskAssignment),
    /// The leader could not assign. The member keeps what it has; the leader tries again by itself.
    AssignmentFailed(AssignmentFault),
    /// All tasks are lost and may already run elsewhere: close them without commit. A new membership is sought at once.
    Lost {
        /// The active tasks this member had.
        tasks: Vec<TaskId>,
        /// How it was noticed.
        cause: LostCause,
    },
    /// The coordinator cannot be reached; the member keeps its tasks and goes on trying. Sent once per outage.
    CoordinatorUnavailable {
        /// The last error.
        error: String,
    },
    /// The coordinator answers again after [`CoordinatorUnavailable`](Self::CoordinatorUnavailable).
    CoordinatorAvailable {
        /// Length of the outage.
        after: Duration,
    },
    /// The membership has ended for good: the last event.
    Failed(MembershipError),
    /// The member left as it was asked to: the last event.
    Left,
}

/// Something that the membership waits for. Dropping it without an answer lets the membership go on as well.
#[derive(Debug)]
#[must_use = "the rebalance waits until this is resumed or dropped"]
pub struct Pause<T> {
    answer: oneshot::Sender<T>,
}

impl<T> Pause<T> {
    pub(super) fn new() -> (Self, oneshot::Receiver<T>) {
        let (answer, answered) = oneshot::channel();
        (Self { answer }, answered)
    }

    /// Lets the membership go on.
    pub fn resume(self, answer: T) {
        // Nobody listens any more when the time-out has passed or the member was lost: nothing is to be done then.
        let _ = self.answer.send(answer);
    }
}

/// State that a member holds besides its active tasks, reported when it joins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CurrentTasks {
    /// Standbys and warm-ups that it runs.
    pub standby: Vec<TaskId>,
    /// Sum of the changelog offsets reached, by task, for all state on its disk that is not an active task's.
    pub offset_sums: BTreeMap<TaskId, i64>,
}

/// All that a member is to run in a generation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskAssignment {
    /// Generation; offsets are committed under it.
    pub generation: i32,
    /// This member's id.
    pub member_id: String,
    /// Whether this member is the group's leader.
    pub leader: bool,
    /// Tasks to process.
    pub active: Vec<AssignedTask>,
    /// Tasks whose state to keep up to date.
    pub standby: Vec<AssignedTask>,
    /// Tasks whose state to build up; [`request_rejoin`](super::MembershipHandle::request_rejoin) when it is recent enough.
    pub warm_up: Vec<AssignedTask>,
    /// Active tasks that are new to this member.
    pub added: Vec<TaskId>,
    /// The workers that this member had to offer when it joined the round.
    pub capacity: u32,
    /// Whether another round follows at once, because tasks wait for their former owner.
    pub follow_up: bool,
    /// All instances and what they have; empty where the leader is of a version that does not tell.
    pub instances: Vec<InstanceMetadata>,
}

/// An instance of the application and its tasks, as the group's leader has told all members (Kafka's
/// `StreamsMetadata`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceMetadata {
    /// The process: the same after a restart with the same state directory.
    pub process_id: Uuid,
    /// `application.server`: `host:port` where it can be asked, where it was given one.
    pub application_server: Option<String>,
    /// The tasks that it runs, sorted. While tasks move they may be nobody's for a moment.
    pub active: Vec<TaskId>,
    /// The tasks whose state it keeps a copy of, sorted.
    pub standby: Vec<TaskId>,
}

/// A task and the input partitions that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedTask {
    /// Which task.
    pub id: TaskId,
    /// Its input partitions, sorted.
    pub partitions: Vec<TopicPartition>,
}

/// Why the leader could not assign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentFault {
    /// What kind of fault.
    pub kind: FaultKind,
    /// The leader's words.
    pub message: String,
}

/// Kinds of faults that the leader reports to all members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// A source topic does not exist (yet).
    MissingSourceTopic,
    /// Topics exist but do not fit: co-partitioned ones of different partition counts, internal ones of a wrong count.
    InvalidTopics,
    /// Anything else, such as brokers that cannot be reached; passes by itself, as a rule.
    Temporary,
    /// A member asked all instances of the application to stop.
    StopRequested,
}

/// How the loss of all tasks was noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LostCause {
    /// The coordinator no longer knows this member (error 25): its session had run out.
    UnknownMember,
    /// The group has moved on without this member (error 22).
    IllegalGeneration,
    /// No progress for longer than `max.poll.interval.ms`; the member left by itself.
    NoProgress {
        /// Time since the last progress.
        since: Duration,
    },
}
