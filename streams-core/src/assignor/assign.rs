//! The assignor's steps, in order.

use super::balance::{Counts, quotas};
use super::group_view::GroupView;
use super::input::{Assignment, AssignorOptions, MemberAssignment, MemberInput, TaskInput};
use super::standby::standbys;
use super::warm_up::hold_back;

/// Assigns `tasks` to `members`.
///
/// With no members the result is empty. Tasks and members named twice count once.
///
/// 1. Everyone keeps what they run, as far as their share allows; the rest goes to whoever has most of its state.
/// 2. A task whose new owner is too far behind stays where its state is, and the new owner warms up.
/// 3. Standbys are placed.
/// 4. A task that another member still runs is withheld in this round.
///
/// ```
/// use streams_core::assignor::{assign, AssignorOptions, MemberInput, TaskId, TaskInput};
/// use uuid::Uuid;
///
/// let task = |partition| TaskInput { id: TaskId::new(0, partition), stateful: false, end_offset_sum: None };
/// let tasks: Vec<TaskInput> = (0..4).map(task).collect();
/// let mut first = MemberInput::new("a", Uuid::from_u128(1), 1);
/// first.active = tasks.iter().map(|task| task.id).collect();
/// let second = MemberInput::new("b", Uuid::from_u128(2), 1);
///
/// let round = assign(&tasks, &[first, second], &AssignorOptions::default());
/// assert_eq!(round.members["a"].active.len(), 2);
/// assert!(round.members["b"].active.is_empty(), "b gets its two tasks when a has given them back");
/// assert_eq!(round.withheld.len(), 2);
/// ```
pub fn assign(tasks: &[TaskInput], members: &[MemberInput], options: &AssignorOptions) -> Assignment {
    let view = GroupView::new(tasks, members);
    if view.members.is_empty() {
        return Assignment::default();
    }
    let owned = counts(&view, |task| view.owner[task]);
    let targets = place(&view, &quotas(&view, &owned, preferred_counts(&view, options)));
    let placed = hold_back(&view, targets, options);
    let standby = standbys(&view, &placed, options);
    withhold(&view, &placed.active, &placed.warm_up, standby)
}

/// How many tasks of each sub-topology members have, counting a task that nobody runs for the member that is ready to.
fn preferred_counts(view: &GroupView<'_>, options: &AssignorOptions) -> Counts {
    let ready = |task: usize| {
        let holders = view.holders(task).iter().map(|(member, _)| *member);
        let ready = holders.filter(|member| view.lag(task, *member) <= options.acceptable_recovery_lag);
        ready.max_by_key(|member| (view.progress(task, *member), std::cmp::Reverse(*member)))
    };
    counts(view, |task| view.owner[task].or_else(|| ready(task)))
}

/// How many tasks of each sub-topology fall to each member.
fn counts(view: &GroupView<'_>, member_of: impl Fn(usize) -> Option<usize>) -> Counts {
    let mut counts = vec![vec![0; view.members.len()]; view.sub_topologies.len()];
    for (row, range) in counts.iter_mut().zip(&view.sub_topologies) {
        range.clone().filter_map(&member_of).for_each(|member| row[member] += 1);
    }
    counts
}

/// Chooses the tasks behind the counts. Returns the member that is to run each task.
fn place(view: &GroupView<'_>, quotas: &Counts) -> Vec<usize> {
    let mut targets = vec![usize::MAX; view.tasks.len()];
    for (range, quota) in view.sub_topologies.iter().zip(quotas) {
        let mut room = quota.clone();
        let mut owned: Vec<Vec<usize>> = vec![Vec::new(); view.members.len()];
        let mut pool = Vec::new();
        for task in range.clone() {
            match view.owner[task] {
                Some(owner) => owned[owner].push(task),
                None => pool.push(task),
            }
        }
        let takes_more: Vec<bool> =
            (0..quota.len()).map(|member| quota[member] > owned[member].len() as u64).collect();
        for (member, mut tasks) in owned.into_iter().enumerate() {
            let keeps = usize::try_from(quota[member]).unwrap_or(usize::MAX).min(tasks.len());
            if keeps < tasks.len() {
                // Gives away first what somebody else has most state of, then the highest partitions.
                tasks.sort_by_key(|task| (head_start(view, *task, &takes_more), *task));
            }
            pool.extend_from_slice(&tasks[keeps..]);
            tasks[..keeps].iter().for_each(|task| targets[*task] = member);
            room[member] -= keeps as u64;
        }
        pool.sort_unstable();
        give(view, &pool, &mut room, &mut targets);
    }
    targets
}

/// The furthest that the state of `task` goes on a member that takes more tasks.
fn head_start(view: &GroupView<'_>, task: usize, takes_more: &[bool]) -> i64 {
    view.holders(task)
        .iter()
        .filter(|(member, _)| takes_more[*member])
        .map(|(_, sum)| *sum)
        .max()
        .unwrap_or(-1)
}

/// Gives the tasks of `pool` to members with room: first to those with state, then evenly.
fn give(view: &GroupView<'_>, pool: &[usize], room: &mut [u64], targets: &mut [usize]) {
    let mut rest = Vec::new();
    for &task in pool {
        let holders = view.holders(task).iter().filter(|(member, _)| room[*member] > 0);
        match holders.max_by_key(|(member, sum)| (*sum, std::cmp::Reverse(*member))) {
            Some((member, _)) => {
                targets[task] = *member;
                room[*member] -= 1;
            }
            None => rest.push(task),
        }
    }
    for task in rest {
        let most_room = (0..room.len()).max_by_key(|member| (room[*member], std::cmp::Reverse(*member)));
        let member = most_room.unwrap_or_default();
        targets[task] = member;
        room[member] = room[member].saturating_sub(1);
    }
}

/// Writes the lists, leaving out active tasks that another member has yet to give back.
fn withhold(
    view: &GroupView<'_>,
    active: &[usize],
    warm_up: &[Option<usize>],
    standby: Vec<Vec<usize>>,
) -> Assignment {
    let mut lists = vec![MemberAssignment::default(); view.members.len()];
    let mut assignment = Assignment::default();
    for (task, &member) in active.iter().enumerate() {
        let id = view.tasks[task].id;
        if view.owner[task].is_none_or(|owner| owner == member) {
            lists[member].active.push(id);
        } else {
            assignment.withheld.insert(id, view.members[member].member_id.clone());
            if view.keeps_standby(task, member) {
                // Its state stays open and up to date until the task arrives.
                lists[member].standby.push(id);
            }
        }
        if let Some(member) = warm_up[task] {
            lists[member].warm_up.push(id);
        }
        for &member in &standby[task] {
            lists[member].standby.push(id);
        }
    }
    let ids = view.members.iter().map(|member| member.member_id.clone());
    assignment.members = ids.zip(lists).collect();
    assignment
}

#[cfg(test)]
mod tests;
