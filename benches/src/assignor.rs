//! How long it takes to share out many tasks among many members.

use std::collections::BTreeSet;
use std::time::Instant;

use streams_dsl::assignor::{Assignment, AssignorOptions, MemberInput, TaskId, TaskInput, assign};

use crate::arguments::AssignorArguments;
use crate::load::print;

/// Tasks of one sub-topology, at most.
const PARTITIONS: u32 = 1_000;
/// Process ids: the first member's, and so on.
const FIRST_PROCESS: u128 = 1;

/// Times the assignor in the rounds of a group's life, prints one JSON line, and says whether each round gave every task one owner
/// within the limit.
pub fn assignor(arguments: &AssignorArguments) -> bool {
    let tasks = tasks(arguments.tasks);
    let mut rounds: Vec<(&str, f64)> = Vec::new();
    let mut right = true;
    let mut timed = |what: &'static str, members: &[MemberInput]| {
        let options = AssignorOptions {
            standby_replicas: arguments.standbys,
            acceptable_recovery_lag: i64::MAX,
            ..AssignorOptions::default()
        };
        let begun = Instant::now();
        let round = assign(&tasks, members, &options);
        rounds.push((what, begun.elapsed().as_secs_f64() * 1e3));
        right &= is_whole(&round, &tasks);
        round
    };
    let mut members: Vec<MemberInput> = (0..arguments.members).map(member).collect();
    let round = timed("start", &members);
    adopt(&mut members, &round);
    let stays = timed("nothing_changed", &members).withheld.is_empty();
    members.push(member(arguments.members));
    timed("one_joined", &members);
    members.drain(..2.min(members.len() - 1));
    timed("two_died", &members);
    let mut one_has_all: Vec<MemberInput> = (0..arguments.members).map(member).collect();
    one_has_all[0].active = tasks.iter().map(|task| task.id).collect();
    timed("one_had_all", &one_has_all);
    let slowest = rounds.iter().map(|(_, took)| *took).fold(0.0, f64::max);
    right &= stays && slowest <= arguments.limit_ms;
    let figures: Vec<String> = rounds.iter().map(|(what, took)| format!("\"{what}_ms\":{took:.1}")).collect();
    print(format_args!(
        "{{\"assignor\":\"ms\",\"tasks\":{},\"members\":{},\"standbys\":{},{},\"slowest_ms\":{slowest:.1},\"right\":{right}}}",
        arguments.tasks,
        arguments.members,
        arguments.standbys,
        figures.join(","),
    ));
    right
}

fn tasks(count: u32) -> Vec<TaskInput> {
    let id = |number: u32| TaskId::new(number / PARTITIONS, number % PARTITIONS);
    (0..count)
        .map(|number| TaskInput { id: id(number), stateful: true, end_offset_sum: Some(1_000) })
        .collect()
}

fn member(number: u32) -> MemberInput {
    let process = uuid::Uuid::from_u128(FIRST_PROCESS + u128::from(number));
    MemberInput::new(format!("member-{number:04}"), process, 1)
}

/// Members go on with what they were given.
fn adopt(members: &mut [MemberInput], round: &Assignment) {
    for member in members {
        if let Some(given) = round.members.get(&member.member_id) {
            member.generation = 1;
            member.active.clone_from(&given.active);
            member.standby.clone_from(&given.standby);
        }
    }
}

/// Whether each task is somebody's, or withheld until its owner has given it back, and nobody's twice.
fn is_whole(round: &Assignment, tasks: &[TaskInput]) -> bool {
    let active = round.members.values().flat_map(|lists| &lists.active);
    let all: Vec<TaskId> = active.chain(round.withheld.keys()).copied().collect();
    let distinct: BTreeSet<TaskId> = all.iter().copied().collect();
    all.len() == tasks.len() && distinct.len() == tasks.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_gives_each_task_one_owner() {
        // A debug build on a busy machine: the limit is not what is tested here.
        let arguments = AssignorArguments { tasks: 1_500, members: 15, standbys: 1, limit_ms: 60_000.0 };
        assert!(assignor(&arguments));
        assert!(!assignor(&AssignorArguments { limit_ms: 0.0, ..arguments }), "too slow");
    }
}
