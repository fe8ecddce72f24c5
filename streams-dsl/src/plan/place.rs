//! Where a handle stands in the plan.

use std::rc::Rc;
use std::time::Duration;

use super::name::{Name, OperatorId};
use super::node::{NodeId, NodeTag, PlanNode};
use super::{Lowering, PlanRef};

/// Where a handle stands: its plan, the node that it continues, the operator that `.named(..)` names, and the sources
/// whose partitions it shares.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) plan: PlanRef,
    pub(crate) node: NodeId,
    pub(crate) operator: OperatorId,
    pub(crate) sources: Rc<[NodeId]>,
}

impl Place {
    /// Adds one node behind this place, with a generated name of this prefix.
    pub(crate) fn then(&self, prefix: &str, lower: impl Fn(&mut Lowering<'_>) + 'static) -> Place {
        self.then_tagged(prefix, NodeTag::Plain, lower)
    }

    /// As [`then`](Place::then), with a tag.
    pub(crate) fn then_tagged(
        &self,
        prefix: &str,
        tag: NodeTag,
        lower: impl Fn(&mut Lowering<'_>) + 'static,
    ) -> Place {
        let (operator, name) = self.generate(prefix);
        self.append(operator, name, tag, lower)
    }

    /// A new operator and its generated name.
    pub(crate) fn generate(&self, prefix: &str) -> (OperatorId, Name) {
        let mut plan = self.plan.borrow_mut();
        let operator = plan.operator();
        let generated = plan.generate(prefix);
        (operator, Name::new(operator, generated))
    }

    /// The name of a store: the one that it was given, or a generated one.
    pub(crate) fn store_name(&self, given: Option<&str>, prefix: &str) -> String {
        given.map_or_else(|| self.plan.borrow_mut().generate_store(prefix), str::to_owned)
    }

    /// Adds one node behind this place.
    pub(crate) fn append(
        &self,
        operator: OperatorId,
        name: Name,
        tag: NodeTag,
        lower: impl Fn(&mut Lowering<'_>) + 'static,
    ) -> Place {
        let node = self.plan.borrow_mut().add(PlanNode::new(name, [self.node], lower).tagged(tag));
        Place { plan: Rc::clone(&self.plan), node, operator, sources: Rc::clone(&self.sources) }
    }

    /// The sources of both places together; a fault where they belong to two builders.
    pub(crate) fn sources_with(&self, other: &Place) -> Rc<[NodeId]> {
        if !Rc::ptr_eq(&self.plan, &other.plan) {
            let fault = "streams and tables of two builders meet: make both with one `StreamsBuilder`";
            self.plan.borrow_mut().fault(fault);
            return Rc::clone(&self.sources);
        }
        let mut sources = self.sources.to_vec();
        sources.extend(other.sources.iter().filter(|source| !self.sources.contains(source)));
        sources.into()
    }

    /// Notes that the node makes windows that are closed so long behind their ends.
    pub(crate) fn set_window_grace(&self, grace: Duration) {
        self.plan.borrow_mut().set_window_grace(self.node, grace);
    }

    /// The grace period of the windows made by this node or those in front of it, the longest of several; none where
    /// nothing, or not every way here, is windowed.
    pub(crate) fn window_grace(&self) -> Option<Duration> {
        self.plan.borrow().window_grace(self.node)
    }

    /// Whether both belong to one builder.
    pub(crate) fn shares_plan(&self, other: &Place) -> bool {
        Rc::ptr_eq(&self.plan, &other.plan)
    }

    /// The name of the node that this place continues, as far as it is known by now.
    pub(crate) fn name(&self) -> std::sync::Arc<str> {
        self.plan.borrow().name_of(self.node)
    }

    /// Names the operator.
    pub(crate) fn set_name(&self, name: impl Into<String>) {
        self.plan.borrow_mut().set_name(self.operator, name.into());
    }

    /// Names another operator of the same plan.
    pub(crate) fn set_name_of(&self, operator: OperatorId, name: impl Into<String>) {
        self.plan.borrow_mut().set_name(operator, name.into());
    }

    /// Notes a fault, to be listed at `build()`.
    pub(crate) fn fault(&self, message: impl Into<String>) {
        self.plan.borrow_mut().fault(message);
    }
}
