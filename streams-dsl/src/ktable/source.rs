//! Tables that begin at a topic, or at a stream.

use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::{Data, Record};
use streams_core::topology::ProcessorSpec;

use super::output::TableOutput;
use super::store::TableStore;
use super::view::{TableLogic, View};
use crate::change::Change;

/// The plan's side of a source table: it has a store where it was named, or where something needs one.
pub(crate) struct SourceTable<K, V> {
    store: TableStore<K, V>,
    stored: Cell<bool>,
    send_old: Cell<bool>,
}

/// Splits an input into key and row: no key, and it is dropped; no row, and it deletes.
pub(crate) type ReadRow<KIn, VIn, K, V> = Arc<dyn Fn(KIn, VIn) -> (Option<K>, Option<V>) + Send + Sync>;

impl<K: Data, V: Data> SourceTable<K, V> {
    /// A source table; `stored` says whether it has its store from the start.
    pub(crate) fn new(store: TableStore<K, V>, stored: bool) -> Rc<Self> {
        Rc::new(SourceTable { store, stored: Cell::new(stored), send_old: Cell::new(false) })
    }

    /// The store, if it is to be there.
    pub(crate) fn store(&self) -> Option<&TableStore<K, V>> {
        self.stored.get().then_some(&self.store)
    }

    /// The node.
    pub(crate) fn node<KIn: Data, VIn: Data>(&self, read: ReadRow<KIn, VIn, K, V>) -> ProcessorSpec {
        let (store, send_old) = (self.store().cloned(), self.send_old.get());
        ProcessorSpec::from_factory::<KIn, VIn, K, Change<V>>(move |context: &mut InitContext<'_>| {
            let output = TableOutput::open(store.as_ref(), send_old, context)?;
            Ok(Box::new(SourceNode { output, read: Arc::clone(&read) }))
        })
    }
}

impl<K: Data, V: Data> TableLogic<K, V> for SourceTable<K, V> {
    fn enable_old_values(&self, force: bool) -> bool {
        if !force && !self.stored.get() {
            return false;
        }
        self.stored.set(true);
        self.send_old.set(true);
        true
    }

    fn view(&self) -> View<K, V> {
        self.stored.set(true);
        View::of_store(&self.store)
    }

    fn materialize(&self, store: TableStore<K, V>) -> Result<(), String> {
        Err(format!(
            "name the store `{}` where the table begins: `table_with(..)` or `to_table_with(..)`",
            store.name
        ))
    }

    fn is_versioned(&self) -> bool {
        self.stored.get() && self.store.is_versioned()
    }
}

struct SourceNode<KIn, VIn, K, V> {
    output: TableOutput<K, V>,
    read: ReadRow<KIn, VIn, K, V>,
}

impl<KIn: Data, VIn: Data, K: Data, V: Data> Node for SourceNode<KIn, VIn, K, V> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<KIn, VIn>(slot)?.take() else { return Ok(()) };
        let Record { key, value, timestamp, headers } = record;
        let (Some(key), new) = (self.read)(key, value) else {
            context.shared().dropped_records += 1;
            return Ok(());
        };
        let old = self.output.old(&key, context, || None)?;
        self.output.emit(Record { key, value: Change::new(old, new), timestamp, headers }, context)
    }

    fn flush(&mut self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        self.output.flush(context)
    }
}
