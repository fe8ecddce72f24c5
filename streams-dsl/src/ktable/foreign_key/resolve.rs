//! The node that takes the answers and joins them with the rows that asked (`ResponseJoinProcessorSupplier`).

use std::any::Any;
use std::sync::Arc;

use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::{Data, Record};
use streams_core::topology::ProcessorSpec;

use super::hash::hash_row;
use super::parts::{Joiner, Parts};
use super::wire::Response;
use crate::ktable::{Getter, View};
use crate::options::SharedSerde;

/// The node, which finds the rows by `rows`.
pub(super) fn spec<K: Data, V: Data, FK: Data, FV: Data, R: Data>(
    parts: &Parts<K, V, FK, FV, R>,
    rows: &View<K, V>,
) -> ProcessorSpec {
    let (make, stores) = (Arc::clone(&rows.make), rows.stores.clone());
    let (values, joiner, left) = (Arc::clone(&parts.values), Arc::clone(&parts.joiner), parts.left);
    let spec =
        ProcessorSpec::from_factory::<K, Response<FV>, K, Option<R>>(move |context: &mut InitContext<'_>| {
            let rows = make(context)?;
            let (values, joiner) = (Arc::clone(&values), Arc::clone(&joiner));
            Ok(Box::new(Resolve { rows, values, joiner, left, bytes: Vec::new() }))
        });
    spec.with_stores(stores)
}

struct Resolve<K, V, FV, R> {
    rows: Box<dyn Getter<K, V>>,
    values: SharedSerde<V>,
    joiner: Joiner<V, FV, R>,
    left: bool,
    bytes: Vec<u8>,
}

impl<K: Data, V: Data, FV: Data, R: Data> Node for Resolve<K, V, FV, R> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, Response<FV>>(slot)?.take() else { return Ok(()) };
        let Record { key, value: Response { hash, value: foreign, .. }, timestamp, headers } = record;
        let row = self.rows.get(&key, context)?;
        let present = match &row {
            Some(row) => {
                self.bytes.clear();
                self.values.serialize(&row.value, &mut self.bytes)?;
                Some(hash_row(&self.bytes))
            }
            None => None,
        };
        if hash != present {
            // The row has changed since it asked: another answer is on its way.
            context.shared().dropped_records += 1;
            return Ok(());
        }
        let value = match (row, foreign) {
            (Some(row), foreign) if self.left || foreign.is_some() => {
                (self.joiner)(&row.value, foreign.as_ref())
            }
            _ => None,
        };
        context.forward(Record { key, value, timestamp, headers })
    }
}
