//! The words of the state machine: phases, actions, requests and answers.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;

use crate::assignor::TaskId;
use crate::membership::error::MembershipError;
use crate::membership::event::{AssignmentFault, LostCause, TaskAssignment};

use super::Assignments;

/// Where a member is in its life.
#[derive(Debug)]
pub(super) enum Phase {
    /// The runtime commits, and tells what it holds.
    Preparing { token: u64, ready: bool, deadline: Instant },
    /// JoinGroup is to be sent.
    NeedJoin { not_before: Instant },
    /// JoinGroup is under way; it is answered when all members have joined.
    Joining,
    /// The leader makes the assignments.
    Planning,
    /// SyncGroup is to be sent.
    NeedSync { assignments: Assignments },
    /// SyncGroup is under way; it is answered when the leader has sent the assignments.
    Syncing,
    /// All is well.
    Stable,
    /// Left for lack of progress.
    Parked { since: Instant },
    /// Left or failed for good.
    Ended,
}

/// What is known of the coordinator.
#[derive(Debug)]
pub(super) enum Coordinator {
    Unknown { not_before: Instant },
    Finding,
    Known,
}

/// A wish for a new round.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) reason: String,
    /// Others have begun it already, so that it does not wait for tasks being closed before it is announced.
    pub(super) at_once: bool,
}

/// What the surroundings are to do.
#[derive(Debug)]
pub(in crate::membership) enum Action {
    /// Find the coordinator and connect to it.
    FindCoordinator,
    /// Send a request. All but LeaveGroup are answered to the machine.
    Send(GroupRequest),
    /// Make assignments for all members of `generation`.
    Plan { generation: i32, members: Vec<Joined> },
    /// Tell the runtime.
    Tell(News),
}

/// A request to the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::membership) enum GroupRequest {
    Join { member_id: String, metadata: Bytes, reason: String },
    Sync { generation: i32, member_id: String, assignments: Assignments },
    Heartbeat { generation: i32, member_id: String },
    Leave { member_id: String, reason: &'static str },
}

/// A member as the coordinator lists it to the leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::membership) struct Joined {
    pub(in crate::membership) member_id: String,
    pub(in crate::membership) instance_id: Option<String>,
    pub(in crate::membership) metadata: Bytes,
}

/// Answer to JoinGroup.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::membership) struct JoinAnswer {
    pub(in crate::membership) code: Option<ResponseError>,
    pub(in crate::membership) generation: i32,
    pub(in crate::membership) member_id: String,
    pub(in crate::membership) leader: String,
    /// The assignment stands: a static leader has come back (KIP-814).
    pub(in crate::membership) skip_assignment: bool,
    pub(in crate::membership) members: Vec<Joined>,
}

/// Answer to SyncGroup.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::membership) struct SyncAnswer {
    pub(in crate::membership) code: Option<ResponseError>,
    pub(in crate::membership) assignment: Bytes,
}

/// News for the runtime; the tokens name what is to be answered.
#[derive(Debug)]
pub(in crate::membership) enum News {
    Preparing { token: u64, reason: String },
    Revoke { token: u64, tasks: Vec<TaskId> },
    Assigned(TaskAssignment),
    AssignmentFailed(AssignmentFault),
    Lost { tasks: Vec<TaskId>, cause: LostCause },
    Unavailable { error: String },
    Available { after: Duration },
    Failed(MembershipError),
}

/// Whether commits may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::membership) enum CommitGate {
    /// Under the current generation and member id.
    Open,
    /// Not now: a new generation is being made, or the coordinator looked for.
    Hold,
    /// There is no membership to commit under.
    Closed,
}
