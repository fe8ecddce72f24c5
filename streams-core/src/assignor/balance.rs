//! How many tasks of each sub-topology every member gets.
//!
//! A member's ideal share is its part of the capacity. It gets that share rounded down or up, three times over: of each sub-topology, of
//! all tasks with state (and of all without), and of all tasks. Such a rounding always exists, since the ideal shares
//! are themselves a flow through the network below and its bounds are whole numbers. Among the roundings one is taken in which nobody gives a
//! task away, if there is any; else one near to what members have now. After a round in which tasks were taken away there is always one
//! of the first kind, namely that round's own, so that the next round gives and takes nothing: no group is rebalanced for ever.

use super::circulation::Circulation;
use super::group_view::GroupView;

/// Tasks by sub-topology and member.
pub(super) type Counts = Vec<Vec<u64>>;

/// Turns the counts that members are preferred to have into the counts they are to have; `owned` is what they run.
pub(super) fn quotas(view: &GroupView<'_>, owned: &Counts, mut counts: Counts) -> Counts {
    let shares = Shares::new(view);
    for (sub_topology, row) in counts.iter_mut().enumerate() {
        shares.cut(sub_topology, row);
    }
    for sub_topology in 0..counts.len() {
        shares.fill(sub_topology, &mut counts);
        shares.level(sub_topology, &mut counts);
    }
    match repair(&shares, &counts, Some(owned)) {
        Some(kept) => kept,
        None => repair(&shares, &counts, None).unwrap_or(counts),
    }
}

/// Everyone's share of everything.
struct Shares<'a> {
    capacity: &'a [u64],
    total_capacity: u64,
    /// Number of tasks by sub-topology.
    tasks: Vec<u64>,
    /// 1 for sub-topologies with state, else 0.
    class: Vec<usize>,
}

impl<'a> Shares<'a> {
    fn new(view: &'a GroupView<'_>) -> Self {
        let stateful =
            |range: &std::ops::Range<usize>| view.tasks[range.clone()].iter().any(|task| task.stateful);
        Self {
            capacity: &view.capacity,
            total_capacity: view.capacity.iter().sum(),
            tasks: view.sub_topologies.iter().map(|range| range.len() as u64).collect(),
            class: view.sub_topologies.iter().map(|range| usize::from(stateful(range))).collect(),
        }
    }

    /// Least and most of `tasks` tasks that `member` should have.
    fn bounds(&self, tasks: u64, member: usize) -> (u64, u64) {
        let product = tasks * self.capacity[member];
        (product / self.total_capacity, product.div_ceil(self.total_capacity))
    }

    /// Takes from everyone what exceeds the share.
    fn cut(&self, sub_topology: usize, row: &mut [u64]) {
        for (member, count) in row.iter_mut().enumerate() {
            *count = (*count).min(self.bounds(self.tasks[sub_topology], member).1);
        }
    }

    /// Gives the tasks that nobody has to those below their share, then to those least loaded.
    fn fill(&self, sub_topology: usize, counts: &mut Counts) {
        let tasks = self.tasks[sub_topology];
        let mut load: Vec<u64> = (0..self.capacity.len()).map(|member| total(counts, member)).collect();
        let free = tasks.saturating_sub(counts[sub_topology].iter().sum());
        for _ in 0..free {
            let row = &counts[sub_topology];
            let open = (0..row.len()).filter(|member| row[*member] < self.bounds(tasks, *member).1);
            let Some(member) = open.min_by(|a, b| {
                let satisfied = |member: usize| row[member] >= self.bounds(tasks, member).0;
                satisfied(*a)
                    .cmp(&satisfied(*b))
                    // load a / capacity a against load b / capacity b, in whole numbers
                    .then((load[*a] * self.capacity[*b]).cmp(&(load[*b] * self.capacity[*a])))
                    .then(a.cmp(b))
            }) else {
                return;
            };
            counts[sub_topology][member] += 1;
            load[member] += 1;
        }
    }

    /// Takes from the most loaded for those who are still below their share.
    fn level(&self, sub_topology: usize, counts: &mut Counts) {
        let tasks = self.tasks[sub_topology];
        for poor in 0..self.capacity.len() {
            while counts[sub_topology][poor] < self.bounds(tasks, poor).0 {
                let rich = (0..self.capacity.len())
                    .filter(|member| counts[sub_topology][*member] > self.bounds(tasks, *member).0)
                    .max_by_key(|member| (total(counts, *member), *member));
                let Some(rich) = rich else { return };
                counts[sub_topology][rich] -= 1;
                counts[sub_topology][poor] += 1;
            }
        }
    }
}

/// Evens out what single sub-topologies cannot see: shares of all tasks with state, without, and of all. With `owned`
/// nobody gets less than that; none if this cannot be.
// A member's number names nodes of the network, too, so the loops run over numbers.
#[allow(clippy::needless_range_loop)]
fn repair(shares: &Shares<'_>, counts: &Counts, owned: Option<&Counts>) -> Option<Counts> {
    let (rows, members) = (counts.len(), shares.capacity.len());
    let (hub, class_node) = (0, |class: usize, member: usize| 1 + rows + class * members + member);
    let member_node = |member: usize| 1 + rows + 2 * members + member;
    let mut network = Circulation::new(1 + rows + 3 * members);
    let mut arcs = vec![Vec::with_capacity(members); rows];
    for (row, tasks) in shares.tasks.iter().enumerate() {
        network.arc(hub, 1 + row, *tasks, (*tasks, *tasks));
        for member in 0..members {
            let node = class_node(shares.class[row], member);
            let (least, most) = shares.bounds(*tasks, member);
            let least = owned.map_or(least, |owned| least.max(owned[row][member]));
            if least > most {
                return None;
            }
            arcs[row].push(network.arc(1 + row, node, counts[row][member], (least, most)));
        }
    }
    for member in 0..members {
        let mut all = (0, 0);
        for class in 0..2 {
            let of_class = (0..rows).filter(|row| shares.class[*row] == class);
            let (mut tasks, mut has) = (0, 0);
            for row in of_class {
                tasks += shares.tasks[row];
                has += counts[row][member];
            }
            network.arc(class_node(class, member), member_node(member), has, shares.bounds(tasks, member));
            all = (all.0 + tasks, all.1 + has);
        }
        network.arc(member_node(member), hub, all.1, shares.bounds(all.0, member));
    }
    let balanced = network.repair();
    debug_assert!(balanced || owned.is_some(), "the ideal shares are within all bounds, so whole ones exist");
    balanced.then(|| arcs.iter().map(|row| row.iter().map(|arc| network.flow(*arc)).collect()).collect())
}

fn total(counts: &Counts, member: usize) -> u64 {
    counts.iter().map(|row| row[member]).sum()
}
