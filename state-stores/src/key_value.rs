//! Values by key.

#[cfg(test)]
mod tests;

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, ControlFlow, RangeBounds};
use std::sync::Arc;

use streams_core::Data;
use streams_core::serdes::Serde;
use streams_core::state::{
    ChangelogRecord, Direction, StateStore, StoreEntry, StoreError, StoreScan, TaskDatabase, WriteBatch,
};

use crate::backend::is_empty;
use crate::builder::StoreSettings;
use crate::change::{StoreChange, ValueAndTimestamp};
use crate::layers::{Layers, Merge, Place, ValueFormat, layered_state_store, unreadable};

/// A [`KeyValueStore`] of values with their event times: the changelog carries the bare value, and the time as the
/// record's.
pub type TimestampedKeyValueStore<K, V> = KeyValueStore<K, ValueAndTimestamp<V>>;

/// Values by key, in the order of the keys' bytes. Made by [`Stores::key_value`](crate::Stores::key_value) and
/// [`Stores::timestamped_key_value`](crate::Stores::timestamped_key_value).
///
/// ```
/// use std::sync::Arc;
/// use state_stores::{InMemory, Stores};
/// use streams_core::serdes::{BigEndian, Utf8};
/// use streams_core::state::StateBackend;
///
/// # fn main() -> Result<(), streams_core::state::StoreError> {
/// let builder = Stores::key_value::<String, i64>("counts", Arc::new(Utf8), Arc::new(BigEndian)).caching(true);
/// let mut counts = builder.open(InMemory.open("unused".as_ref())?)?;
/// for word in ["tea", "milk", "tea"] {
///     counts.update(&word.to_owned(), |count| *count.get_or_insert(0) += 1)?;
/// }
/// // Both updates of "tea" have become one change.
/// let change = counts.next_change()?.expect("a change is held back");
/// assert_eq!((change.key.as_str(), change.new), ("milk", Some(1)));
/// let change = counts.next_change()?.expect("another is");
/// assert_eq!((change.key.as_str(), change.new), ("tea", Some(2)));
/// # Ok(())
/// # }
/// ```
pub struct KeyValueStore<K, T> {
    layers: Layers<T>,
    key_serde: Arc<dyn Serde<K>>,
    /// A key's bytes on their way to the layers.
    key_bytes: Vec<u8>,
}

impl<K: 'static, T: Data> KeyValueStore<K, T> {
    pub(crate) fn open(
        settings: &StoreSettings,
        key_serde: Arc<dyn Serde<K>>,
        format: Box<dyn ValueFormat<T>>,
        database: Arc<dyn TaskDatabase>,
    ) -> Result<Self, StoreError> {
        let place = Place::Whole(database.keyspace(&settings.layers.name)?);
        let mut layers = Layers::new(settings.layers.clone(), format, database, place);
        layers.cache().keep_old(settings.keep_old_values);
        Ok(KeyValueStore { layers, key_serde, key_bytes: Vec::new() })
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When the key cannot be written, the value cannot be read, or the storage fails; so do all methods here.
    pub fn get(&mut self, key: &K) -> Result<Option<T>, StoreError> {
        self.read(key, |value| value.cloned())
    }

    /// Hands the value of a key to `read`, which saves its copy.
    ///
    /// # Errors
    /// As [`KeyValueStore::get`].
    pub fn read<R>(&mut self, key: &K, read: impl FnOnce(Option<&T>) -> R) -> Result<R, StoreError> {
        self.with_key(key, |layers, key| layers.read(key, read))
    }

    /// Sets the value of a key; none deletes it.
    ///
    /// # Errors
    /// As [`KeyValueStore::get`].
    pub fn put(&mut self, key: &K, value: Option<T>) -> Result<(), StoreError> {
        self.with_key(key, |layers, key| layers.put(key, value).map(drop))
    }

    /// Sets the value of a key unless it has one, and answers the one it had.
    ///
    /// # Errors
    /// As [`KeyValueStore::get`].
    pub fn put_if_absent(&mut self, key: &K, value: T) -> Result<Option<T>, StoreError> {
        let old = self.get(key)?;
        if old.is_none() {
            self.put(key, Some(value))?;
        }
        Ok(old)
    }

    /// Deletes a key and answers the value it had.
    ///
    /// # Errors
    /// As [`KeyValueStore::get`].
    pub fn delete(&mut self, key: &K) -> Result<Option<T>, StoreError> {
        let old = self.get(key)?;
        self.put(key, None)?;
        Ok(old)
    }

    /// Lets `change` alter the value of a key in place, and answers what it answers. With caching this is the way of
    /// least cost: the value is neither copied, nor written, nor read again, while it stays in the cache.
    ///
    /// # Errors
    /// As [`KeyValueStore::get`].
    pub fn update<R>(&mut self, key: &K, change: impl FnOnce(&mut Option<T>) -> R) -> Result<R, StoreError> {
        self.with_key(key, |layers, key| layers.update(key, change))
    }

    /// Whether changes are held back until a flush: then they are to be forwarded when
    /// [`KeyValueStore::next_change`] tells them, else at once.
    pub fn caching(&self) -> bool {
        self.layers.caching()
    }

    /// From now on held-back changes carry the value before them.
    pub fn keep_old_values(&mut self) {
        self.layers.cache().keep_old(true);
    }

    /// Writes the next held-back change, in the order of the keys' latest changes, and tells it; none where there
    /// is none left. To be called in a loop from the flush of the node that owns the store.
    ///
    /// # Errors
    /// As [`KeyValueStore::get`].
    pub fn next_change(&mut self) -> Result<Option<StoreChange<K, T>>, StoreError> {
        let Some(change) = self.layers.next_change()? else { return Ok(None) };
        let key = read_key(&*self.key_serde, &change.key, self.layers.name())?;
        let (old, new) = (change.old, change.new);
        Ok(Some(StoreChange { key, old, new, timestamp: change.timestamp, headers: change.headers }))
    }

    /// The entries with these keys, ascending.
    ///
    /// # Errors
    /// As [`KeyValueStore::get`].
    pub fn range(&mut self, keys: impl RangeBounds<K>) -> Result<KeyValues<'_, K, T>, StoreError> {
        self.range_in(keys, Direction::Forward)
    }

    /// The entries with these keys, descending.
    ///
    /// # Errors
    /// As [`KeyValueStore::get`].
    pub fn reverse_range(&mut self, keys: impl RangeBounds<K>) -> Result<KeyValues<'_, K, T>, StoreError> {
        self.range_in(keys, Direction::Backward)
    }

    /// All entries, ascending.
    ///
    /// # Errors
    /// As [`KeyValueStore::get`].
    pub fn all(&mut self) -> Result<KeyValues<'_, K, T>, StoreError> {
        self.range(..)
    }

    /// All entries, descending.
    ///
    /// # Errors
    /// As [`KeyValueStore::get`].
    pub fn reverse_all(&mut self) -> Result<KeyValues<'_, K, T>, StoreError> {
        self.reverse_range(..)
    }

    /// The entries whose keys' bytes begin with `prefix`, ascending.
    ///
    /// # Errors
    /// As [`KeyValueStore::get`].
    pub fn prefix_scan(&mut self, prefix: &[u8]) -> Result<KeyValues<'_, K, T>, StoreError> {
        self.prefix_scan_from(prefix, prefix)
    }

    /// The entries whose keys' bytes begin with `prefix`, ascending, from those at or behind `from` on.
    ///
    /// # Errors
    /// As [`KeyValueStore::get`].
    pub fn prefix_scan_from(
        &mut self,
        prefix: &[u8],
        from: &[u8],
    ) -> Result<KeyValues<'_, K, T>, StoreError> {
        let scan = StoreScan::prefix(prefix);
        let (_, upper) = scan.keys_left();
        self.scan((Bound::Included(from), upper), Direction::Forward)
    }

    fn range_in(
        &mut self,
        keys: impl RangeBounds<K>,
        direction: Direction,
    ) -> Result<KeyValues<'_, K, T>, StoreError> {
        let lower = self.bound(keys.start_bound())?;
        let upper = self.bound(keys.end_bound())?;
        let bounds = (lower.as_ref().map(Vec::as_slice), upper.as_ref().map(Vec::as_slice));
        self.scan(bounds, direction)
    }

    fn bound(&self, bound: Bound<&K>) -> Result<Bound<Vec<u8>>, StoreError> {
        let write = |key| {
            let mut bytes = Vec::new();
            write_key(&*self.key_serde, key, &mut bytes, self.layers.name()).map(|()| bytes)
        };
        Ok(match bound {
            Bound::Included(key) => Bound::Included(write(key)?),
            Bound::Excluded(key) => Bound::Excluded(write(key)?),
            Bound::Unbounded => Bound::Unbounded,
        })
    }

    fn scan(
        &mut self,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
    ) -> Result<KeyValues<'_, K, T>, StoreError> {
        self.layers.sort();
        let entries = match is_empty(bounds) {
            true => None,
            false => Some(self.layers.scan(None, bounds, direction)?),
        };
        let (store, key_serde) = (&**self.layers.name(), &*self.key_serde);
        Ok(KeyValues { store, key_serde, entries, key: PhantomData })
    }

    fn with_key<R>(
        &mut self,
        key: &K,
        call: impl FnOnce(&mut Layers<T>, &[u8]) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        self.key_bytes.clear();
        write_key(&*self.key_serde, key, &mut self.key_bytes, self.layers.name())?;
        call(&mut self.layers, &self.key_bytes)
    }
}

impl<K: 'static, T: Data> StateStore for KeyValueStore<K, T> {
    layered_state_store!();

    fn restores_blindly(&self) -> bool {
        true
    }

    fn restore(
        &mut self,
        records: &mut dyn Iterator<Item = ChangelogRecord<'_>>,
        batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        self.layers.restore(records, batch)
    }

    fn scan_entries(
        &mut self,
        scan: &StoreScan,
        visit: &mut dyn FnMut(StoreEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        if let (Some(key), None) = (scan.single_key(), &scan.after) {
            let value = self.layers.read(key, |value| value.cloned())?;
            return value.map_or(Ok(()), |value| self.layers.show((key, None), &value, visit).map(drop));
        }
        let bounds = scan.keys_left();
        if is_empty(bounds) {
            return Ok(());
        }
        self.layers.sort();
        for entry in self.layers.scan(None, bounds, scan.direction)? {
            let (key, value) = entry?;
            if self.layers.show((&key, None), &value, visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl<K, T> fmt::Debug for KeyValueStore<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValueStore").field("layers", &self.layers).finish_non_exhaustive()
    }
}

/// Entries of a key-value store, read as they are asked for.
pub struct KeyValues<'a, K, T> {
    store: &'a str,
    key_serde: &'a dyn Serde<K>,
    entries: Option<Merge<'a, T>>,
    key: PhantomData<fn() -> K>,
}

impl<K: 'static, T: Data> Iterator for KeyValues<'_, K, T> {
    type Item = Result<(K, T), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.as_mut()?.next()?;
        Some(entry.and_then(|(key, value)| Ok((read_key(self.key_serde, &key, self.store)?, value))))
    }
}

impl<K, T> fmt::Debug for KeyValues<'_, K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValues").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Appends a key's bytes.
pub(crate) fn write_key<K: 'static>(
    serde: &dyn Serde<K>,
    key: &K,
    out: &mut Vec<u8>,
    store: &str,
) -> Result<(), StoreError> {
    serde.serialize(key, out).map_err(|source| StoreError::Unwritable { store: store.to_owned(), source })
}

pub(crate) fn read_key<K: 'static>(serde: &dyn Serde<K>, bytes: &[u8], store: &str) -> Result<K, StoreError> {
    serde.deserialize(bytes).map_err(|source| unreadable(store, source))
}
