//! Who runs which task: a pure function from what is known about the group to an assignment for every member.
//!
//! The same input gives the same answer, whatever the order of tasks and members. In words: every task has one owner;
//! owners have their share by capacity, in all, of the tasks with state, and of every sub-topology; whoever has a task keeps it
//! as long as that holds; a task that must move is first taken away, and given in the next round; state moves ahead of
//! the task, by a warm-up; and a standby never sits in the process of the task that it stands by.
//!
//! After Kafka Streams' `HighAvailabilityTaskAssignor` (KIP-441) and the cooperative protocol (KIP-429).

mod assign;
mod balance;
mod circulation;
mod group_view;
mod input;
mod standby;
mod warm_up;

pub use assign::assign;
pub use input::{Assignment, AssignorOptions, MemberAssignment, MemberInput, TaskId, TaskInput};
