//! What the runtime does for the group while its member leads.

use async_trait::async_trait;
use uuid::Uuid;

use crate::assignor::TaskId;
use crate::record::TopicPartition;

use super::event::FaultKind;

/// Tells the leader which tasks there are. The runtime implements it: it knows the topology and may create topics.
#[async_trait]
pub trait GroupPlanner: Send + Sync {
    /// Called on the leader between JoinGroup and SyncGroup: create and validate the internal topics, learn the partition counts, and list all
    /// tasks. The group waits, so be done within the rebalance time-out; processing goes on meanwhile.
    ///
    /// # Errors
    /// A [`PlanError`] is told to all members; they keep their tasks, and the leader plans again after a pause.
    async fn plan(&self, members: &[MemberSummary]) -> Result<GroupPlan, PlanError>;
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSummary {
    /// Id given by the coordinator.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// The process it lives in.
    pub process_id: Uuid,
    /// `application.server`.
    pub application_server: Option<String>,
    /// Topics that it reads.
    pub topics: Vec<String>,
}

/// All tasks of the application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupPlan {
    /// The tasks, in any order.
    pub tasks: Vec<PlannedTask>,
}

/// One task as planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTask {
    /// Which task.
    pub id: TaskId,
    /// Its input partitions.
    pub partitions: Vec<TopicPartition>,
    /// Whether it keeps state with a changelog.
    pub stateful: bool,
    /// Sum of the end offsets of its changelog partitions; `None` if unknown or stateless, and then it moves without a warm-up.
    pub end_offset_sum: Option<i64>,
}

/// Why the tasks could not be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    /// What kind of fault.
    pub kind: FaultKind,
    /// What is wrong and what to do, told to all members.
    pub message: String,
}
