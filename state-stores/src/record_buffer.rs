//! Records of a stream that wait for late changes of the table that they are joined with.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use streams_core::processor::RecordArena;
use streams_core::serdes::{Serde, serialize_nullable};
use streams_core::state::{ChangelogRecord, Direction, StateStore, StoreError, TaskDatabase, WriteBatch};
use streams_core::{Data, Headers, duration_millis};

use crate::buffer_value::{BufferValue, BufferedContext};
use crate::builder::StoreSettings;
use crate::key_value::{read_key, write_key};
use crate::layers::{Layers, Place, Raw, unreadable};

/// In front of keys that begin with their time (`PrefixedWindowKeySchemas.TimeFirstWindowKeySchema`).
const TIME_FIRST: u8 = 0;
/// What Kafka's changelog records have behind the value, where other buffers have the buffer time.
const NO_TIME: [u8; 8] = [0; 8];
/// How many records are taken out by one look at the database.
const TAKEN_AT_ONCE: usize = 256;

/// A record that has waited in a [`RecordBuffer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferedRecord<K, V> {
    /// Its key.
    pub key: K,
    /// Its value.
    pub value: V,
    /// Its time, headers and origin.
    pub context: BufferedContext,
}

/// Records that wait, in the order of their times, until the largest time that came here is past theirs by the grace
/// period. Made by [`Stores::record_buffer`](crate::Stores::record_buffer); keys, values and records of the changelog are
/// those of Kafka's `RocksDBTimeOrderedKeyValueBuffer`.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use state_stores::{BufferedContext, InMemory, Stores};
/// use streams_core::serdes::{BigEndian, Utf8};
/// use streams_core::state::StateBackend;
/// use streams_core::{Headers, Timestamp};
///
/// # fn main() -> Result<(), streams_core::state::StoreError> {
/// let grace = Duration::from_millis(5);
/// let builder = Stores::record_buffer::<String, i64>("waiting", grace, Arc::new(Utf8), Arc::new(BigEndian));
/// let mut waiting = builder.open(InMemory.open("unused".as_ref())?)?;
/// let at = |millis: i64| BufferedContext { timestamp: millis.into(), headers: Headers::new(), record: None };
/// for (time, word) in [(2, "tea"), (9, "milk"), (6, "salt"), (1, "late")] {
///     let waits = waiting.put(&word.to_owned(), &0, at(time))?;
///     assert_eq!(waits, word != "late", "time is 9 by then");
/// }
/// let due: Vec<String> = waiting.take_due()?.into_iter().map(|record| record.key).collect();
/// assert_eq!(due, ["tea"]);
/// # Ok(())
/// # }
/// ```
pub struct RecordBuffer<K, V> {
    layers: Layers<Box<[u8]>>,
    key_serde: Arc<dyn Serde<K>>,
    value_serde: Arc<dyn Serde<V>>,
    logging: bool,
    grace_ms: i64,
    /// The largest time that came here; -1 before the first.
    clock_ms: i64,
    /// No record is older than this.
    first_ms: i64,
    /// Tells records of one time and key apart; larger than that of any record here.
    sequence: i32,
}

impl<K: 'static, V: Data> RecordBuffer<K, V> {
    pub(crate) fn open(
        settings: &StoreSettings,
        grace: Duration,
        key_serde: Arc<dyn Serde<K>>,
        value_serde: Arc<dyn Serde<V>>,
        database: Arc<dyn TaskDatabase>,
    ) -> Result<Self, StoreError> {
        let keyspace = database.keyspace(&settings.layers.name)?;
        // Records are read once, when they leave.
        let (layers, logging) = settings.layers.bare();
        let mut buffer = RecordBuffer {
            layers: Layers::new(layers, Box::new(Raw), Arc::clone(&database), Place::Whole(keyspace)),
            key_serde,
            value_serde,
            logging,
            grace_ms: duration_millis(grace),
            clock_ms: -1,
            first_ms: i64::MAX,
            sequence: 0,
        };
        for entry in database.scan(keyspace, (Bound::Unbounded, Bound::Unbounded), Direction::Forward)? {
            buffer.note(&entry?.0);
        }
        Ok(buffer)
    }

    /// Lets a record wait. Answers no, and leaves it out, where its time has come already.
    ///
    /// # Errors
    /// When key or value cannot be written.
    pub fn put(&mut self, key: &K, value: &V, context: BufferedContext) -> Result<bool, StoreError> {
        let time = context.timestamp.as_millis();
        if self.clock_ms.saturating_sub(self.grace_ms) > time {
            return Ok(false);
        }
        self.sequence = self.sequence.wrapping_add(1) & i32::MAX;
        let mut key_bytes = time_prefix(time).to_vec();
        write_key(&*self.key_serde, key, &mut key_bytes, self.layers.name())?;
        key_bytes.extend_from_slice(&self.sequence.to_be_bytes());
        let mut bytes = Vec::new();
        let present = serialize_nullable(&*self.value_serde, value, &mut bytes)
            .map_err(|source| StoreError::Unwritable { store: self.layers.name().to_string(), source })?;
        let new = present.then(|| bytes.into());
        let mut bytes = Vec::new();
        BufferValue { context, prior: None, old: None, new }.write(&mut bytes);
        bytes.extend_from_slice(&NO_TIME);
        self.write(&key_bytes, Some(bytes.into()))?;
        self.note(&key_bytes);
        Ok(true)
    }

    /// Takes some of the records out whose time has come, the oldest first; none where there are none left.
    ///
    /// # Errors
    /// When the types cannot read what lies there, or the storage fails.
    pub fn take_due(&mut self) -> Result<Vec<BufferedRecord<K, V>>, StoreError> {
        let due = self.clock_ms.saturating_sub(self.grace_ms);
        if self.first_ms > due {
            return Ok(Vec::new());
        }
        let (lower, upper) = (time_prefix(self.first_ms), time_prefix(due.saturating_add(1)));
        self.layers.sort();
        let bounds = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
        let entries = self.layers.scan(None, bounds, Direction::Forward)?;
        let found: Vec<_> = entries.take(TAKEN_AT_ONCE).collect::<Result<_, _>>()?;
        self.first_ms = match found.last() {
            Some((key, _)) if found.len() == TAKEN_AT_ONCE => {
                split(key).map_or(self.first_ms, |(time, ..)| time)
            }
            _ => due.saturating_add(1),
        };
        let mut records = Vec::with_capacity(found.len());
        for (key, value) in found {
            records.push(self.read(&key, &value)?);
            self.write(&key, None)?;
        }
        Ok(records)
    }

    fn read(&self, key: &[u8], value: &[u8]) -> Result<BufferedRecord<K, V>, StoreError> {
        let name = self.layers.name();
        let (_, key, _) = split(key).unwrap_or((0, &[], 0));
        let (BufferValue { context, new, .. }, _) =
            BufferValue::read(value).map_err(|source| unreadable(name, source))?;
        let value = streams_core::serdes::deserialize_nullable(&*self.value_serde, new.as_deref())
            .map_err(|source| unreadable(name, source))?;
        Ok(BufferedRecord { key: read_key(&*self.key_serde, key, name)?, value, context })
    }

    fn write(&mut self, key: &[u8], value: Option<Box<[u8]>>) -> Result<(), StoreError> {
        if self.logging {
            self.layers.log_as(key, value.as_deref(), None, Headers::new());
        }
        self.layers.put(key, value).map(drop)
    }

    /// Takes account of a record that came here.
    fn note(&mut self, key: &[u8]) {
        let Some((time, _, sequence)) = split(key) else { return };
        self.clock_ms = self.clock_ms.max(time);
        self.first_ms = self.first_ms.min(time);
        self.sequence = self.sequence.max(sequence);
    }
}

/// Time, key and sequence number of an entry.
fn split(key: &[u8]) -> Option<(i64, &[u8], i32)> {
    let (time, rest) = key.split_first().and_then(|(_, rest)| rest.split_first_chunk())?;
    let (key, sequence) = rest.split_last_chunk()?;
    Some((i64::from_be_bytes(*time), key, i32::from_be_bytes(*sequence)))
}

fn time_prefix(time: i64) -> [u8; 9] {
    let mut prefix = [TIME_FIRST; 9];
    prefix[1..].copy_from_slice(&time.to_be_bytes());
    prefix
}

impl<K: 'static, V: Data> StateStore for RecordBuffer<K, V> {
    fn name(&self) -> &str {
        self.layers.name()
    }

    fn take_changelog(&mut self, into: &mut RecordArena) {
        self.layers.take_changelog(into);
    }

    fn uncommitted_bytes(&self) -> usize {
        self.layers.uncommitted_bytes()
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

    fn restore(
        &mut self,
        records: &mut dyn Iterator<Item = ChangelogRecord<'_>>,
        batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        let Place::Whole(keyspace) = self.layers.place else { return Ok(()) };
        for record in records {
            self.note(record.key);
            match record.value {
                Some(value) => batch.put(keyspace, record.key, value),
                None => batch.delete(keyspace, record.key),
            }
        }
        Ok(())
    }

    fn database(&self) -> &Arc<dyn TaskDatabase> {
        self.layers.database()
    }

    fn approximate_len(&self) -> u64 {
        self.layers.approximate_len()
    }
}

impl<K, V> fmt::Debug for RecordBuffer<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordBuffer")
            .field("layers", &self.layers)
            .field("clock_ms", &self.clock_ms)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
