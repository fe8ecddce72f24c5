//! The store of a windowed table, as the plan and as a task know it.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use state_stores::{Stores, TimestampedWindowStore, Windowed};
use streams_core::processor::{InitContext, NodeContext, ProcessorError, StoreHandle};
use streams_core::record::Data;
use streams_core::state::StoreBuilder;

use crate::ktable::{Getter, Lookup, TableLogic, TableStore, View};
use crate::options::{SharedSerde, StoreOptions};

/// What the plan knows of a windowed table's store.
pub(crate) struct WindowTableStore<K, V> {
    pub(crate) name: Arc<str>,
    pub(crate) keys: SharedSerde<K>,
    pub(crate) values: SharedSerde<V>,
    pub(crate) size: Duration,
    pub(crate) retention: Duration,
    pub(crate) options: StoreOptions,
}

impl<K, V> Clone for WindowTableStore<K, V> {
    fn clone(&self) -> Self {
        WindowTableStore {
            name: Arc::clone(&self.name),
            keys: Arc::clone(&self.keys),
            values: Arc::clone(&self.values),
            options: self.options.clone(),
            ..*self
        }
    }
}

impl<K: Data, V: Data> WindowTableStore<K, V> {
    /// The store as the topology takes it.
    pub(crate) fn builder(&self) -> Arc<dyn StoreBuilder> {
        let (keys, values) = (Arc::clone(&self.keys), Arc::clone(&self.values));
        let builder =
            Stores::timestamped_window(Arc::clone(&self.name), self.size, self.retention, keys, values);
        self.options.apply(builder).build()
    }

    /// The store as a task has it.
    pub(crate) fn open(&self, context: &InitContext<'_>) -> Result<WindowHandle<K, V>, ProcessorError> {
        context.store(&self.name)
    }
}

/// A windowed table's store within a task.
pub(crate) type WindowHandle<K, V> = StoreHandle<TimestampedWindowStore<K, V>>;

/// The plan's side of a windowed aggregation.
pub(crate) struct WindowedTable<K, V> {
    pub(crate) store: WindowTableStore<K, V>,
    pub(crate) send_old: Cell<bool>,
}

impl<K: Data, V: Data> TableLogic<Windowed<K>, V> for WindowedTable<K, V> {
    fn enable_old_values(&self, _force: bool) -> bool {
        self.send_old.set(true);
        true
    }

    fn view(&self) -> View<Windowed<K>, V> {
        let store = self.store.clone();
        View {
            stores: vec![Arc::clone(&store.name)],
            make: Arc::new(move |context| Ok(Box::new(WindowView(store.open(context)?)))),
        }
    }

    fn materialize(&self, store: TableStore<Windowed<K>, V>) -> Result<(), String> {
        Err(format!(
            "a windowed aggregation has a store already, `{}`: name it where it is made, by the variant with `_with`, \
             not by `.materialized({})`",
            self.store.name, store.name
        ))
    }
}

struct WindowView<K, V>(WindowHandle<K, V>);

impl<K: Data, V: Data> Getter<Windowed<K>, V> for WindowView<K, V> {
    fn get(&mut self, key: &Windowed<K>, context: &mut NodeContext<'_>) -> Lookup<V> {
        Ok(context.store_mut(self.0).fetch(&key.key, key.window.start)?)
    }
}
