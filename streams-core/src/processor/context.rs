//! The typed contexts that processors see.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::error::ProcessorError;
use super::graph::NodeContext;
use super::punctuation::{PunctuationId, PunctuationType};
use super::shared::{GlobalStore, Shared, StoreHandle};
use crate::record::{Data, Headers, Record, RecordContext};
use crate::state::StateStore;
use crate::time::Timestamp;

/// What the factory of a processor may ask for.
#[derive(Debug)]
pub struct InitContext<'a> {
    node: u32,
    name: &'a Arc<str>,
    stores: &'a [Arc<str>],
    shared: &'a mut Shared,
}

impl<'a> InitContext<'a> {
    /// The context of node number `node`, connected with `stores`.
    pub fn new(node: u32, name: &'a Arc<str>, stores: &'a [Arc<str>], shared: &'a mut Shared) -> Self {
        InitContext { node, name, stores, shared }
    }

    /// The node's name.
    pub fn node_name(&self) -> &Arc<str> {
        self.name
    }

    /// A handle of a store that is connected with this processor.
    ///
    /// # Errors
    /// When it is not connected, or is of another type than `S`.
    pub fn store<S: StateStore>(&self, name: &str) -> Result<StoreHandle<S>, ProcessorError> {
        self.shared.store_handle(name, self.stores)
    }

    /// A global store, which every processor may read.
    ///
    /// # Errors
    /// When there is none of this name, or it is of another type than `S`.
    pub fn global_store<S: StateStore>(&self, name: &str) -> Result<GlobalStore<S>, ProcessorError> {
        self.shared.global_store(name)
    }

    /// Asks for a regular call of the processor's `punctuate`. By stream time it is due first at the first
    /// record, by wall clock first after one interval.
    pub fn schedule(&mut self, interval: Duration, kind: PunctuationType) -> PunctuationId {
        self.shared.schedule(self.node, interval, kind)
    }

    /// What all nodes of the task share.
    pub fn shared(&mut self) -> &mut Shared {
        self.shared
    }
}

/// What a processor may do while it handles a record or a punctuation.
#[derive(Debug)]
pub struct ProcessorContext<'a, 'n, KOut, VOut> {
    node: &'a mut NodeContext<'n>,
    types: PhantomData<fn(KOut, VOut)>,
}

impl<'a, 'n, KOut: Data, VOut: Data> ProcessorContext<'a, 'n, KOut, VOut> {
    /// A typed view of a node's context.
    pub fn new(node: &'a mut NodeContext<'n>) -> Self {
        ProcessorContext { node, types: PhantomData }
    }

    /// Sends a record to all children.
    ///
    /// # Errors
    /// Those of the children: pass them on with `?`.
    pub fn forward(&mut self, record: Record<KOut, VOut>) -> Result<(), ProcessorError> {
        self.node.forward(record)
    }

    /// Sends a record to the child of this name.
    ///
    /// # Errors
    /// When there is no such child, else those of the child.
    pub fn forward_to(&mut self, child: &str, record: Record<KOut, VOut>) -> Result<(), ProcessorError> {
        self.node.forward_to(child, record)
    }

    /// The store behind a handle.
    pub fn store_mut<S: StateStore>(&mut self, handle: StoreHandle<S>) -> &mut S {
        self.node.store_mut(handle)
    }

    /// Where the input record came from; none while a punctuation runs.
    pub fn record_context(&self) -> Option<&RecordContext> {
        self.node.record_context()
    }

    /// The event time of the record that is being processed.
    pub fn timestamp(&self) -> Timestamp {
        self.node.timestamp()
    }

    /// The headers of the record that is being processed.
    pub fn headers(&self) -> &Headers {
        self.node.headers()
    }

    /// The largest event time that the task has seen.
    pub fn stream_time(&self) -> Timestamp {
        self.node.stream_time()
    }

    /// The wall clock as of this step.
    pub fn wall_clock(&self) -> Timestamp {
        self.node.wall_clock()
    }

    /// Asks for a regular call of `punctuate`.
    pub fn schedule(&mut self, interval: Duration, kind: PunctuationType) -> PunctuationId {
        self.node.schedule(interval, kind)
    }

    /// Ends a punctuation.
    pub fn cancel(&mut self, punctuation: PunctuationId) {
        self.node.shared().cancel(punctuation);
    }

    /// Asks for a commit as soon as the record is done.
    pub fn commit(&mut self) {
        self.node.shared().commit_requested = true;
    }
}
