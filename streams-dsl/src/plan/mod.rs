//! The logical plan: what the fluent calls asked for, before it becomes a [`Topology`](streams_core::topology::Topology).
//!
//! Names are resolved last, for `.named(..)` comes behind the operator that it names. One counter numbers everything,
//! exactly as Kafka Streams does: a number is taken when an operator is added, named or not, so that naming one operator
//! never renames another.

mod automatic;
mod layout;
mod lower;
mod name;
mod node;
mod place;

pub(crate) use lower::Lowering;
pub(crate) use name::{Name, Names, OperatorId};
pub(crate) use node::{NodeId, NodeTag, PlanNode, RepartitionName};
pub(crate) use place::Place;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use streams_core::processor::ProcessorWrapper;
use streams_core::state::StoreBuilder;
use streams_core::topology::TopologyFault;

/// The plan as handles share it.
pub(crate) type PlanRef = Rc<RefCell<Plan>>;

/// See [`Plan::owe_store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwedNumber(u32);

/// Everything that was asked for so far.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    next_number: u32,
    /// A number that the last operator takes, unless the user's next word makes it needless.
    owed: Option<OwedNumber>,
    names: Names,
    nodes: Vec<PlanNode>,
    stores: Vec<Arc<dyn StoreBuilder>>,
    wrappers: Vec<Arc<dyn ProcessorWrapper>>,
    faults: Vec<TopologyFault>,
}

impl Plan {
    /// A generated name, `PREFIX` and the next number; the number is taken even where the name is not used.
    pub(crate) fn generate(&mut self, prefix: &str) -> String {
        format!("{prefix}{:010}", self.take_number())
    }

    /// A generated store name, as Kafka's `newStoreName`.
    pub(crate) fn generate_store(&mut self, prefix: &str) -> String {
        format!("{prefix}STATE-STORE-{:010}", self.take_number())
    }

    /// A generated store name whose number is free again if [`Plan::forgive`] comes before the next number is taken:
    /// Kafka Streams knows earlier than we whether a name is given.
    pub(crate) fn owe_store(&mut self, prefix: &str) -> (String, OwedNumber) {
        self.pay();
        let number = OwedNumber(self.next_number);
        self.owed = Some(number);
        (format!("{prefix}STATE-STORE-{:010}", number.0), number)
    }

    /// Gives an owed number back.
    pub(crate) fn forgive(&mut self, number: OwedNumber) {
        if self.owed == Some(number) {
            self.owed = None;
        }
    }

    fn take_number(&mut self) -> u32 {
        self.pay();
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    fn pay(&mut self) {
        if self.owed.take().is_some() {
            self.next_number += 1;
        }
    }

    /// A new operator, to be named by `.named(..)`.
    pub(crate) fn operator(&mut self) -> OperatorId {
        self.names.operator()
    }

    /// Names an operator.
    pub(crate) fn set_name(&mut self, operator: OperatorId, name: String) {
        if let Err(fault) = self.names.set(operator, name) {
            self.faults.push(fault);
        }
    }

    /// The name of a node, as far as it is known by now.
    pub(crate) fn name_of(&self, node: NodeId) -> Arc<str> {
        self.nodes[node.0 as usize].name.resolve(&self.names)
    }

    /// Whether the user has named an operator.
    pub(crate) fn is_named(&self, operator: OperatorId) -> bool {
        self.names.is_named(operator)
    }

    /// The names given so far.
    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// Adds a node behind its parents.
    pub(crate) fn add(&mut self, node: PlanNode) -> NodeId {
        self.nodes.push(node);
        NodeId((self.nodes.len() - 1) as u32)
    }

    /// Notes that a node makes windows that are closed so long behind their ends.
    pub(crate) fn set_window_grace(&mut self, node: NodeId, grace: Duration) {
        self.nodes[node.0 as usize].window_grace = Some(grace);
    }

    /// The grace period of the windows made by a node or those in front of it (Kafka's `GraphGraceSearchUtil`).
    pub(crate) fn window_grace(&self, node: NodeId) -> Option<Duration> {
        let node = &self.nodes[node.0 as usize];
        if node.window_grace.is_some() {
            return node.window_grace;
        }
        let graces = node.parents.iter().map(|&parent| self.window_grace(parent));
        graces.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// Adds a wrapper of all processors.
    pub(crate) fn add_wrapper(&mut self, wrapper: Arc<dyn ProcessorWrapper>) {
        self.wrappers.push(wrapper);
    }

    /// Adds a store that no operator of the DSL owns.
    pub(crate) fn add_store(&mut self, store: Arc<dyn StoreBuilder>) {
        self.stores.push(store);
    }

    /// Notes a fault, to be listed at `build()`.
    pub(crate) fn fault(&mut self, message: impl Into<String>) {
        self.faults.push(TopologyFault::Other(message.into()));
    }
}
