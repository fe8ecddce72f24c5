//! Changes of a table that wait to be sent on.

mod changed_keys;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, ControlFlow, RangeBounds};
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;
use streams_core::processor::RecordArena;
use streams_core::serdes::{Serde, SerdeError, serialize_nullable};
use streams_core::state::{
    ChangelogRecord, Direction, KeyspaceId, StateStore, StoreEntry, StoreError, StoreScan, TaskDatabase,
    WriteBatch,
};
use streams_core::{Data, Headers, Timestamp};

use crate::buffer_value::{BufferValue, BufferedContext};
use crate::builder::StoreSettings;
use crate::key_value::{read_key, write_key};
use crate::layers::{Layers, Place, Raw, unreadable};
use changed_keys::ChangedKeys;

/// The header that tells the version of a changelog record, and this version.
const VERSION_HEADER: &str = "v";
const VERSION: &[u8] = &[3];
/// What a buffer time takes, in the bound on bytes as well as in the changelog.
const TIME_BYTES: usize = 8;

/// A change that waits in a [`ChangeBuffer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferedChange<K, V> {
    /// The row's key.
    pub key: K,
    /// The row before its latest change; not what it was when the key came into the buffer.
    pub old: Option<V>,
    /// The row after its latest change; none where that deleted it.
    pub new: Option<V>,
    /// Time, headers and origin of the latest change.
    pub context: BufferedContext,
}

/// The latest change of each row that waits, in the order of time: what a suppressed table keeps back. A row's place
/// is that of its first change, however often it changes while it waits.
///
/// It is held in memory for speed, and in the task's database as well, so that a restart need not read its changelog
/// again. Records of the changelog are those of Kafka's `InMemoryTimeOrderedKeyValueChangeBuffer` in version 3, one per
/// changed key and flush. Made by [`Stores::change_buffer`](crate::Stores::change_buffer).
///
/// ```
/// use std::sync::Arc;
/// use state_stores::{BufferedContext, InMemory, Stores};
/// use streams_core::serdes::{BigEndian, Utf8};
/// use streams_core::state::StateBackend;
/// use streams_core::{Headers, Timestamp};
///
/// # fn main() -> Result<(), streams_core::state::StoreError> {
/// let builder = Stores::change_buffer::<String, i64>("waiting", Arc::new(Utf8), Arc::new(BigEndian));
/// let mut waiting = builder.open(InMemory.open("unused".as_ref())?)?;
/// let at = |millis| Timestamp::from_millis(millis);
/// let sent = |timestamp| BufferedContext { timestamp, headers: Headers::new(), record: None };
/// for (time, word, count) in [(5, "tea", 1), (3, "milk", 1), (9, "milk", 2)] {
///     waiting.put(at(time), &word.to_owned(), None, Some(&count), sent(at(time)))?;
/// }
/// // The change at 9 has taken the place of that at 3.
/// let first = waiting.first()?.expect("two rows wait");
/// assert_eq!((first.key.as_str(), first.new, waiting.first_time()), ("milk", Some(2), Some(at(3))));
/// # Ok(())
/// # }
/// ```
pub struct ChangeBuffer<K, V> {
    /// The way to the database and to the changelog.
    layers: Layers<Box<[u8]>>,
    keyspace: KeyspaceId,
    key_serde: Arc<dyn Serde<K>>,
    value_serde: Arc<dyn Serde<V>>,
    logging: bool,
    /// Buffer times by key.
    times: FxHashMap<Arc<[u8]>, i64>,
    entries: BTreeMap<(i64, Arc<[u8]>), BufferValue>,
    byte_len: usize,
    changed: ChangedKeys,
    key_bytes: Vec<u8>,
}

impl<K: 'static, V: Data> ChangeBuffer<K, V> {
    pub(crate) fn open(
        settings: &StoreSettings,
        key_serde: Arc<dyn Serde<K>>,
        value_serde: Arc<dyn Serde<V>>,
        database: Arc<dyn TaskDatabase>,
    ) -> Result<Self, StoreError> {
        let keyspace = database.keyspace(&settings.layers.name)?;
        // The entries are all in memory: there is nothing for a cache to do.
        let (layers, logging) = settings.layers.bare();
        let mut buffer = ChangeBuffer {
            layers: Layers::new(layers, Box::new(Raw), database, Place::Whole(keyspace)),
            keyspace,
            key_serde,
            value_serde,
            logging,
            times: FxHashMap::default(),
            entries: BTreeMap::new(),
            byte_len: 0,
            changed: ChangedKeys::new(),
            key_bytes: Vec::new(),
        };
        buffer.load()?;
        Ok(buffer)
    }

    /// Lets a change wait; `time` says where, unless the row waits already.
    ///
    /// # Errors
    /// When key or value cannot be written.
    pub fn put(
        &mut self,
        time: Timestamp,
        key: &K,
        old: Option<&V>,
        new: Option<&V>,
        context: BufferedContext,
    ) -> Result<(), StoreError> {
        let (old, new) = (self.value_bytes(old)?, self.value_bytes(new)?);
        self.key_bytes.clear();
        write_key(&*self.key_serde, key, &mut self.key_bytes, self.layers.name())?;
        let waiting = self.times.get_key_value(&*self.key_bytes).map(|(key, &time)| (Arc::clone(key), time));
        let (key, time, prior) = match waiting {
            Some((key, time)) => {
                let place = (time, key);
                let prior = self.entries.get(&place).and_then(|value| value.prior.clone());
                (place.1, time, prior)
            }
            None => (Arc::from(&*self.key_bytes), time.as_millis(), old.clone()),
        };
        let value = BufferValue { context, prior, old, new };
        self.changed.insert(&key, entry_bytes(&key, &value));
        self.insert(time, key, value);
        Ok(())
    }

    /// The time of the change that has waited longest.
    pub fn first_time(&self) -> Option<Timestamp> {
        self.entries.first_key_value().map(|((time, _), _)| Timestamp::from_millis(*time))
    }

    /// The change that has waited longest; of equal times the one whose key's bytes come first.
    ///
    /// # Errors
    /// When the types cannot read what lies there.
    pub fn first(&self) -> Result<Option<BufferedChange<K, V>>, StoreError> {
        let Some(((_, key), value)) = self.entries.first_key_value() else { return Ok(None) };
        let key = read_key(&*self.key_serde, key, self.layers.name())?;
        let (old, new) = (self.value(value.old.as_ref())?, self.value(value.new.as_ref())?);
        Ok(Some(BufferedChange { key, old, new, context: value.context.clone() }))
    }

    /// Takes the change that has waited longest out.
    pub fn remove_first(&mut self) {
        let Some((time, key)) = self.entries.first_key_value().map(|(place, _)| place.clone()) else {
            return;
        };
        self.changed.insert(&key, key.len());
        self.remove(time, key);
    }

    /// What a waiting row was before it came here (none where it did not exist), that is as those see it who get its
    /// changes from here; the outer none means that it does not wait.
    ///
    /// # Errors
    /// When the key cannot be written or the value cannot be read.
    pub fn prior_value(&mut self, key: &K) -> Result<Option<Option<V>>, StoreError> {
        self.key_bytes.clear();
        write_key(&*self.key_serde, key, &mut self.key_bytes, self.layers.name())?;
        let Some((key, &time)) = self.times.get_key_value(&*self.key_bytes) else { return Ok(None) };
        let prior = self.entries.get(&(time, Arc::clone(key))).and_then(|value| value.prior.as_ref());
        self.value(prior).map(Some)
    }

    /// How many rows wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes the waiting changes take, counted as Kafka does for `BufferConfig.maxBytes`: keys, values,
    /// headers, and what is always there.
    pub fn byte_len(&self) -> usize {
        self.byte_len
    }

    /// Reads what the database has.
    fn load(&mut self) -> Result<(), StoreError> {
        let database = Arc::clone(self.layers.database());
        for entry in database.scan(self.keyspace, (Bound::Unbounded, Bound::Unbounded), Direction::Forward)? {
            let (key, bytes) = entry?;
            self.take_in(&key, &bytes)?;
        }
        Ok(())
    }

    /// Puts an entry in its changelog form where it belongs.
    fn take_in(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), StoreError> {
        let read = BufferValue::read(bytes).and_then(|(value, time)| match time.try_into() {
            Ok(time) => Ok((i64::from_be_bytes(time), value)),
            Err(_) => {
                let (type_name, expected) = ("the buffer time behind a change", TIME_BYTES);
                Err(SerdeError::WrongLength { type_name, expected, actual: time.len() })
            }
        });
        let (time, value) = read.map_err(|source| unreadable(self.layers.name(), source))?;
        // Between two flushes a row may have left and come again: its place is that of the latest record.
        self.forget(key);
        self.insert(time, Arc::from(key), value);
        Ok(())
    }

    fn insert(&mut self, time: i64, key: Arc<[u8]>, value: BufferValue) {
        self.byte_len += entry_bytes(&key, &value);
        self.times.insert(Arc::clone(&key), time);
        let place = (time, key);
        if let Some(replaced) = self.entries.insert(place.clone(), value) {
            self.byte_len -= entry_bytes(&place.1, &replaced);
        }
    }

    fn remove(&mut self, time: i64, key: Arc<[u8]>) {
        self.times.remove(&key);
        let place = (time, key);
        if let Some(removed) = self.entries.remove(&place) {
            self.byte_len -= entry_bytes(&place.1, &removed);
        }
    }

    fn forget(&mut self, key: &[u8]) {
        if let Some((key, &time)) = self.times.get_key_value(key) {
            let key = Arc::clone(key);
            self.remove(time, key);
        }
    }

    /// Turns each changed entry into a changelog record and an uncommitted write.
    fn write_changes(&mut self) -> Result<(), StoreError> {
        for key in self.changed.take() {
            let place = self.times.get(&key).map(|&time| (time, Arc::clone(&key)));
            let value = place.and_then(|place| {
                let mut bytes = Vec::new();
                self.entries.get(&place)?.write(&mut bytes);
                bytes.extend_from_slice(&place.0.to_be_bytes());
                Some(bytes.into_boxed_slice())
            });
            if self.logging {
                let mut headers = Headers::new();
                if value.is_some() {
                    headers.add(VERSION_HEADER, Some(Bytes::from_static(VERSION)));
                }
                self.layers.log_as(&key, value.as_deref(), None, headers);
            }
            self.layers.put(&key, value)?;
        }
        Ok(())
    }

    fn value_bytes(&self, value: Option<&V>) -> Result<Option<Bytes>, StoreError> {
        let Some(value) = value else { return Ok(None) };
        let mut bytes = Vec::new();
        match serialize_nullable(&*self.value_serde, value, &mut bytes) {
            Ok(present) => Ok(present.then(|| bytes.into())),
            Err(source) => Err(StoreError::Unwritable { store: self.layers.name().to_string(), source }),
        }
    }

    fn value(&self, bytes: Option<&Bytes>) -> Result<Option<V>, StoreError> {
        let read = |bytes: &Bytes| self.value_serde.deserialize(bytes);
        bytes.map(read).transpose().map_err(|source| unreadable(self.layers.name(), source))
    }
}

impl<K: 'static, V: Data> StateStore for ChangeBuffer<K, V> {
    fn name(&self) -> &str {
        self.layers.name()
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.write_changes()
    }

    fn take_changelog(&mut self, into: &mut RecordArena) {
        self.layers.take_changelog(into);
    }

    fn uncommitted_bytes(&self) -> usize {
        self.layers.uncommitted_bytes() + self.changed.bytes()
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        self.layers.seal()
    }

    fn stage(&mut self, batch: &mut WriteBatch) -> Result<(), StoreError> {
        self.layers.stage(batch)
    }

    fn retire(&mut self) -> Result<(), StoreError> {
        self.layers.retire()
    }

    fn database(&self) -> &Arc<dyn TaskDatabase> {
        self.layers.database()
    }

    fn approximate_len(&self) -> u64 {
        self.entries.len() as u64
    }

    fn restore(
        &mut self,
        records: &mut dyn Iterator<Item = ChangelogRecord<'_>>,
        batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        for record in records {
            let Some(value) = record.value else {
                self.forget(record.key);
                batch.delete(self.keyspace, record.key);
                continue;
            };
            let version = record.headers.last(VERSION_HEADER).and_then(|header| header.value.as_deref());
            if version != Some(VERSION) {
                let message = format!(
                    "its changelog has a record of version {version:?}, and only version 3, of Kafka Streams 2.6 and \
                     later, can be read: let the suppressed rows pass before you move the application here"
                );
                return Err(StoreError::Misuse { store: self.layers.name().to_string(), message });
            }
            self.take_in(record.key, value)?;
            batch.put(self.keyspace, record.key, value);
        }
        Ok(())
    }

    fn scan_entries(
        &mut self,
        scan: &StoreScan,
        visit: &mut dyn FnMut(StoreEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut after = scan.after.as_ref();
        for ((_, key), value) in &self.entries {
            if let Some((last, _)) = after {
                // The order is that of time, so the last entry of the page before is looked for.
                after = after.filter(|_| **last != **key);
                continue;
            }
            if !scan.keys.contains(&key.to_vec()) {
                continue;
            }
            let (bytes, timestamp) = (value.new.as_deref().unwrap_or_default(), value.context.timestamp);
            let entry =
                StoreEntry { key, window: None, value: bytes, timestamp: Some(timestamp), valid_to: None };
            if visit(entry).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn entry_bytes(key: &[u8], value: &BufferValue) -> usize {
    TIME_BYTES + key.len() + value.byte_len()
}

impl<K, V> fmt::Debug for ChangeBuffer<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeBuffer")
            .field("layers", &self.layers)
            .field("entries", &self.entries.len())
            .field("byte_len", &self.byte_len)
            .finish_non_exhaustive()
    }
}
