//! Tables that are computed row by row from another one: filters and maps.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use state_stores::ValueAndTimestamp;
use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::{Data, Record};
use streams_core::topology::ProcessorSpec;

use super::KTable;
use super::output::TableOutput;
use super::store::TableStore;
use super::view::{TableLogic, View};
use crate::change::Change;

/// How a row is computed; none where there is none.
pub(super) type RowMap<K, V, V2> = Arc<dyn Fn(&K, V) -> Option<V2> + Send + Sync>;

/// How rows are looked up that follow from another table's.
type ViewMap<K, V, V2> = dyn Fn(View<K, V>) -> View<K, V2>;

/// Settings of a derived table.
pub(super) struct Derive<K, V, V2> {
    /// Prefix of its node's generated name.
    pub(super) prefix: &'static str,
    /// Computes a row.
    pub(super) row: RowMap<K, V, V2>,
    /// Whether a change from nothing to nothing is kept back, where old values are known (filters).
    pub(super) skip_nothing: bool,
}

impl<K: Data, V: Data> KTable<K, V> {
    /// Adds a node that computes each row from this table's.
    pub(super) fn derive<V2: Data>(&self, derive: Derive<K, V, V2>) -> KTable<K, V2> {
        // Filters ask for old values where they cost nothing, so that rows that never passed leave no tombstones.
        let send_old = derive.skip_nothing && self.logic.enable_old_values(false);
        // In the history of a row that never passed there may be one that did (KIP-914).
        let skip_nothing = derive.skip_nothing && !self.logic.is_versioned();
        let row = Arc::clone(&derive.row);
        let rows = move |rows: View<K, V>| {
            let row = Arc::clone(&row);
            rows.map(move |key, found| {
                let timestamp = found.timestamp;
                row(key, found.value).map(|value| ValueAndTimestamp { value, timestamp })
            })
        };
        let (prefix, row) = (derive.prefix, derive.row);
        Derived::behind(self, send_old, rows).add(self, prefix, [].into(), move |output, _| {
            Ok(Box::new(DerivedNode { output, row: Arc::clone(&row), skip_nothing }))
        })
    }
}

/// The plan's side of a table whose rows follow from another table's: it has a store where it is materialized; elsewhere
/// a row is computed anew whenever it is looked up.
pub(super) struct Derived<K, V, V2> {
    parent: Rc<dyn TableLogic<K, V>>,
    /// Makes its rows of the other table's.
    rows: Box<ViewMap<K, V, V2>>,
    send_old: Cell<bool>,
    store: RefCell<Option<TableStore<K, V2>>>,
}

impl<K: Data, V: Data, V2: Data> Derived<K, V, V2> {
    /// A table behind another one, without a store so far.
    pub(super) fn behind(
        parent: &KTable<K, V>,
        send_old: bool,
        rows: impl Fn(View<K, V>) -> View<K, V2> + 'static,
    ) -> Rc<Self> {
        let (parent, rows) = (Rc::clone(&parent.logic), Box::new(rows));
        Rc::new(Derived { parent, rows, send_old: Cell::new(send_old), store: RefCell::new(None) })
    }

    /// Adds the table's node, which reads `stores` beside its own; `make` makes it around its output.
    pub(super) fn add(
        self: Rc<Self>,
        parent: &KTable<K, V>,
        prefix: &str,
        stores: Box<[Arc<str>]>,
        make: impl Fn(TableOutput<K, V2>, &mut InitContext<'_>) -> Result<Box<dyn Node>, ProcessorError>
        + Send
        + Sync
        + 'static,
    ) -> KTable<K, V2> {
        let (of_node, make) = (Rc::clone(&self), Arc::new(make));
        let place = parent.place.then(prefix, move |lowering| {
            let (store, send_old) = (of_node.store.borrow().clone(), of_node.send_old.get());
            let (opened, make) = (store.clone(), Arc::clone(&make));
            let spec = ProcessorSpec::from_factory::<K, Change<V>, K, Change<V2>>(
                move |context: &mut InitContext<'_>| {
                    let output = TableOutput::open(opened.as_ref(), send_old, context)?;
                    make(output, context)
                },
            );
            lowering.processor(spec.with_stores(stores.iter().cloned()));
            if let Some(store) = &store {
                store.add_to(lowering);
            }
        });
        KTable { place, logic: self, key_serde: parent.key_serde.clone(), value_serde: None }
    }
}

impl<K: Data, V: Data, V2: Data> TableLogic<K, V2> for Derived<K, V, V2> {
    fn enable_old_values(&self, force: bool) -> bool {
        if self.store.borrow().is_some() || self.parent.enable_old_values(force) {
            self.send_old.set(true);
        }
        self.send_old.get()
    }

    fn view(&self) -> View<K, V2> {
        match &*self.store.borrow() {
            Some(store) => View::of_store(store),
            None => (self.rows)(self.parent.view()),
        }
    }

    fn materialize(&self, store: TableStore<K, V2>) -> Result<(), String> {
        store.keep_in(&self.store)
    }

    fn is_versioned(&self) -> bool {
        match &*self.store.borrow() {
            Some(store) => store.is_versioned(),
            None => self.parent.is_versioned(),
        }
    }
}

struct DerivedNode<K, V, V2> {
    output: TableOutput<K, V2>,
    row: RowMap<K, V, V2>,
    skip_nothing: bool,
}

impl<K: Data, V: Data, V2: Data> Node for DerivedNode<K, V, V2> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, Change<V>>(slot)?.take() else { return Ok(()) };
        let Record { key, value: Change { old, new, is_latest }, timestamp, headers } = record;
        let new = new.and_then(|value| (self.row)(&key, value));
        let old = self.output.old(&key, context, || old.and_then(|value| (self.row)(&key, value)))?;
        if self.skip_nothing && self.output.sends_old() && old.is_none() && new.is_none() {
            return Ok(());
        }
        self.output.emit(Record { key, value: Change { old, new, is_latest }, timestamp, headers }, context)
    }

    fn flush(&mut self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        self.output.flush(context)
    }
}
