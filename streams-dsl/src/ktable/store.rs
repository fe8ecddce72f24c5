//! A table's store, as the plan and as a task know it.

use std::sync::Arc;

use state_stores::{Builder, StoreChange, Stores, TimestampedKeyValueStore, ValueAndTimestamp};
use streams_core::processor::{InitContext, NodeContext, ProcessorError, StoreHandle};
use streams_core::record::{Data, Record};
use streams_core::state::{StateStore, StoreBuilder};
use streams_core::time::Timestamp;

use super::view::Lookup;
use crate::change::Change;
use crate::options::{Backend, SharedSerde, StoreOptions};
use crate::plan::Lowering;

/// What the plan knows of a table's store.
pub(crate) struct TableStore<K, V> {
    pub(crate) name: Arc<str>,
    pub(crate) keys: SharedSerde<K>,
    pub(crate) values: SharedSerde<V>,
    pub(crate) options: StoreOptions,
}

impl<K, V> Clone for TableStore<K, V> {
    fn clone(&self) -> Self {
        TableStore {
            name: Arc::clone(&self.name),
            keys: Arc::clone(&self.keys),
            values: Arc::clone(&self.values),
            options: self.options.clone(),
        }
    }
}

impl<K: Data, V: Data> TableStore<K, V> {
    /// Adds the store to the topology.
    pub(crate) fn add_to(&self, lowering: &mut Lowering<'_>) {
        if self.options.history.is_some() {
            let store = &self.name;
            lowering.fault(format!(
                "table store `{store}` is to be versioned, which tables cannot be yet: leave `Materialized::versioned` \
                 out, or keep history in a processor of your own with `Stores::versioned_key_value`",
            ));
        }
        lowering.store(self.builder());
    }

    fn builder(&self) -> Arc<dyn StoreBuilder> {
        let (keys, values) = (Arc::clone(&self.keys), Arc::clone(&self.values));
        self.options.apply(Stores::timestamped_key_value(Arc::clone(&self.name), keys, values)).build()
    }

    /// The store as a task has it.
    pub(crate) fn open(&self, context: &mut InitContext<'_>) -> Result<OpenStore<K, V>, ProcessorError> {
        let handle = context.store::<TimestampedKeyValueStore<K, V>>(&self.name)?;
        let caching = context.shared().store_mut(handle).caching();
        Ok(OpenStore { handle, caching })
    }
}

impl StoreOptions {
    /// Sets what a user may choose for any kind of store.
    pub(crate) fn apply<S: StateStore>(&self, builder: Builder<S>) -> Builder<S> {
        let builder = builder.caching(self.caching).logging(self.logging);
        let builder = match &self.backend {
            Backend::Persistent => builder.persistent(),
            Backend::InMemory => builder.in_memory(),
            Backend::Custom(backend) => builder.backend(Arc::clone(backend)),
        };
        self.changelog.iter().fold(builder, |builder, (name, value)| builder.changelog_setting(name, value))
    }
}

/// A table's store within a task.
pub(crate) struct OpenStore<K, V> {
    handle: StoreHandle<TimestampedKeyValueStore<K, V>>,
    /// Whether changes are held back until a flush.
    pub(crate) caching: bool,
}

impl<K: Data, V: Data> OpenStore<K, V> {
    /// Lets held-back changes carry the value before them.
    pub(crate) fn keep_old_values(&self, context: &mut InitContext<'_>) {
        context.shared().store_mut(self.handle).keep_old_values();
    }

    pub(crate) fn get(&self, key: &K, context: &mut NodeContext<'_>) -> Lookup<V> {
        Ok(context.store_mut(self.handle).get(key)?)
    }

    pub(crate) fn get_as_of(&self, key: &K, _time: Timestamp, context: &mut NodeContext<'_>) -> Lookup<V> {
        self.get(key, context)
    }

    /// Sets a row; none deletes it.
    pub(crate) fn put(
        &self,
        key: &K,
        value: Option<V>,
        timestamp: Timestamp,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let row = value.map(|value| ValueAndTimestamp { value, timestamp });
        Ok(context.store_mut(self.handle).put(key, row)?)
    }

    /// Alters a row in place.
    pub(crate) fn update<R>(
        &self,
        key: &K,
        context: &mut NodeContext<'_>,
        change: impl FnOnce(&mut Option<ValueAndTimestamp<V>>) -> R,
    ) -> Result<R, ProcessorError> {
        Ok(context.store_mut(self.handle).update(key, change)?)
    }

    /// Forwards what the cache holds back.
    pub(crate) fn flush(&self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        while let Some(change) = context.store_mut(self.handle).next_change()? {
            context.forward(change_record(change))?;
        }
        Ok(())
    }
}

/// A held-back change as a record: its time is that of the new row, or of the record that deleted it.
pub(crate) fn change_record<K, V>(change: StoreChange<K, ValueAndTimestamp<V>>) -> Record<K, Change<V>> {
    let timestamp = change.new.as_ref().map_or(change.timestamp, |row| row.timestamp);
    let (old, new) = (change.old.map(|row| row.value), change.new.map(|row| row.value));
    Record { key: change.key, value: Change::new(old, new), timestamp, headers: change.headers }
}
