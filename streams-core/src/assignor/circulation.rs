//! A flow of whole units around a network, repaired until every arc is within its bounds.
//!
//! The out-of-kilter method, without costs (Fulkerson 1961): while an arc carries too much or too little, a unit is sent around a
//! circle that contains it and makes no other arc worse. As the shortest circle is taken, few units change their way,
//! which is what keeps tasks where they are.

use std::collections::VecDeque;

/// A network whose flow is balanced at every node.
#[derive(Debug, Default)]
pub(super) struct Circulation {
    arcs: Vec<Arc>,
    /// Arcs that leave or enter a node, by node.
    touching: Vec<Vec<usize>>,
}

#[derive(Debug)]
struct Arc {
    from: usize,
    to: usize,
    flow: u64,
    lower: u64,
    upper: u64,
}

/// A step of a path: an arc, and whether it is walked along its direction.
type Step = (usize, bool);

impl Circulation {
    pub(super) fn new(nodes: usize) -> Self {
        Self { arcs: Vec::new(), touching: vec![Vec::new(); nodes] }
    }

    /// Adds an arc and returns its number.
    pub(super) fn arc(&mut self, from: usize, to: usize, flow: u64, bounds: (u64, u64)) -> usize {
        let number = self.arcs.len();
        self.touching[from].push(number);
        self.touching[to].push(number);
        self.arcs.push(Arc { from, to, flow, lower: bounds.0, upper: bounds.1 });
        number
    }

    pub(super) fn flow(&self, arc: usize) -> u64 {
        self.arcs[arc].flow
    }

    /// Brings every arc within its bounds; false if the bounds allow no flow at all. The flow stays balanced at every node.
    pub(super) fn repair(&mut self) -> bool {
        let mut feasible = true;
        for number in 0..self.arcs.len() {
            while self.arcs[number].flow > self.arcs[number].upper {
                let arc = &self.arcs[number];
                let Some(path) = self.path(arc.from, arc.to, number) else {
                    feasible = false;
                    break;
                };
                self.push(&path);
                self.arcs[number].flow -= 1;
            }
            while self.arcs[number].flow < self.arcs[number].lower {
                let arc = &self.arcs[number];
                let Some(path) = self.path(arc.to, arc.from, number) else {
                    feasible = false;
                    break;
                };
                self.push(&path);
                self.arcs[number].flow += 1;
            }
        }
        feasible
    }

    /// The shortest way for one more unit from `begin` to `end` without the arc `barred`.
    fn path(&self, begin: usize, end: usize, barred: usize) -> Option<Vec<Step>> {
        let mut reached_by: Vec<Option<Step>> = vec![None; self.touching.len()];
        let mut frontier = VecDeque::from([begin]);
        while let Some(node) = frontier.pop_front() {
            for &number in self.touching[node].iter().filter(|number| **number != barred) {
                let arc = &self.arcs[number];
                let (next, along, open) = if arc.from == node {
                    (arc.to, true, arc.flow < arc.upper)
                } else {
                    (arc.from, false, arc.flow > arc.lower)
                };
                if !open || next == begin || reached_by[next].is_some() {
                    continue;
                }
                reached_by[next] = Some((number, along));
                if next == end {
                    return Some(self.trace(begin, end, &reached_by));
                }
                frontier.push_back(next);
            }
        }
        None
    }

    fn trace(&self, begin: usize, end: usize, reached_by: &[Option<Step>]) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut node = end;
        while let Some((number, along)) = reached_by[node].filter(|_| node != begin) {
            steps.push((number, along));
            node = if along { self.arcs[number].from } else { self.arcs[number].to };
        }
        steps
    }

    fn push(&mut self, path: &[Step]) {
        for &(number, along) in path {
            let flow = &mut self.arcs[number].flow;
            *flow = if along { *flow + 1 } else { *flow - 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_a_unit_over_a_third_arc() {
        // 0 → {1, 2} → 3 → 0: all four units go by 1, at most two may.
        let mut network = Circulation::new(4);
        let by_1 = network.arc(0, 1, 4, (0, 2));
        let by_2 = network.arc(0, 2, 0, (0, 4));
        network.arc(1, 3, 4, (0, 4));
        let out_2 = network.arc(2, 3, 0, (0, 4));
        network.arc(3, 0, 4, (4, 4));
        assert!(network.repair());
        assert_eq!([network.flow(by_1), network.flow(by_2), network.flow(out_2)], [2, 2, 2]);
    }

    #[test]
    fn says_when_the_bounds_cannot_be_met() {
        let mut network = Circulation::new(2);
        network.arc(0, 1, 3, (0, 3));
        network.arc(1, 0, 3, (0, 2));
        network.arc(1, 0, 0, (0, 0));
        let both_down = network.repair();
        assert!(both_down, "one unit can be taken off the circle");
        let mut network = Circulation::new(2);
        network.arc(0, 1, 3, (3, 3));
        network.arc(1, 0, 3, (0, 2));
        assert!(!network.repair());
    }
}
