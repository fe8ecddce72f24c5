//! The assignor's input, sorted and numbered.

use std::ops::Range;

use super::input::{MemberInput, TaskId, TaskInput};

/// Tasks and members by position: tasks sorted by id, so that a sub-topology is a range; members sorted by id.
pub(super) struct GroupView<'a> {
    pub(super) tasks: Vec<&'a TaskInput>,
    pub(super) members: Vec<&'a MemberInput>,
    /// The tasks of each sub-topology.
    pub(super) sub_topologies: Vec<Range<usize>>,
    /// Capacity of each member; at least one is not 0.
    pub(super) capacity: Vec<u64>,
    /// The member that runs a task at present, by task.
    pub(super) owner: Vec<Option<usize>>,
    /// Members that hold state of a task without running it, and the offset sum they have reached, by task.
    holders: Vec<Vec<(usize, i64)>>,
    /// Number of the process of each member.
    pub(super) process: Vec<usize>,
}

impl<'a> GroupView<'a> {
    pub(super) fn new(tasks: &'a [TaskInput], members: &'a [MemberInput]) -> Self {
        let mut tasks: Vec<&TaskInput> = tasks.iter().collect();
        tasks.sort_by_key(|task| task.id);
        tasks.dedup_by_key(|task| task.id);
        let mut members: Vec<&MemberInput> = members.iter().collect();
        members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
        members.dedup_by(|a, b| a.member_id == b.member_id);
        let mut capacity: Vec<u64> = members.iter().map(|member| u64::from(member.capacity)).collect();
        if capacity.iter().all(|capacity| *capacity == 0) {
            capacity.fill(1);
        }
        let mut processes: Vec<_> = members.iter().map(|member| member.process_id).collect();
        processes.sort_unstable();
        processes.dedup();
        let process = members.iter().map(|member| processes.partition_point(|id| *id < member.process_id));
        let mut view = Self {
            sub_topologies: ranges(&tasks),
            capacity,
            owner: vec![None; tasks.len()],
            holders: vec![Vec::new(); tasks.len()],
            process: process.collect(),
            tasks,
            members,
        };
        view.find_owners();
        view.find_holders();
        view
    }

    /// Of several claims on a task the newest counts (KIP-792), then the first member's.
    fn find_owners(&mut self) {
        let mut newest = vec![i32::MIN; self.tasks.len()];
        for (number, member) in self.members.iter().enumerate() {
            for task in member.active.iter().filter_map(|id| position(&self.tasks, *id)) {
                if self.owner[task].is_none() || member.generation > newest[task] {
                    self.owner[task] = Some(number);
                    newest[task] = member.generation;
                }
            }
        }
    }

    fn find_holders(&mut self) {
        for (number, member) in self.members.iter().enumerate() {
            for (id, sum) in &member.offset_sums {
                if let Some(task) =
                    position(&self.tasks, *id).filter(|task| self.owner[*task] != Some(number))
                {
                    self.holders[task].push((number, (*sum).max(0)));
                }
            }
        }
    }

    /// Members with state of `task`, without its owner, and how far it goes.
    pub(super) fn holders(&self, task: usize) -> &[(usize, i64)] {
        &self.holders[task]
    }

    /// How far the state of `task` goes in the process of `member`; where the task runs it goes furthest.
    pub(super) fn progress(&self, task: usize, member: usize) -> i64 {
        let here = |other: usize| self.process[other] == self.process[member];
        if self.owner[task].is_some_and(here) {
            return i64::MAX;
        }
        self.holders[task].iter().filter(|(holder, _)| here(*holder)).map(|(_, sum)| *sum).max().unwrap_or(0)
    }

    /// Records that `member` would have to restore before it runs `task`.
    pub(super) fn lag(&self, task: usize, member: usize) -> i64 {
        match self.tasks[task].end_offset_sum {
            Some(end) => end.saturating_sub(self.progress(task, member)).max(0),
            None => 0,
        }
    }

    /// Whether `member` keeps `task` as a standby or warm-up at present.
    pub(super) fn keeps_standby(&self, task: usize, member: usize) -> bool {
        self.members[member].standby.contains(&self.tasks[task].id)
    }
}

/// Position of a task in the sorted list.
fn position(tasks: &[&TaskInput], id: TaskId) -> Option<usize> {
    tasks.binary_search_by_key(&id, |task| task.id).ok()
}

fn ranges(tasks: &[&TaskInput]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut begin = 0;
    for group in tasks.chunk_by(|a, b| a.id.sub_topology == b.id.sub_topology) {
        ranges.push(begin..begin + group.len());
        begin += group.len();
    }
    ranges
}
