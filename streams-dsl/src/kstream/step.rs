//! The node behind every stateless operator.

use std::any::{Any, TypeId};
use std::sync::Arc;

use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::{Data, Record};
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

/// Sends the record in `slot` on with another value. A value that keeps its type and has no destructor, a number for
/// instance, is changed where it stands, for moving the record costs several times what the hop does.
#[inline]
pub(crate) fn forward_mapped<K: Data, V: Data, V2: Data>(
    slot: &mut Option<Record<K, V>>,
    context: &mut NodeContext<'_>,
    map: impl FnOnce(&K, V) -> V2,
) -> Result<(), ProcessorError> {
    let stays = !std::mem::needs_drop::<V>() && TypeId::of::<V>() == TypeId::of::<V2>();
    match slot {
        Some(record) if stays => {
            let value = map(&record.key, record.value.clone());
            if let Some(place) = (&mut record.value as &mut dyn Any).downcast_mut() {
                *place = value;
            }
            context.forward_slot(slot)
        }
        _ => match slot.take() {
            Some(Record { key, value, timestamp, headers }) => {
                let value = map(&key, value);
                context.forward(Record { key, value, timestamp, headers })
            }
            None => Ok(()),
        },
    }
}
