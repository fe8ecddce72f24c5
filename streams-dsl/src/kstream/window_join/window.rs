//! The node that keeps a side's records in their store (Kafka's `KStreamJoinWindow`).

use std::any::Any;
use std::sync::Arc;

use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, StoreHandle, slot_of};
use streams_core::record::Data;
use streams_core::topology::ProcessorSpec;

use super::parts::{Parts, SideStore};
use super::side::Side;
use crate::options::SharedSerde;
use crate::plan::Lowering;

/// Adds the node, and the side's store.
pub(super) fn lower<S: Side<L, R>, K: Data, L: Data, R: Data, O: Data>(
    parts: &Parts<K, L, R, O>,
    lowering: &mut Lowering<'_>,
) {
    let name = lowering.resolve(S::stores(&parts.names).0);
    let store = parts.side_store(Arc::clone(&name), S::serde(parts));
    let (keys, values) = (Arc::clone(&parts.keys), Arc::clone(S::serde(parts)));
    lowering.processor(ProcessorSpec::from_factory::<K, S::This, K, S::This>(
        move |context: &mut InitContext<'_>| {
            let store = context.store::<SideStore<K, S::This>>(&name)?;
            Ok(Box::new(WindowNode { store, keys: Arc::clone(&keys), values: Arc::clone(&values) }))
        },
    ));
    lowering.store(store);
}

struct WindowNode<K, V> {
    store: StoreHandle<SideStore<K, V>>,
    keys: SharedSerde<K>,
    values: SharedSerde<V>,
}

impl<K: Data, V: Data> Node for WindowNode<K, V> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let slot = slot_of::<K, V>(slot)?;
        let Some(record) = slot.as_ref().filter(|record| !self.keys.is_null(&record.key)) else {
            return context.forward_slot(slot);
        };
        // The record is joined before it is kept: where both sides share the store, it must not meet itself.
        let (key, timestamp) = (record.key.clone(), record.timestamp);
        let value = (!self.values.is_null(&record.value)).then(|| record.value.clone());
        context.forward_slot(slot)?;
        // What comes too late for the store is counted there.
        context.store_mut(self.store).put(&key, value, timestamp)?;
        Ok(())
    }
}
