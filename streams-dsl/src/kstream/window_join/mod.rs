//! Joining two streams within windows: each side keeps its records in a store, where the other side looks for them.

mod names;
mod parts;
mod self_join;
mod side;
mod window;

#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::sync::Arc;

use streams_core::record::Data;

use self::names::JoinNames;
use self::parts::Parts;
use self::side::{OnLeft, OnRight};
use super::join::{JoinKind, Joiner};
use super::{KStream, NewRepartition, step};
use crate::options::{SharedSerde, StreamJoined};
use crate::plan::{Lowering, Name, NodeId, NodeTag, OperatorId, Place, PlanNode};
use crate::windows::JoinWindows;

/// A join to be added.
pub(super) struct WindowJoin<'a, K, L, R, O> {
    pub(super) left: &'a KStream<K, L>,
    pub(super) right: &'a KStream<K, R>,
    pub(super) windows: JoinWindows,
    pub(super) kind: JoinKind,
    pub(super) joiner: Arc<Joiner<K, L, R, O>>,
}

impl<K: Data, L: Data, R: Data, O: Data> WindowJoin<'_, K, L, R, O> {
    /// Adds the join's nodes to the plan: a window for each side, a join for each side, and what brings both together.
    pub(super) fn add(self, joined: StreamJoined<K, L, R>) -> KStream<K, O> {
        let operator = self.left.place.plan.borrow_mut().operator();
        if let Some(name) = &joined.name {
            self.left.place.set_name_of(operator, name.clone());
        }
        let keys = joined.key_serde.or_carried(self.left.key_serde.as_ref());
        let left_values = joined.left_serde.or_carried(self.left.value_serde.as_ref());
        let right_values = joined.right_serde.or_carried(self.right.value_serde.as_ref());
        let left = partitioned(self.left, (operator, "-left"), &keys, &left_values);
        let right = partitioned(self.right, (operator, "-right"), &keys, &right_values);
        let sources = left.sources_with(&right);
        if self.windows.size_ms() < 0 {
            let (before, after) = (self.windows.before_ms(), self.windows.after_ms());
            left.fault(format!(
                "a join's window ends before it begins: {before} ms before and {after} ms after a record"
            ));
        }
        let names = JoinNames::generate(&left, operator, self.kind, &joined);
        let parts = Rc::new(Parts {
            names,
            options: joined.stores,
            windows: self.windows,
            keys: Arc::clone(&keys),
            left: left_values,
            right: right_values,
            joiner: self.joiner,
            kind: self.kind,
        });
        let right_parent = left.shares_plan(&right).then_some(right.node);
        let node = parts.add_to(&left, right_parent, sources.clone());
        let place = Place { plan: Rc::clone(&left.plan), node, operator, sources };
        KStream { place, rekeyed: false, key_serde: Some(keys), value_serde: None }
    }
}

/// The place behind a repartition topic, where the stream's keys were changed.
fn partitioned<K: Data, V: Data>(
    stream: &KStream<K, V>,
    (operator, suffix): (OperatorId, &str),
    keys: &SharedSerde<K>,
    values: &SharedSerde<V>,
) -> Place {
    if !stream.rekeyed {
        return stream.place.clone();
    }
    let base = Name::suffixed(operator, suffix, stream.place.name());
    stream.through(NewRepartition::of(operator, &base, keys, values)).place
}

/// The nodes that keep the records of both sides.
#[derive(Clone, Copy)]
struct BothWindows {
    this: NodeId,
    other: NodeId,
}

impl BothWindows {
    /// Whether both sides are one stream, which then is kept in one store: only optimised topologies do that.
    fn are_one(self, lowering: &Lowering<'_>) -> bool {
        lowering.config.optimization.single_store_self_join && lowering.share_parents(self.this, self.other)
    }
}

impl<K: Data, L: Data, R: Data, O: Data> Parts<K, L, R, O> {
    /// Adds the five nodes, and answers with the last one.
    fn add_to(self: &Rc<Self>, left: &Place, right: Option<NodeId>, sources: Rc<[NodeId]>) -> NodeId {
        let add = |node| left.plan.borrow_mut().add(node);
        let (this, names) = (Rc::clone(self), &self.names);
        let this_window = add(PlanNode::new(names.this_window.clone(), [left.node], move |lowering| {
            window::lower::<OnLeft, _, _, _, _>(&this, lowering);
        }));
        let this = Rc::clone(self);
        let parent: Vec<NodeId> = right.into_iter().collect();
        let other_window = add(PlanNode::new(names.other_window.clone(), parent, move |lowering| {
            let both = BothWindows { this: this_window, other: lowering.node() };
            if !both.are_one(lowering) {
                window::lower::<OnRight, _, _, _, _>(&this, lowering);
            }
        }));
        let both = BothWindows { this: this_window, other: other_window };
        let this = Rc::clone(self);
        let this_join = add(PlanNode::new(names.this_join.clone(), [this_window], move |lowering| {
            if !both.are_one(lowering) {
                side::lower::<OnLeft, _, _, _, _>(&this, lowering);
                this.add_buffer(lowering);
            }
        }));
        let this = Rc::clone(self);
        let other_join = add(PlanNode::new(names.other_join.clone(), [other_window], move |lowering| {
            if !both.are_one(lowering) {
                side::lower::<OnRight, _, _, _, _>(&this, lowering);
            }
        }));
        let this = Rc::clone(self);
        let tag = if self.kind == JoinKind::Inner { NodeTag::Plain } else { NodeTag::RelaxedJoin };
        let merge = PlanNode::new(names.merge.clone(), [this_join, other_join], move |lowering| {
            match both.are_one(lowering) {
                true => self_join::lower(&this, this_window, lowering),
                false => lowering.processor(step::<K, O, K, O>(|slot, context| context.forward_slot(slot))),
            }
            lowering.copartition(&sources);
        });
        add(merge.tagged(tag))
    }
}
