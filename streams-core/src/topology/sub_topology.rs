//! Sub-topologies: parts of the topology that share no record and no store, each with tasks of its own.

use super::builder::Topology;
use super::check::parents_first;
use super::node::NodeKind;

/// A part of the topology whose nodes hang together through edges or shared stores. Parts joined only by a
/// repartition topic are two: records cross between them through the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubTopology {
    /// Its number, by the order in which first nodes were added, as in Kafka Streams since 4.0; the parts of global
    /// stores count.
    pub id: u32,
    /// Places of its nodes in [`Topology::nodes`], parents before children.
    pub nodes: Vec<usize>,
    /// Places of the stores that its nodes use in [`Topology::stores`].
    pub stores: Vec<usize>,
    /// Place in [`Topology::globals`] where it feeds a global store; such a part has no tasks.
    pub global: Option<usize>,
}

/// Groups the nodes and numbers the groups in the order in which nodes were added, as Kafka Streams'
/// `InternalTopologyBuilder.makeNodeGroups`.
pub(super) fn group(topology: &Topology) -> Vec<SubTopology> {
    let mut sets = DisjointSets::new(topology.nodes().len());
    let mut users: Vec<Option<usize>> = vec![None; topology.stores().len()];
    for (place, node) in topology.nodes().iter().enumerate() {
        for parent in node.parents.iter().filter_map(|parent| topology.place_of(parent)) {
            sets.unite(parent, place);
        }
        let NodeKind::Processor(processor) = &node.kind else { continue };
        for (spec, user) in topology.stores().iter().zip(&mut users) {
            if processor.stores.iter().any(|store| **store == *spec.builder.name()) {
                sets.unite(*user.get_or_insert(place), place);
            }
        }
    }
    let mut roots: Vec<usize> = Vec::new();
    for place in 0..topology.nodes().len() {
        let root = sets.root(place);
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    let global_of = |nodes: &[usize]| {
        topology
            .globals()
            .iter()
            .position(|global| nodes.iter().any(|&place| topology.nodes()[place].name == global.source))
    };
    (0u32..)
        .zip(roots)
        .map(|(id, root)| {
            let nodes: Vec<usize> =
                (0..topology.nodes().len()).filter(|&place| sets.root(place) == root).collect();
            let stores = (0..users.len())
                .filter(|&store| users[store].is_some_and(|user| sets.root(user) == root))
                .collect();
            SubTopology { id, stores, global: global_of(&nodes), nodes: parents_first(topology, &nodes) }
        })
        .collect()
}

/// Union-find over places.
struct DisjointSets(Vec<usize>);

impl DisjointSets {
    fn new(len: usize) -> Self {
        DisjointSets((0..len).collect())
    }

    fn root(&mut self, mut place: usize) -> usize {
        while self.0[place] != place {
            self.0[place] = self.0[self.0[place]];
            place = self.0[place];
        }
        place
    }

    fn unite(&mut self, left: usize, right: usize) {
        let (left, right) = (self.root(left), self.root(right));
        self.0[left.max(right)] = left.min(right);
    }
}

#[cfg(test)]
mod tests;
