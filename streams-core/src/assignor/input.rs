//! What the assignor reads and writes.

use std::collections::BTreeMap;

use uuid::Uuid;

pub use crate::topology::TaskId;

/// A task to assign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskInput {
    /// Which task.
    pub id: TaskId,
    /// Whether it keeps state with a changelog. The same for all tasks of a sub-topology.
    pub stateful: bool,
    /// Sum of the end offsets of its changelog partitions; `None` if unknown or stateless, and then its state does not
    /// hold it back from moving.
    pub end_offset_sum: Option<i64>,
}

/// A member of the group as its subscription describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberInput {
    /// Id given by the coordinator.
    pub member_id: String,
    /// The process it lives in; members of one process share its fate, so no standby is placed beside its active task.
    pub process_id: Uuid,
    /// Share of the work it can take, its number of workers; 0 asks for no tasks at all.
    pub capacity: u32,
    /// Generation in which it got the tasks it claims, -1 if it claims none. Of two claims the newer one counts.
    pub generation: i32,
    /// Tasks that it runs and has not given back.
    pub active: Vec<TaskId>,
    /// State that it holds without running the task: the sum of the changelog offsets it has reached, by task.
    pub offset_sums: BTreeMap<TaskId, i64>,
    /// Tasks that it keeps up to date as a standby or warm-up.
    pub standby: Vec<TaskId>,
    /// `client.rack`, if set.
    pub rack: Option<String>,
    /// Where it runs, by tag (`zone` → `a`): standbys seek members whose tags differ.
    pub tags: BTreeMap<String, String>,
}

impl MemberInput {
    /// A member that has nothing yet.
    pub fn new(member_id: impl Into<String>, process_id: Uuid, capacity: u32) -> Self {
        Self {
            member_id: member_id.into(),
            process_id,
            capacity,
            generation: -1,
            active: Vec::new(),
            offset_sums: BTreeMap::new(),
            standby: Vec::new(),
            rack: None,
            tags: BTreeMap::new(),
        }
    }
}

/// The assignor's settings, by Kafka Streams' names and defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignorOptions {
    /// `num.standby.replicas`: copies of each task's state besides the active one.
    pub standby_replicas: usize,
    /// `acceptable.recovery.lag`: records that a member may be behind and still take over a task at once.
    pub acceptable_recovery_lag: i64,
    /// `max.warmup.replicas`: warm-ups that may be under way at a time.
    pub max_warmup_replicas: usize,
}

impl Default for AssignorOptions {
    fn default() -> Self {
        Self { standby_replicas: 0, acceptable_recovery_lag: 10_000, max_warmup_replicas: 2 }
    }
}

/// What one member is to run. Each list is sorted, and no task is in two of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberAssignment {
    /// Tasks to process.
    pub active: Vec<TaskId>,
    /// Tasks whose state to keep up to date.
    pub standby: Vec<TaskId>,
    /// Tasks whose state to build up, so that they can move here: the member asks for the next round when its lag is acceptable.
    pub warm_up: Vec<TaskId>,
}

/// The outcome of a round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assignment {
    /// What each member runs, by member id; every member has an entry.
    pub members: BTreeMap<String, MemberAssignment>,
    /// Tasks given to nobody in this round because another member has yet to give them back, with their next owner. If there are any, the
    /// owners rejoin as soon as they have closed them.
    pub withheld: BTreeMap<TaskId, String>,
}

impl Assignment {
    /// Whether another round follows at once.
    pub fn follow_up(&self) -> bool {
        !self.withheld.is_empty()
    }
}
