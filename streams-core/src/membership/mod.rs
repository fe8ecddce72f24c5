//! Membership in the application's group: who is alive, who leads, and who runs which task.
//!
//! Speaks the classic group protocol (JoinGroup, SyncGroup, Heartbeat, LeaveGroup, OffsetCommit) with the `consumer` protocol type, so that Kafka's
//! tools show members and lag, and an assignment of our own in its user data. The rebalance is cooperative (KIP-429): tasks that do not move
//! go on throughout.
//!
//! Inside there are two layers. `GroupMember` is a state machine without clock or socket: answers and commands go in,
//! requests and events come out. [`Membership`] is the tokio task around it that owns the coordinator's connection.
//!
//! The life of a rebalance, as the runtime sees it:
//! 1. [`MembershipEvent::PreparingRebalance`]: commit what is processed, then drop the token; JoinGroup follows. Processing goes on.
//! 2. [`MembershipEvent::Revoke`]: tasks that move away; commit and close them, then drop the token; the next round starts at once.
//! 3. [`MembershipEvent::Assigned`]: everything that this member is to run now.
//!
//! Commits asked for between 1 and 3 wait until the new generation is known.

mod codec;
mod commit;
mod config;
mod error;
mod event;
mod group_member;
mod handle;
mod input;
mod leader;
mod lease;
mod planning;
mod progress;
mod requests;
mod shell;
mod vigil;

pub use config::MembershipConfig;
pub use error::{CommitError, MembershipError};
pub use event::{
    AssignedTask, AssignmentFault, CurrentTasks, FaultKind, InstanceMetadata, LostCause, MembershipEvent,
    Pause, TaskAssignment,
};
pub use handle::{GroupMetadata, Membership, MembershipHandle, OffsetToCommit};
pub use leader::{GroupPlan, GroupPlanner, MemberSummary, PlanError, PlannedTask};
pub use lease::Lease;
pub use progress::Progress;
