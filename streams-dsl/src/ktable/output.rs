//! How a table node sends its changes: through its store, where it has one.

use std::sync::Arc;

use streams_core::processor::{InitContext, NodeContext, ProcessorError};
use streams_core::record::{Data, Record};

use super::store::{OpenStore, TableStore};
use crate::change::Change;
use crate::options::SharedSerde;

/// The end of a table node: keeps rows in the node's own store, if any, and sends changes on; with caching they wait
/// for the flush (Kafka's `TimestampedTupleForwarder`).
pub(crate) struct TableOutput<K, V> {
    store: Option<OpenStore<K, V>>,
    /// Tells values that stand for null, which delete.
    values: Option<SharedSerde<V>>,
    send_old: bool,
}

impl<K: Data, V: Data> TableOutput<K, V> {
    /// The output of a node with this store; `send_old` says whether changes are to carry old values.
    pub(crate) fn open(
        store: Option<&TableStore<K, V>>,
        send_old: bool,
        context: &mut InitContext<'_>,
    ) -> Result<Self, ProcessorError> {
        let values = store.map(|store| Arc::clone(&store.values));
        let store = store.map(|store| store.open(context)).transpose()?;
        if let (Some(store), true) = (&store, send_old) {
            store.keep_old_values(context);
        }
        Ok(TableOutput { store, values, send_old })
    }

    /// Whether the table has a store of its own.
    pub(crate) fn has_store(&self) -> bool {
        self.store.is_some()
    }

    /// The row before: from the own store, or else what `otherwise` says; none where nobody asked for it.
    pub(crate) fn old(
        &self,
        key: &K,
        context: &mut NodeContext<'_>,
        otherwise: impl FnOnce() -> Option<V>,
    ) -> Result<Option<V>, ProcessorError> {
        match &self.store {
            _ if !self.send_old => Ok(None),
            Some(store) => Ok(store.get(key, context)?.map(|row| row.value)),
            None => Ok(otherwise()),
        }
    }

    /// Keeps the new row and sends the change on.
    pub(crate) fn emit(
        &self,
        mut record: Record<K, Change<V>>,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        if let Some(values) = &self.values {
            record.value.new = record.value.new.filter(|value| !values.is_null(value));
        }
        if let Some(store) = &self.store {
            let put = store.put(&record.key, record.value.new.clone(), record.timestamp, context)?;
            if store.caching {
                return Ok(());
            }
            let Some(change) = record.value.after(put) else { return Ok(()) };
            record.value = change;
        }
        context.forward(record)
    }

    /// Sends what the store holds back.
    pub(crate) fn flush(&self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        self.store.as_ref().map_or(Ok(()), |store| store.flush(context))
    }

    /// Whether changes are to carry old values.
    pub(crate) fn sends_old(&self) -> bool {
        self.send_old
    }
}
