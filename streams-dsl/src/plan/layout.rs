//! Which node stands behind which when the plan is lowered: as it was chained, or with repartition topics merged.

use std::sync::Arc;

use super::Plan;
use super::node::{NodeId, NodeTag, RepartitionNodes};

/// The graph that is lowered. Its nodes are the plan's, and behind them, by number, the merged repartitions.
#[derive(Debug)]
pub(super) struct Layout {
    parents: Vec<Vec<NodeId>>,
    /// The nodes in the order in which they are added to the topology.
    pub(super) order: Vec<NodeId>,
    merged: Vec<Merged>,
    plan_len: usize,
}

/// One repartition in place of several.
#[derive(Debug)]
struct Merged {
    behind: NodeId,
    /// The first of those that it replaces: its topic and serdes are taken.
    like: NodeId,
    nodes: RepartitionNodes,
    replaces: Vec<NodeId>,
}

/// A change of keys, or a merge of streams, and the repartitions that it makes necessary.
struct Cause {
    node: NodeId,
    repartitions: Vec<NodeId>,
}

impl Layout {
    /// The graph as it was chained.
    pub(super) fn of(plan: &Plan) -> Layout {
        Layout {
            parents: plan.nodes.iter().map(|node| node.parents.clone()).collect(),
            order: plan.ids().collect(),
            merged: Vec::new(),
            plan_len: plan.nodes.len(),
        }
    }

    /// The graph in which every change of keys is followed by at most one of the repartitions that it makes necessary
    /// (Kafka's `InternalStreamsBuilder.mergeRepartitionTopics`, step by step, for names and order follow from it).
    pub(super) fn with_merged_repartitions(plan: &Plan) -> Layout {
        let mut layout = Layout::of(plan);
        for cause in layout.causes(plan) {
            layout.merge(plan, cause);
        }
        for index in 0..layout.merged.len() {
            let behind = layout.merged[index].behind;
            let after = layout.order.iter().position(|&node| node == behind).map_or(0, |place| place + 1);
            layout.order.insert(after, NodeId((layout.plan_len + index) as u32));
        }
        layout
    }

    /// The nodes that forward to a node.
    pub(super) fn parents(&self, node: NodeId) -> &[NodeId] {
        &self.parents[node.0 as usize]
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.parents.len()
    }

    /// The plan's node that tells how to lower a node, and the names of a merged repartition.
    pub(super) fn origin(&self, node: NodeId) -> (NodeId, Option<&RepartitionNodes>) {
        match (node.0 as usize).checked_sub(self.plan_len).and_then(|index| self.merged.get(index)) {
            Some(merged) => (merged.like, Some(&merged.nodes)),
            None => (node, None),
        }
    }

    /// The merged repartition that replaces a node.
    pub(super) fn replacement(&self, node: NodeId) -> Option<NodeId> {
        let index = self.merged.iter().position(|merged| merged.replaces.contains(&node))?;
        Some(NodeId((self.plan_len + index) as u32))
    }

    /// Which nodes have a join somewhere behind them that lets records without a key pass.
    pub(super) fn before_relaxed_joins(&self, plan: &Plan) -> Vec<bool> {
        let mut before = vec![false; self.len()];
        for &node in self.order.iter().rev() {
            let is_relaxed = matches!(plan.nodes[self.origin(node).0.0 as usize].tag, NodeTag::RelaxedJoin);
            if before[node.0 as usize] || is_relaxed {
                self.parents(node).iter().for_each(|parent| before[parent.0 as usize] = true);
            }
        }
        before
    }

    /// What makes repartitions necessary, in the order of the plan; merges of streams, which gather those of all that
    /// they merge, come last.
    fn causes(&self, plan: &Plan) -> Vec<Cause> {
        let mut causes: Vec<Cause> = Vec::new();
        let tag = |node: NodeId| &plan.nodes[node.0 as usize].tag;
        for node in plan.ids() {
            match tag(node) {
                NodeTag::KeyChanging => causes.push(Cause { node, repartitions: Vec::new() }),
                NodeTag::Repartition(name) if name.mergeable => {
                    let changing = |it| matches!(tag(it), NodeTag::KeyChanging | NodeTag::ValueChanging);
                    let nearest = self.ancestor(node, &changing);
                    let cause = causes.iter_mut().find(|cause| Some(cause.node) == nearest);
                    // Behind a change of values the records are others than behind the change of keys.
                    cause.into_iter().for_each(|cause| cause.repartitions.push(node));
                }
                _ => {}
            }
        }
        let merges = plan.ids().filter(|&node| matches!(tag(node), NodeTag::Merge));
        let mut of_merges: Vec<Cause> = Vec::new();
        let mut gathered: Vec<NodeId> = Vec::new();
        for merge in merges {
            let behind_merge =
                |node: &NodeId| self.ancestor(*node, &|it| self.parents(it).contains(&merge)).is_some();
            let mut repartitions = Vec::new();
            for cause in &causes {
                let all_behind = cause.repartitions.iter().all(behind_merge);
                let above = self.ancestor(merge, &|it| self.parents(it).contains(&cause.node));
                if all_behind && above.is_some() {
                    gathered.push(cause.node);
                    repartitions.extend(cause.repartitions.iter().copied());
                }
            }
            of_merges.push(Cause { node: merge, repartitions });
        }
        causes.retain(|cause| !gathered.contains(&cause.node));
        causes.extend(of_merges);
        causes.retain(|cause| !cause.repartitions.is_empty());
        causes
    }

    /// Puts one repartition behind a cause in place of all of its own.
    fn merge(&mut self, plan: &Plan, cause: Cause) {
        let Some(&like) = cause.repartitions.first() else { return };
        let NodeTag::Repartition(name) = &plan.nodes[like.0 as usize].tag else { return };
        let merged = NodeId(self.parents.len() as u32);
        self.parents.push(Vec::new());
        for &repartition in &cause.repartitions {
            let is_child = |it| self.parents(it).contains(&cause.node);
            let Some(child) = self.ancestor(repartition, &is_child) else { continue };
            self.add_parent(child, merged);
            self.parents[child.0 as usize].retain(|parent| *parent != cause.node);
            let above = std::mem::take(&mut self.parents[repartition.0 as usize]);
            for node in 0..self.parents.len() {
                if self.parents[node].contains(&repartition) {
                    above.iter().for_each(|&parent| self.add_parent(NodeId(node as u32), parent));
                    self.parents[node].retain(|parent| *parent != repartition);
                }
            }
        }
        self.parents[merged.0 as usize] = vec![cause.node];
        self.order.retain(|node| !cause.repartitions.contains(node));
        let nodes = named_after(name.resolve(&plan.names).topic);
        self.merged.push(Merged { behind: cause.node, like, nodes, replaces: cause.repartitions });
    }

    fn add_parent(&mut self, child: NodeId, parent: NodeId) {
        let parents = &mut self.parents[child.0 as usize];
        if !parents.contains(&parent) {
            parents.push(parent);
        }
    }

    /// A node itself or one in front of it for which `wanted` is true, searched as Kafka does: of several parents the
    /// last one's answer counts, unless one is wanted itself.
    fn ancestor(&self, node: NodeId, wanted: &dyn Fn(NodeId) -> bool) -> Option<NodeId> {
        if wanted(node) {
            return Some(node);
        }
        let mut found = None;
        for &parent in self.parents(node) {
            if wanted(parent) {
                return Some(parent);
            }
            found = self.ancestor(parent, wanted);
        }
        found
    }
}

/// The names of a repartition that is called after a topic: those of its nodes derive from it, also where they would be
/// generated otherwise.
fn named_after(topic: Arc<str>) -> RepartitionNodes {
    let part = |part: &str| format!("{topic}-{part}").into();
    RepartitionNodes {
        filter: part("filter"),
        sink: part("sink"),
        source: part("source"),
        topic: topic.clone(),
    }
}

#[cfg(test)]
mod tests;
