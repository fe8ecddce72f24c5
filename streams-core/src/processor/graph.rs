//! The arena of nodes and the way a record takes through it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::context::InitContext;
use super::error::{ProcessorError, ProcessorErrorKind};
use super::failure::panic_message;
use super::node::Node;
use super::punctuation::{PunctuationId, PunctuationType};
use super::shared::{Shared, StoreHandle};
use super::source::{SourceError, SourcePlace};
use crate::record::{Data, Headers, Record, RecordContext};
use crate::state::StateStore;
use crate::time::Timestamp;
use crate::topology::{NodeKind, NodeSpec, Topology};

/// One node of the arena.
pub(crate) struct GraphNode {
    pub(crate) name: Arc<str>,
    pub(crate) children: Box<[u32]>,
    pub(crate) node: Box<dyn Node>,
}

/// The nodes of one task, children always behind their parents: a call therefore borrows the arena behind the
/// caller, no node can be entered twice, and neither locks nor reference counts are needed.
pub struct ProcessorGraph {
    pub(crate) nodes: Vec<GraphNode>,
    /// What all nodes share: stores, outputs, clocks.
    pub shared: Shared,
}

impl std::fmt::Debug for ProcessorGraph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.nodes.iter().map(|node| &node.name)).finish()
    }
}

impl ProcessorGraph {
    /// Makes the nodes at these `places` of the topology, which must have parents before children. Factories are
    /// called in this order; children are called in the order in which they were added to the topology.
    ///
    /// # Errors
    /// Those of the factories, with the node's name.
    pub fn build(topology: &Topology, places: &[usize], mut shared: Shared) -> Result<Self, ProcessorError> {
        shared.note_whether_to_guard();
        let mut nodes = Vec::with_capacity(places.len());
        for (index, &place) in (0u32..).zip(places) {
            let spec = &topology.nodes()[place];
            let node = make_node(spec, index, &mut shared).map_err(|error| error.at(&spec.name))?;
            let children = children_of(topology, places, place);
            nodes.push(GraphNode { name: Arc::clone(&spec.name), children, node });
        }
        Ok(ProcessorGraph { nodes, shared })
    }

    /// A graph without nodes yet, which holds the stores while they are restored.
    pub(crate) fn unbuilt(shared: Shared) -> Self {
        ProcessorGraph { nodes: Vec::new(), shared }
    }

    /// Lets a source forward to its children.
    ///
    /// # Errors
    /// Those of `feed`.
    pub(crate) fn feed(
        &mut self,
        source: u32,
        feed: impl FnOnce(&mut NodeContext<'_>) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let Some((current, rest)) = self.nodes[source as usize..].split_first_mut() else { return Ok(()) };
        feed(&mut NodeContext { me: source, children: &current.children, rest, shared: &mut self.shared })
    }

    /// Hands the record in `slot` to a node.
    ///
    /// # Errors
    /// Those of the nodes it passes, with the node's name.
    pub fn process(&mut self, node: u32, slot: &mut dyn Any) -> Result<(), ProcessorError> {
        self.with_node(node, |node, context| node.process(slot, context))
    }

    /// Fires a punctuation at a node.
    ///
    /// # Errors
    /// As [`ProcessorGraph::process`].
    pub fn punctuate(
        &mut self,
        node: u32,
        punctuation: PunctuationId,
        time: Timestamp,
    ) -> Result<(), ProcessorError> {
        self.with_node(node, |node, context| node.punctuate(punctuation, time, context))
    }

    /// Lets every node forward what its cache holds back, parents first.
    ///
    /// # Errors
    /// As [`ProcessorGraph::process`].
    pub fn flush(&mut self) -> Result<(), ProcessorError> {
        (0..self.nodes.len() as u32)
            .try_for_each(|node| self.with_node(node, |node, context| node.flush(context)))
    }

    /// Closes all nodes.
    pub fn close(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.node.close());
    }

    /// Runs `call` as if inside the node: what it forwards goes to the node's children.
    pub(crate) fn with_node(
        &mut self,
        node: u32,
        call: impl FnOnce(&mut dyn Node, &mut NodeContext<'_>) -> Result<(), ProcessorError>,
    ) -> Result<(), ProcessorError> {
        let Some((current, rest)) = self.nodes[node as usize..].split_first_mut() else { return Ok(()) };
        let mut context =
            NodeContext { me: node, children: &current.children, rest, shared: &mut self.shared };
        let called = match context.shared.guards_panics {
            false => call(current.node.as_mut(), &mut context),
            true => guarded(|| call(current.node.as_mut(), &mut context)),
        };
        match called {
            Ok(()) => Ok(()),
            Err(error) => self.shared.judge(error, &current.name),
        }
    }
}

/// Makes an error of a panic in `call`.
#[cold]
fn guarded(call: impl FnOnce() -> Result<(), ProcessorError>) -> Result<(), ProcessorError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let message = panic_message(panic.as_ref());
        Err(ProcessorErrorKind::Panicked { message }.into())
    })
}

fn make_node(spec: &NodeSpec, index: u32, shared: &mut Shared) -> Result<Box<dyn Node>, ProcessorError> {
    let (factory, stores): (_, &[Arc<str>]) = match &spec.kind {
        NodeKind::Source(_) => return Ok(Box::new(SourcePlace)),
        NodeKind::Processor(processor) => (&processor.factory, &processor.stores),
        NodeKind::Sink(sink) => (&sink.factory, &[]),
    };
    factory.make(&mut InitContext::new(index, &spec.name, stores, shared))
}

/// The children of a node by their index in the arena, in the order of their places in the topology.
fn children_of(topology: &Topology, places: &[usize], parent: usize) -> Box<[u32]> {
    let name = &topology.nodes()[parent].name;
    let mut children: Vec<(usize, u32)> = places
        .iter()
        .zip(0u32..)
        .filter(|(place, _)| topology.nodes()[**place].parents.contains(name))
        .map(|(&place, index)| (place, index))
        .collect();
    children.sort_unstable();
    children.into_iter().map(|(_, index)| index).collect()
}

/// What a node may do while it runs: forward, reach stores, ask for clocks.
pub struct NodeContext<'a> {
    me: u32,
    children: &'a [u32],
    rest: &'a mut [GraphNode],
    shared: &'a mut Shared,
}

impl std::fmt::Debug for NodeContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeContext").field("me", &self.me).finish_non_exhaustive()
    }
}

impl NodeContext<'_> {
    /// Sends a record to all children; it is cloned for all but the last.
    ///
    /// # Errors
    /// Those of the children, with their names.
    #[inline]
    pub fn forward<K: Data, V: Data>(&mut self, record: Record<K, V>) -> Result<(), ProcessorError> {
        self.forward_slot(&mut Some(record))
    }

    /// Sends the record in `slot` to all children and leaves the slot as the last child left it.
    ///
    /// # Errors
    /// As [`NodeContext::forward`].
    #[inline]
    pub fn forward_slot<K: Data, V: Data>(
        &mut self,
        slot: &mut Option<Record<K, V>>,
    ) -> Result<(), ProcessorError> {
        let Some(record) = slot.as_ref() else { return Ok(()) };
        // Most operators leave the time and the headers as they are: then there is nothing to enter and to leave.
        if self.shared.is_current(record.timestamp, &record.headers) {
            return self.hand_to_children(slot);
        }
        let outer = self.shared.enter_record(record.timestamp, &record.headers);
        self.hand_to_children(slot)?;
        self.shared.leave_record(outer);
        Ok(())
    }

    /// Sends a record to the child of this name.
    ///
    /// # Errors
    /// [`ProcessorErrorKind::NoSuchChild`], else as [`NodeContext::forward`].
    pub fn forward_to<K: Data, V: Data>(
        &mut self,
        child: &str,
        record: Record<K, V>,
    ) -> Result<(), ProcessorError> {
        let found = self.children.iter().copied().find(|&index| &*self.node_at(index).name == child);
        let Some(index) = found else {
            let names: Vec<&str> = self.children.iter().map(|&index| &*self.node_at(index).name).collect();
            return Err(ProcessorErrorKind::NoSuchChild {
                child: child.to_owned(),
                children: names.join(", "),
            }
            .into());
        };
        self.forward_to_index(index, record)
    }

    /// Sends a record to the child at this place in the order of declaration (0 is the first child).
    ///
    /// # Errors
    /// [`ProcessorErrorKind::NoSuchChild`], else as [`NodeContext::forward`].
    pub fn forward_to_nth<K: Data, V: Data>(
        &mut self,
        nth: usize,
        record: Record<K, V>,
    ) -> Result<(), ProcessorError> {
        match self.children.get(nth) {
            Some(&index) => self.forward_to_index(index, record),
            None => Err(ProcessorErrorKind::NoSuchChild {
                child: format!("number {nth}"),
                children: self.children.len().to_string(),
            }
            .into()),
        }
    }

    /// The store behind a handle; its changelog records will carry the current record's time.
    pub fn store_mut<S: StateStore>(&mut self, handle: StoreHandle<S>) -> &mut S {
        self.shared.store_mut(handle)
    }

    /// What all nodes of the task share.
    pub fn shared(&mut self) -> &mut Shared {
        self.shared
    }

    /// Where the input record came from; none while a wall-clock punctuation runs.
    pub fn record_context(&self) -> Option<&RecordContext> {
        self.shared.record_context()
    }

    /// The event time of the record that is being processed.
    pub fn timestamp(&self) -> Timestamp {
        self.shared.timestamp()
    }

    /// The headers of the record that is being processed.
    pub fn headers(&self) -> &Headers {
        self.shared.headers()
    }

    /// The largest event time that the task has seen.
    pub fn stream_time(&self) -> Timestamp {
        self.shared.stream_time
    }

    /// The wall clock as of this step.
    pub fn wall_clock(&self) -> Timestamp {
        self.shared.wall_clock
    }

    /// Asks for a regular punctuation of this node.
    pub fn schedule(&mut self, interval: std::time::Duration, kind: PunctuationType) -> PunctuationId {
        self.shared.schedule(self.me, interval, kind)
    }

    fn forward_to_index<K: Data, V: Data>(
        &mut self,
        index: u32,
        record: Record<K, V>,
    ) -> Result<(), ProcessorError> {
        let outer = self.shared.enter_record(record.timestamp, &record.headers);
        self.call(index, &mut Some(record))?;
        self.shared.leave_record(outer);
        Ok(())
    }

    fn node_at(&self, index: u32) -> &GraphNode {
        &self.rest[(index - self.me - 1) as usize]
    }

    #[inline]
    fn hand_to_children<K: Data, V: Data>(
        &mut self,
        slot: &mut Option<Record<K, V>>,
    ) -> Result<(), ProcessorError> {
        let children = self.children;
        let Some((&last, others)) = children.split_last() else { return Ok(()) };
        for &child in others {
            self.call(child, &mut slot.clone())?;
        }
        self.call(last, slot)
    }

    #[inline]
    fn call(&mut self, child: u32, slot: &mut dyn Any) -> Result<(), ProcessorError> {
        let behind = (child - self.me - 1) as usize;
        let Some((current, rest)) = self.rest.get_mut(behind..).and_then(<[_]>::split_first_mut) else {
            return Ok(());
        };
        let mut context =
            NodeContext { me: child, children: &current.children, rest, shared: &mut *self.shared };
        let processed = match context.shared.guards_panics {
            false => current.node.process(slot, &mut context),
            true => guarded(|| current.node.process(slot, &mut context)),
        };
        match processed {
            Ok(()) => Ok(()),
            Err(error) => context.shared.judge(error, &current.name),
        }
    }
}

#[cfg(test)]
mod tests;
