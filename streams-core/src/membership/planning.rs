//! From the members' subscriptions and the planned tasks to everyone's assignment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::assignor::{AssignorOptions, MemberInput, TaskId, TaskInput, assign};
use crate::record::TopicPartition;

use super::codec::{Assigned, Subscription};
use super::event::{AssignedTask, AssignmentFault, FaultKind, InstanceMetadata};
use super::group_member::{Assignments, Joined};
use super::leader::{GroupPlan, GroupPlanner, MemberSummary, PlanError};

/// A leader's work for one generation: asks the runtime for the tasks, within `limit`, and assigns them. The flag says
/// that the assignments only tell of a fault.
pub(super) async fn plan(
    planner: Arc<dyn GroupPlanner>,
    members: Vec<Joined>,
    options: AssignorOptions,
    limit: Duration,
) -> (Assignments, bool) {
    let members = read(members);
    if let Some(message) = members.iter().find_map(|member| member.subscription.stop.clone()) {
        let ids = members.into_iter().map(|member| member.joined.member_id);
        // Not a fault that the leader gets over by planning again.
        return (faulty(ids, PlanError { kind: FaultKind::StopRequested, message }), false);
    }
    let summaries: Vec<MemberSummary> = members.iter().map(Known::summary).collect();
    let planned = match tokio::time::timeout(limit, planner.plan(&summaries)).await {
        Ok(planned) => planned,
        Err(_) => {
            let message = format!("the leader did not list the tasks within {limit:?}");
            Err(PlanError { kind: FaultKind::Temporary, message })
        }
    };
    match planned {
        Ok(plan) => (assignments(&plan, &members, &options), false),
        Err(fault) => {
            let ids = members.into_iter().map(|member| member.joined.member_id);
            (faulty(ids, fault), true)
        }
    }
}

/// The outcome of a plan that broke off, with its reason.
pub(super) fn failed(members: Vec<Joined>, reason: &str) -> (Assignments, bool) {
    let message = format!("the leader failed to list the tasks: {reason}");
    let fault = PlanError { kind: FaultKind::Temporary, message };
    (faulty(members.into_iter().map(|member| member.member_id), fault), true)
}

/// Assignments that tell everyone what is wrong.
fn faulty(member_ids: impl Iterator<Item = String>, fault: PlanError) -> Assignments {
    let PlanError { kind, message } = fault;
    let bytes = Assigned::faulty(AssignmentFault { kind, message }).encode();
    member_ids.map(|member_id| (member_id, bytes.clone())).collect()
}

/// A member and its subscription.
pub(super) struct Known {
    joined: Joined,
    subscription: Subscription,
}

impl Known {
    fn summary(&self) -> MemberSummary {
        MemberSummary {
            member_id: self.joined.member_id.clone(),
            instance_id: self.joined.instance_id.clone(),
            process_id: self.subscription.process_id,
            application_server: self.subscription.application_server.clone(),
            topics: self.subscription.topics.clone(),
        }
    }

    fn input(&self) -> MemberInput {
        let subscription = &self.subscription;
        MemberInput {
            member_id: self.joined.member_id.clone(),
            process_id: subscription.process_id,
            capacity: subscription.capacity,
            generation: subscription.generation,
            active: subscription.active.clone(),
            offset_sums: subscription.offset_sums.clone(),
            standby: subscription.standby.clone(),
            rack: subscription.rack.clone(),
            tags: subscription.tags.clone(),
        }
    }
}

/// Reads the subscriptions. A member whose bytes cannot be read gets no tasks, but a place.
pub(super) fn read(members: Vec<Joined>) -> Vec<Known> {
    let known = |joined: Joined| {
        let subscription = Subscription::decode(&joined.metadata).unwrap_or_else(|error| {
            tracing::warn!(member_id = joined.member_id, %error, "a member's subscription cannot be read");
            Subscription { generation: -1, ..Subscription::default() }
        });
        Known { joined, subscription }
    };
    members.into_iter().map(known).collect()
}

/// Everyone's assignment, as bytes.
pub(super) fn assignments(plan: &GroupPlan, members: &[Known], options: &AssignorOptions) -> Assignments {
    let task = |task: &super::leader::PlannedTask| TaskInput {
        id: task.id,
        stateful: task.stateful,
        end_offset_sum: task.end_offset_sum,
    };
    let tasks: Vec<TaskInput> = plan.tasks.iter().map(task).collect();
    let inputs: Vec<MemberInput> = members.iter().map(Known::input).collect();
    let partitions: BTreeMap<TaskId, &[TopicPartition]> =
        plan.tasks.iter().map(|task| (task.id, task.partitions.as_slice())).collect();
    let assignment = assign(&tasks, &inputs, options);
    let follow_up = assignment.follow_up();
    let with_partitions = |ids: Vec<TaskId>| {
        let task = |id: TaskId| {
            let mut partitions =
                partitions.get(&id).map(|partitions| partitions.to_vec()).unwrap_or_default();
            partitions.sort_unstable();
            AssignedTask { id, partitions }
        };
        ids.into_iter().map(task).collect()
    };
    let instances: Vec<InstanceMetadata> = members
        .iter()
        .map(|member| {
            let lists = assignment.members.get(&member.joined.member_id);
            InstanceMetadata {
                process_id: member.subscription.process_id,
                application_server: member.subscription.application_server.clone(),
                active: lists.map(|lists| lists.active.clone()).unwrap_or_default(),
                standby: lists.map(|lists| lists.standby.clone()).unwrap_or_default(),
            }
        })
        .collect();
    let encoded = assignment.members.into_iter().map(|(member_id, lists)| {
        let assigned = Assigned {
            active: with_partitions(lists.active),
            standby: with_partitions(lists.standby),
            warm_up: with_partitions(lists.warm_up),
            follow_up,
            fault: None,
            instances: instances.clone(),
        };
        (member_id, assigned.encode())
    });
    encoded.collect()
}
