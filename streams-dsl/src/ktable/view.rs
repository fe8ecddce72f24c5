//! How rows of a table are looked up, be they in a store or computed from one further up.

use std::sync::Arc;

use state_stores::ValueAndTimestamp;
use streams_core::processor::{InitContext, NodeContext, ProcessorError};
use streams_core::record::Data;
use streams_core::time::Timestamp;

use super::store::{OpenStore, TableStore};

/// What the plan knows of a table beyond its node.
pub(crate) trait TableLogic<K, V> {
    /// Asks for old values in the table's changes; `force` lets a source table get a store for it. Answers whether
    /// they will be there.
    fn enable_old_values(&self, force: bool) -> bool;

    /// How rows are looked up; a source table gets a store for it.
    fn view(&self) -> View<K, V>;

    /// Gives the table a store of its own.
    fn materialize(&self, store: TableStore<K, V>) -> Result<(), String>;

    /// Whether its changes are those of a versioned table.
    fn is_versioned(&self) -> bool {
        false
    }
}

/// A row as it is found: none where there is none.
pub(crate) type Lookup<V> = Result<Option<ValueAndTimestamp<V>>, ProcessorError>;

/// Looks rows up within one task.
pub(crate) trait Getter<K, V>: Send {
    /// The row of a key.
    fn get(&mut self, key: &K, context: &mut NodeContext<'_>) -> Lookup<V>;

    /// The row of a key as it was at a time; only versioned tables know more than the present.
    fn get_as_of(&mut self, key: &K, _time: Timestamp, context: &mut NodeContext<'_>) -> Lookup<V> {
        self.get(key, context)
    }
}

type MakeGetter<K, V> =
    dyn Fn(&mut InitContext<'_>) -> Result<Box<dyn Getter<K, V>>, ProcessorError> + Send + Sync;

/// How rows are looked up: the stores that it takes, and the getter for each task.
pub(crate) struct View<K, V> {
    pub(crate) stores: Vec<Arc<str>>,
    pub(crate) make: Arc<MakeGetter<K, V>>,
}

impl<K, V> Clone for View<K, V> {
    fn clone(&self) -> Self {
        View { stores: self.stores.clone(), make: Arc::clone(&self.make) }
    }
}

impl<K: Data, V: Data> View<K, V> {
    /// The rows of a table's own store.
    pub(crate) fn of_store(store: &TableStore<K, V>) -> Self {
        let of_task = store.clone();
        View {
            stores: vec![Arc::clone(&store.name)],
            make: Arc::new(move |context| Ok(Box::new(StoreView(of_task.open(context)?)))),
        }
    }

    /// No rows: stands for those of a table whose fault is noted, so that nobody will look.
    pub(crate) fn of_nothing() -> Self {
        View { stores: Vec::new(), make: Arc::new(|_| Ok(Box::new(NoRows))) }
    }

    /// The rows of this view, changed by a function of key and row.
    pub(crate) fn map<V2: Data>(
        &self,
        map: impl Fn(&K, ValueAndTimestamp<V>) -> Option<ValueAndTimestamp<V2>> + Clone + Send + Sync + 'static,
    ) -> View<K, V2> {
        let make = Arc::clone(&self.make);
        View {
            stores: self.stores.clone(),
            make: Arc::new(move |context| Ok(Box::new(Mapped { rows: make(context)?, map: map.clone() }))),
        }
    }
}

/// Rows of a store.
pub(crate) struct StoreView<K, V>(OpenStore<K, V>);

impl<K: Data, V: Data> Getter<K, V> for StoreView<K, V> {
    fn get(&mut self, key: &K, context: &mut NodeContext<'_>) -> Lookup<V> {
        self.0.get(key, context)
    }

    fn get_as_of(&mut self, key: &K, time: Timestamp, context: &mut NodeContext<'_>) -> Lookup<V> {
        self.0.get_as_of(key, time, context)
    }
}

struct NoRows;

impl<K, V> Getter<K, V> for NoRows {
    fn get(&mut self, _key: &K, _context: &mut NodeContext<'_>) -> Lookup<V> {
        Ok(None)
    }
}

struct Mapped<K, V, F> {
    rows: Box<dyn Getter<K, V>>,
    map: F,
}

impl<K, V, V2, F> Getter<K, V2> for Mapped<K, V, F>
where
    F: Fn(&K, ValueAndTimestamp<V>) -> Option<ValueAndTimestamp<V2>> + Send,
{
    fn get(&mut self, key: &K, context: &mut NodeContext<'_>) -> Lookup<V2> {
        Ok(self.rows.get(key, context)?.and_then(|row| (self.map)(key, row)))
    }

    fn get_as_of(&mut self, key: &K, time: Timestamp, context: &mut NodeContext<'_>) -> Lookup<V2> {
        Ok(self.rows.get_as_of(key, time, context)?.and_then(|row| (self.map)(key, row)))
    }
}
