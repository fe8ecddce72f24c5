//! Where the copies of a task's state go.

use std::cmp::Reverse;

use super::group_view::GroupView;
use super::input::{AssignorOptions, MemberInput};
use super::warm_up::Placed;

/// The members that keep a standby of each task.
///
/// Never two copies in one process. In this order: other tags and racks than the copies already placed, room, state
/// that is there already, few other copies for the same active member (so that its tasks spread when it dies), the least load.
pub(super) fn standbys(view: &GroupView<'_>, placed: &Placed, options: &AssignorOptions) -> Vec<Vec<usize>> {
    let mut chosen = vec![Vec::new(); view.tasks.len()];
    if options.standby_replicas == 0 {
        return chosen;
    }
    let apart = distances(view);
    let stateful = view.tasks.iter().filter(|task| task.stateful).count() as u64;
    let wanted = stateful * options.standby_replicas as u64;
    let total_capacity: u64 = view.capacity.iter().sum();
    let share = |member: usize| (wanted * view.capacity[member]).div_ceil(total_capacity);
    let mut load = vec![0_u64; view.members.len()];
    let mut pairs = vec![vec![0_u64; view.members.len()]; view.members.len()];
    for (task, copies) in chosen.iter_mut().enumerate() {
        if !view.tasks[task].stateful {
            continue;
        }
        let active = placed.active[task];
        let mut holders = vec![active];
        holders.extend(placed.warm_up[task]);
        for _ in 0..options.standby_replicas {
            let free = (0..view.members.len()).filter(|member| {
                view.capacity[*member] > 0
                    && holders.iter().all(|holder| view.process[*holder] != view.process[*member])
            });
            let best = free.max_by_key(|&member| {
                let distance: u32 = holders.iter().map(|holder| apart[*holder][member]).sum();
                let has_room = load[member] < share(member);
                // Load by capacity in thousandths, so that whole numbers compare.
                let relative_load = load[member] * 1_000 / view.capacity[member];
                let state = view.progress(task, member);
                let spread = (Reverse(pairs[active][member]), Reverse(relative_load), Reverse(member));
                (distance, has_room, state, spread)
            });
            let Some(member) = best else { break };
            load[member] += 1;
            pairs[active][member] += 1;
            holders.push(member);
            copies.push(member);
        }
    }
    chosen
}

/// By how many tags, the rack among them, two members differ.
fn distances(view: &GroupView<'_>) -> Vec<Vec<u32>> {
    let distance = |a: &MemberInput, b: &MemberInput| {
        let rack = a.rack.is_some() && b.rack.is_some() && a.rack != b.rack;
        let tags = a.tags.iter().filter(|(tag, value)| b.tags.get(*tag).is_some_and(|other| other != *value));
        u32::from(rack) + u32::try_from(tags.count()).unwrap_or(u32::MAX >> 1)
    };
    view.members.iter().map(|a| view.members.iter().map(|b| distance(a, b)).collect()).collect()
}
