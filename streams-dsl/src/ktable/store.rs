//! A table's store, as the plan and as a task know it.

use std::cell::RefCell;
use std::sync::Arc;

use state_stores::{
    Builder, StoreChange, Stores, TimestampedKeyValueStore, ValueAndTimestamp, VersionedKeyValueStore,
    VersionedPut, VersionedRecord,
};
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
    /// Makes this the table's one store; the fault of a table that has one already names that.
    pub(crate) fn keep_in(self, place: &RefCell<Option<Self>>) -> Result<(), String> {
        match place.replace(Some(self)) {
            None => Ok(()),
            Some(first) => Err(format!("a table is materialized twice, the first time as `{}`", first.name)),
        }
    }

    /// Adds the store to the topology.
    pub(crate) fn add_to(&self, lowering: &mut Lowering<'_>) {
        lowering.store(self.builder());
    }

    /// Whether it keeps its rows' history.
    pub(crate) fn is_versioned(&self) -> bool {
        self.options.history.is_some()
    }

    /// The store as the topology takes it.
    pub(crate) fn builder(&self) -> Arc<dyn StoreBuilder> {
        let (name, keys, values) = (Arc::clone(&self.name), Arc::clone(&self.keys), Arc::clone(&self.values));
        match self.options.history {
            Some(history) => {
                let builder = Stores::versioned_key_value(name, history, keys, values);
                self.options.apply(builder).caching(false).build()
            }
            None => self.options.apply(Stores::timestamped_key_value(name, keys, values)).build(),
        }
    }

    /// The store as a task has it.
    pub(crate) fn open(&self, context: &mut InitContext<'_>) -> Result<OpenStore<K, V>, ProcessorError> {
        if self.is_versioned() {
            return Ok(OpenStore { rows: Rows::Versioned(context.store(&self.name)?), caching: false });
        }
        let handle = context.store::<TimestampedKeyValueStore<K, V>>(&self.name)?;
        let caching = context.shared().store_mut(handle).caching();
        Ok(OpenStore { rows: Rows::Latest(handle), caching })
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
    rows: Rows<K, V>,
    /// Whether changes are held back until a flush.
    pub(crate) caching: bool,
}

enum Rows<K, V> {
    Latest(StoreHandle<TimestampedKeyValueStore<K, V>>),
    Versioned(StoreHandle<VersionedKeyValueStore<K, V>>),
}

/// What became of a row that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowPut {
    /// It is its key's latest.
    Latest,
    /// A versioned store has put it between others.
    Late,
    /// It is older than a versioned store's history: nobody is to hear of it.
    TooOld,
}

impl From<VersionedPut> for RowPut {
    fn from(put: VersionedPut) -> Self {
        match put {
            VersionedPut::Latest => RowPut::Latest,
            VersionedPut::Until(_) => RowPut::Late,
            VersionedPut::TooOld => RowPut::TooOld,
        }
    }
}

impl<K: Data, V: Data> OpenStore<K, V> {
    /// Lets held-back changes carry the value before them.
    pub(crate) fn keep_old_values(&self, context: &mut InitContext<'_>) {
        if let Rows::Latest(store) = self.rows {
            context.shared().store_mut(store).keep_old_values();
        }
    }

    pub(crate) fn get(&self, key: &K, context: &mut NodeContext<'_>) -> Lookup<V> {
        match self.rows {
            Rows::Latest(store) => Ok(context.store_mut(store).get(key)?),
            Rows::Versioned(store) => Ok(context.store_mut(store).get(key)?.map(row_of)),
        }
    }

    /// The row as it was at a time; without history as it is.
    pub(crate) fn get_as_of(&self, key: &K, time: Timestamp, context: &mut NodeContext<'_>) -> Lookup<V> {
        match self.rows {
            Rows::Latest(_) => self.get(key, context),
            Rows::Versioned(store) => Ok(context.store_mut(store).get_as_of(key, time)?.map(row_of)),
        }
    }

    /// Sets a row; none deletes it.
    pub(crate) fn put(
        &self,
        key: &K,
        value: Option<V>,
        timestamp: Timestamp,
        context: &mut NodeContext<'_>,
    ) -> Result<RowPut, ProcessorError> {
        match self.rows {
            Rows::Latest(store) => {
                let row = value.map(|value| ValueAndTimestamp { value, timestamp });
                context.store_mut(store).put(key, row)?;
                Ok(RowPut::Latest)
            }
            Rows::Versioned(store) => {
                Ok(context.store_mut(store).put(key, value.as_ref(), timestamp)?.into())
            }
        }
    }

    /// Alters a row; where there is no history, in place. `change` answers the new row, its time, and what is to be
    /// answered beside what became of the row.
    pub(crate) fn update<R>(
        &self,
        key: &K,
        context: &mut NodeContext<'_>,
        change: impl FnOnce(Option<ValueAndTimestamp<V>>) -> (Option<V>, Timestamp, R),
    ) -> Result<(R, RowPut), ProcessorError> {
        match self.rows {
            Rows::Latest(store) => {
                let answer = context.store_mut(store).update(key, |row| {
                    let (value, timestamp, answer) = change(row.take());
                    *row = value.map(|value| ValueAndTimestamp { value, timestamp });
                    answer
                })?;
                Ok((answer, RowPut::Latest))
            }
            Rows::Versioned(_) => {
                let (value, timestamp, answer) = change(self.get(key, context)?);
                Ok((answer, self.put(key, value, timestamp, context)?))
            }
        }
    }

    /// Forwards what the cache holds back.
    pub(crate) fn flush(&self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Rows::Latest(store) = self.rows else { return Ok(()) };
        while let Some(change) = context.store_mut(store).next_change()? {
            context.forward(change_record(change))?;
        }
        Ok(())
    }
}

fn row_of<V>(version: VersionedRecord<V>) -> ValueAndTimestamp<V> {
    ValueAndTimestamp { value: version.value, timestamp: version.timestamp }
}

/// A held-back change as a record: its time is that of the new row, or of the record that deleted it.
pub(crate) fn change_record<K, V>(change: StoreChange<K, ValueAndTimestamp<V>>) -> Record<K, Change<V>> {
    let timestamp = change.new.as_ref().map_or(change.timestamp, |row| row.timestamp);
    let (old, new) = (change.old.map(|row| row.value), change.new.map(|row| row.value));
    Record { key: change.key, value: Change::new(old, new), timestamp, headers: change.headers }
}
