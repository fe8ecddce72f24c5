//! Values by key, with their history.

mod history;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use streams_core::serdes::{Serde, serialize_nullable};
use streams_core::state::{
    ChangelogRecord, KeyspaceId, StateStore, StoreEntry, StoreError, StoreScan, TaskDatabase, WriteBatch,
};
use streams_core::{Data, Timestamp, duration_millis};

use crate::backend::is_empty;
use crate::builder::StoreSettings;
use crate::key_value::write_key;
use crate::layers::{ENDLESS, Layers, Place, Raw, Segments, layered_state_store, unreadable};
use history::{RawVersion, former_time, segment_interval_ms};

/// Where the number of the last restored batch lies in the store's own keyspace.
const RESTORED_KEY: &[u8] = b"restored";

/// A value and the span of event time in which it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedRecord<V> {
    /// The value.
    pub value: V,
    /// The first moment at which it holds.
    pub timestamp: Timestamp,
    /// The first moment at which it holds no more; none as long as it is the latest.
    pub valid_to: Option<Timestamp>,
}

/// What became of a version that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionedPut {
    /// It is the latest of its key.
    Latest,
    /// It holds until this moment, when the next one begins.
    Until(Timestamp),
    /// It was older than the history that is kept, and is in the changelog only.
    TooOld,
}

/// Values by key with their history: what a key's value was at any moment within the history retention. Made by
/// [`Stores::versioned_key_value`](crate::Stores::versioned_key_value).
///
/// As in Kafka (KIP-889) a key's latest value never grows old, while versions that ceased to hold longer ago than the
/// history retention are dropped segment by segment.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use state_stores::{InMemory, Stores, VersionedPut};
/// use streams_core::Timestamp;
/// use streams_core::serdes::Utf8;
/// use streams_core::state::StateBackend;
///
/// # fn main() -> Result<(), streams_core::state::StoreError> {
/// let day = Duration::from_secs(86_400);
/// let builder = Stores::versioned_key_value::<String, String>("prices", day, Arc::new(Utf8), Arc::new(Utf8));
/// let mut prices = builder.open(InMemory.open("unused".as_ref())?)?;
/// let (tea, ms) = ("tea".to_owned(), Timestamp::from_millis);
/// prices.put(&tea, Some(&"2.00".to_owned()), ms(10))?;
/// prices.put(&tea, Some(&"3.00".to_owned()), ms(30))?;
/// // One that comes late finds its place.
/// assert_eq!(prices.put(&tea, Some(&"2.50".to_owned()), ms(20))?, VersionedPut::Until(ms(30)));
/// let price = prices.get_as_of(&tea, ms(25))?.expect("there was one at 25");
/// assert_eq!((price.value.as_str(), price.valid_to), ("2.50", Some(ms(30))));
/// # Ok(())
/// # }
/// ```
pub struct VersionedKeyValueStore<K, V> {
    /// Latest values in the endless segment, former versions in the segment of the moment they ceased to hold.
    layers: Layers<Box<[u8]>>,
    key_serde: Arc<dyn Serde<K>>,
    value_serde: Arc<dyn Serde<V>>,
    logging: bool,
    history_ms: i64,
    own_keyspace: KeyspaceId,
    /// Number of the last restored batch whose writes the layers still hold, as it may not be written yet.
    restored: Option<u64>,
    expired_records: u64,
    key_bytes: Vec<u8>,
    value_bytes: Vec<u8>,
}

impl<K: 'static, V: Data> VersionedKeyValueStore<K, V> {
    pub(crate) fn open(
        settings: &StoreSettings,
        history: Duration,
        key_serde: Arc<dyn Serde<K>>,
        value_serde: Arc<dyn Serde<V>>,
        database: Arc<dyn TaskDatabase>,
    ) -> Result<Self, StoreError> {
        let history_ms = duration_millis(history);
        let name = &settings.layers.name;
        let own_keyspace = database.keyspace(name)?;
        let segments =
            Segments::open(name, segment_interval_ms(history_ms), history_ms, former_time, &*database)?;
        // Versions are no values that a cache could hold back, and their changelog is not their local form.
        let (layers, logging) = settings.layers.bare();
        let layers = Layers::new(layers, Box::new(Raw), database, Place::Segments(segments));
        Ok(VersionedKeyValueStore {
            layers,
            key_serde,
            value_serde,
            logging,
            history_ms,
            own_keyspace,
            restored: None,
            expired_records: 0,
            key_bytes: Vec::new(),
            value_bytes: Vec::new(),
        })
    }

    /// Sets what the value of a key is from a moment on, until the next version that is there; none deletes it for
    /// that time.
    ///
    /// # Errors
    /// When the key or the value cannot be written, or the storage fails.
    pub fn put(
        &mut self,
        key: &K,
        value: Option<&V>,
        timestamp: Timestamp,
    ) -> Result<VersionedPut, StoreError> {
        self.settle_restored()?;
        let store = Arc::clone(self.layers.name());
        let (mut key_bytes, mut value_bytes) =
            (std::mem::take(&mut self.key_bytes), std::mem::take(&mut self.value_bytes));
        key_bytes.clear();
        value_bytes.clear();
        write_key(&*self.key_serde, key, &mut key_bytes, &store)?;
        let present = match value.map(|value| serialize_nullable(&*self.value_serde, value, &mut value_bytes))
        {
            Some(Ok(present)) => present,
            None => false,
            Some(Err(source)) => return Err(StoreError::Unwritable { store: store.to_string(), source }),
        };
        let value = present.then_some(&*value_bytes);
        if self.logging {
            self.layers.log(&key_bytes, value, timestamp);
        }
        let answer = self.put_version(&key_bytes, value, timestamp.as_millis());
        (self.key_bytes, self.value_bytes) = (key_bytes, value_bytes);
        self.expired_records += u64::from(matches!(answer, Ok(VersionedPut::TooOld)));
        answer
    }

    /// Deletes a key from a moment on, and answers the version that held then; none where the moment is too long ago.
    ///
    /// # Errors
    /// As [`VersionedKeyValueStore::put`] and [`VersionedKeyValueStore::get_as_of`].
    pub fn delete(
        &mut self,
        key: &K,
        timestamp: Timestamp,
    ) -> Result<Option<VersionedRecord<V>>, StoreError> {
        let old = self.get_as_of(key, timestamp)?;
        match self.put(key, None, timestamp)? {
            VersionedPut::TooOld => Ok(None),
            VersionedPut::Latest | VersionedPut::Until(_) => Ok(old),
        }
    }

    /// The latest version of a key.
    ///
    /// # Errors
    /// When the key cannot be written, the value cannot be read, or the storage fails.
    pub fn get(&mut self, key: &K) -> Result<Option<VersionedRecord<V>>, StoreError> {
        let key = self.serialize_key(key)?;
        let latest = self.latest(&key)?;
        latest.map(|version| self.record(version)).transpose()
    }

    /// The version of a key that held at a moment; of moments before the history retention only the latest version is
    /// known, where it held then already.
    ///
    /// # Errors
    /// As [`VersionedKeyValueStore::get`].
    pub fn get_as_of(
        &mut self,
        key: &K,
        timestamp: Timestamp,
    ) -> Result<Option<VersionedRecord<V>>, StoreError> {
        let key = self.serialize_key(key)?;
        let time = timestamp.as_millis();
        let latest = self.latest(&key)?;
        if let Some(latest) = latest.filter(|latest| latest.valid_from <= time) {
            return self.record(latest).map(Some);
        }
        if time < self.observed_ms().saturating_sub(self.history_ms) {
            return Ok(None);
        }
        match self.first_ceasing_after(&key, time, i64::MAX)? {
            Some(version) if version.valid_from <= time && version.value.is_some() => {
                self.record(version).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The versions of a key that held at some moment between two, both included, the latest first; moments in which it
    /// was deleted have none.
    ///
    /// # Errors
    /// As [`VersionedKeyValueStore::get`].
    pub fn versions(
        &mut self,
        key: &K,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<VersionedRecord<V>>, StoreError> {
        let key = self.serialize_key(key)?;
        let versions = self.raw_versions(&key, from.as_millis(), to.as_millis())?;
        versions.into_iter().map(|version| self.record(version)).collect()
    }

    fn serialize_key(&self, key: &K) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        write_key(&*self.key_serde, key, &mut bytes, self.layers.name())?;
        Ok(bytes)
    }

    fn record(&self, version: RawVersion) -> Result<VersionedRecord<V>, StoreError> {
        let bytes = version.value.unwrap_or_default();
        let value =
            self.value_serde.deserialize(&bytes).map_err(|error| unreadable(self.layers.name(), error))?;
        let valid_to = (version.valid_to < i64::MAX).then(|| Timestamp::from_millis(version.valid_to));
        Ok(VersionedRecord { value, timestamp: Timestamp::from_millis(version.valid_from), valid_to })
    }

    /// Shows the latest version of each key that has one, where it began to hold within the time asked for.
    fn scan_latest(
        &mut self,
        scan: &StoreScan,
        visit: &mut dyn FnMut(StoreEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let bounds = scan.keys_left();
        if is_empty(bounds) {
            return Ok(());
        }
        self.layers.sort();
        for entry in self.layers.scan(Some(ENDLESS), bounds, scan.direction)? {
            let (key, bytes) = entry?;
            let latest = self.latest_version(&bytes)?;
            if latest.valid_from <= scan.to.as_millis() && show(&key, &latest, visit).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Forgets restored writes once the batch that carried them is in the database.
    fn settle_restored(&mut self) -> Result<(), StoreError> {
        let Some(number) = self.restored else { return Ok(()) };
        if self.written_batch()? == number {
            self.layers.forget_pending();
            self.restored = None;
        }
        Ok(())
    }

    fn written_batch(&self) -> Result<u64, StoreError> {
        let mut number = 0;
        let mut read = |bytes: &[u8]| number = bytes.try_into().map_or(0, u64::from_be_bytes);
        self.layers.database().get(self.own_keyspace, RESTORED_KEY, &mut read)?;
        Ok(number)
    }
}

impl<K: 'static, V: Data> StateStore for VersionedKeyValueStore<K, V> {
    layered_state_store!();

    fn expired_records(&self) -> u64 {
        self.expired_records
    }

    /// A version's place depends on those around it, so restoring reads what was restored before: it is held until
    /// the database has it.
    fn restore(
        &mut self,
        records: &mut dyn Iterator<Item = ChangelogRecord<'_>>,
        batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        self.settle_restored()?;
        for record in records {
            self.put_version(record.key, record.value, record.timestamp.as_millis())?;
        }
        self.layers.stage_pending(batch)?;
        let number = self.restored.map_or_else(|| self.written_batch(), Ok)?.wrapping_add(1);
        batch.put(self.own_keyspace, RESTORED_KEY, &number.to_be_bytes());
        self.restored = Some(number);
        Ok(())
    }

    /// Keys that are deleted now are found by their name only.
    fn scan_entries(
        &mut self,
        scan: &StoreScan,
        visit: &mut dyn FnMut(StoreEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let (from, to) = (scan.from.as_millis(), scan.to.as_millis());
        let Some(key) = scan.single_key() else { return self.scan_latest(scan, visit) };
        for version in self.raw_versions(key, from, to)? {
            if show(key, &version, visit).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn show(
    key: &[u8],
    version: &RawVersion,
    visit: &mut dyn FnMut(StoreEntry<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some(value) = &version.value else { return ControlFlow::Continue(()) };
    visit(StoreEntry {
        key,
        window: None,
        value,
        timestamp: Some(Timestamp::from_millis(version.valid_from)),
        valid_to: (version.valid_to < i64::MAX).then(|| Timestamp::from_millis(version.valid_to)),
    })
}

impl<K, V> fmt::Debug for VersionedKeyValueStore<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VersionedKeyValueStore").field("layers", &self.layers).finish_non_exhaustive()
    }
}
