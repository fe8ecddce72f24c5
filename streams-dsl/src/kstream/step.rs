//! The node behind every stateless operator.

use std::any::Any;
use std::sync::Arc;

use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::Record;
use streams_core::topology::ProcessorSpec;

/// A node that is one function of the record in its slot: a filter leaves the record there for the next node, so that
/// a hop moves and allocates nothing. All tasks share the function.
pub(crate) fn step<K: 'static, V: 'static, K2: 'static, V2: 'static>(
    run: impl Fn(&mut Option<Record<K, V>>, &mut NodeContext<'_>) -> Result<(), ProcessorError>
    + Send
    + Sync
    + 'static,
) -> ProcessorSpec {
    let run = Arc::new(run);
    ProcessorSpec::from_factory::<K, V, K2, V2>(move |_: &mut InitContext<'_>| {
        let run = Arc::clone(&run);
        let run = move |slot: &mut dyn Any, context: &mut NodeContext<'_>| run(slot_of(slot)?, context);
        Ok(Box::new(Step(run)))
    })
}

struct Step<F>(F);

impl<F> Node for Step<F>
where
    F: FnMut(&mut dyn Any, &mut NodeContext<'_>) -> Result<(), ProcessorError> + Send,
{
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        (self.0)(slot, context)
    }
}
