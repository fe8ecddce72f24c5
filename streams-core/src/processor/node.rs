//! The erased form of a step: what the graph's arena holds.

use std::any::{Any, TypeId, type_name};
use std::marker::PhantomData;

use super::Processor;
use super::context::{InitContext, ProcessorContext};
use super::error::{ProcessorError, ProcessorErrorKind};
use super::graph::NodeContext;
use super::punctuation::PunctuationId;
use crate::record::{Data, Record};
use crate::time::Timestamp;

/// A step as the graph sees it. A record arrives in a slot, an `Option<Record<K, V>>` behind `dyn Any`: a filter
/// leaves it there for the next node, so that a hop neither allocates nor moves it.
pub trait Node: Send {
    /// Handles the record in the slot (see [`slot_of`]).
    ///
    /// # Errors
    /// As [`Processor::process`].
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError>;

    /// Handles a punctuation.
    ///
    /// # Errors
    /// As [`Processor::process`].
    fn punctuate(
        &mut self,
        _punctuation: PunctuationId,
        _time: Timestamp,
        _context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        Ok(())
    }

    /// Forwards what the node's store has held back in its cache; called before every commit, parents first.
    ///
    /// # Errors
    /// As [`Processor::process`].
    fn flush(&mut self, _context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        Ok(())
    }

    /// Releases what the node holds outside the task.
    fn close(&mut self) {}
}

/// Makes a node for one task.
pub trait NodeFactory: Send + Sync {
    /// Makes the node; stores and punctuations are asked for here.
    ///
    /// # Errors
    /// When a store is missing or of another type.
    fn make(&self, context: &mut InitContext<'_>) -> Result<Box<dyn Node>, ProcessorError>;
}

impl<F> NodeFactory for F
where
    F: Fn(&mut InitContext<'_>) -> Result<Box<dyn Node>, ProcessorError> + Send + Sync,
{
    fn make(&self, context: &mut InitContext<'_>) -> Result<Box<dyn Node>, ProcessorError> {
        self(context)
    }
}

/// The type of the records on an edge, for the check that parents forward what their children take.
#[derive(Debug, Clone, Copy)]
pub struct RecordType {
    /// Identifies `Record<K, V>`.
    pub id: TypeId,
    /// Its readable name.
    pub name: &'static str,
}

impl RecordType {
    /// The type of records with these keys and values.
    pub fn of<K: 'static, V: 'static>() -> Self {
        RecordType { id: TypeId::of::<Record<K, V>>(), name: type_name::<(K, V)>() }
    }
}

impl PartialEq for RecordType {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// The typed record slot behind `slot`.
///
/// # Errors
/// [`ProcessorErrorKind::WrongType`] when a parent forwards another type; the topology's own check comes first.
#[inline]
pub fn slot_of<K: 'static, V: 'static>(
    slot: &mut dyn Any,
) -> Result<&mut Option<Record<K, V>>, ProcessorError> {
    slot.downcast_mut()
        .ok_or_else(|| ProcessorErrorKind::WrongType { expected: type_name::<(K, V)>() }.into())
}

/// Fits a typed [`Processor`] into the graph.
pub(crate) fn processor_node<P, KIn, VIn, KOut, VOut>(processor: P) -> Box<dyn Node>
where
    P: Processor<KIn, VIn, KOut, VOut> + 'static,
    KIn: Data,
    VIn: Data,
    KOut: Data,
    VOut: Data,
{
    Box::new(ProcessorNode { processor, types: PhantomData })
}

type StepTypes<KIn, VIn, KOut, VOut> = fn(KIn, VIn) -> (KOut, VOut);

struct ProcessorNode<P, KIn, VIn, KOut, VOut> {
    processor: P,
    types: PhantomData<StepTypes<KIn, VIn, KOut, VOut>>,
}

impl<P, KIn, VIn, KOut, VOut> Node for ProcessorNode<P, KIn, VIn, KOut, VOut>
where
    P: Processor<KIn, VIn, KOut, VOut>,
    KIn: 'static,
    VIn: 'static,
    KOut: Data,
    VOut: Data,
{
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        match slot_of::<KIn, VIn>(slot)?.take() {
            Some(record) => self.processor.process(record, &mut ProcessorContext::new(context)),
            None => Ok(()),
        }
    }

    fn punctuate(
        &mut self,
        punctuation: PunctuationId,
        time: Timestamp,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        self.processor.punctuate(punctuation, time, &mut ProcessorContext::new(context))
    }

    fn close(&mut self) {
        self.processor.close();
    }
}
