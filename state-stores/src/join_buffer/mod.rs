//! Records of a left or outer stream-stream join that have met no partner yet, by time.

mod waiting;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use streams_core::serdes::{Serde, SerdeError};
use streams_core::state::{
    ChangelogRecord, Direction, StateStore, StoreEntry, StoreError, TaskDatabase, WriteBatch,
};
use streams_core::{Data, Timestamp};

use crate::builder::StoreSettings;
use crate::layers::{Layers, Place, Plain, layered_state_store, unreadable};
pub(crate) use waiting::WaitingValuesSerde;
pub use waiting::{JoinSide, WaitingKey, WaitingValue};
use waiting::{split_key, write_key};

/// How many keys leave the buffer at once: what leaves is held in memory until it is sent.
const MOST_KEYS_TAKEN: usize = 1024;

/// What leaves a [`JoinBuffer`]: a time, side and key, and the values that waited under it.
pub type Unmatched<K, L, R> = (WaitingKey<K>, Vec<WaitingValue<L, R>>);

/// How long records wait for a partner, in ms of event time behind their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingTime {
    /// Those of the left stream: how far behind them a partner may be, and the grace period.
    pub left_ms: i64,
    /// Those of the right stream.
    pub right_ms: i64,
}

impl WaitingTime {
    fn of(self, side: JoinSide) -> i64 {
        match side {
            JoinSide::Left => self.left_ms,
            JoinSide::Right => self.right_ms,
        }
    }
}

/// Waiting records: all those of one key, time and side under one key, so that walking the store goes by time, right
/// side first. Made by [`Stores::join_buffer`](crate::Stores::join_buffer); the bytes are those of Kafka's outer-join
/// store (`OuterStreamJoinStoreFactory`).
///
/// It also keeps the join's clock, the largest event time that either side has seen, and when the next record may have
/// waited long enough (`KStreamImplJoin.TimeTracker`). Neither survives a restart, as in Kafka.
pub struct JoinBuffer<K, L, R> {
    layers: Layers<Vec<WaitingValue<L, R>>>,
    key_serde: Arc<dyn Serde<K>>,
    values: Arc<WaitingValuesSerde<L, R>>,
    stream_time: Timestamp,
    oldest: Oldest,
    /// When, by the wall clock, records may leave again.
    next_look: Timestamp,
    key_bytes: Vec<u8>,
}

/// What is known of the oldest waiting record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Oldest {
    /// Nothing: the store has just been opened.
    Unknown,
    /// There is none.
    None,
    /// About when to look again: the time of a waiting record, not always of the oldest, see [`JoinBuffer::take`].
    At(i64),
}

impl<K: 'static, L: Data, R: Data> JoinBuffer<K, L, R> {
    pub(crate) fn open(
        settings: &StoreSettings,
        key_serde: Arc<dyn Serde<K>>,
        values: Arc<WaitingValuesSerde<L, R>>,
        database: Arc<dyn TaskDatabase>,
    ) -> Result<Self, StoreError> {
        let place = Place::Whole(database.keyspace(&settings.layers.name)?);
        let format = Box::new(Plain(Arc::clone(&values) as Arc<dyn Serde<_>>));
        let layers = Layers::new(settings.layers.clone(), format, database, place);
        let (stream_time, oldest) = (Timestamp::UNKNOWN, Oldest::Unknown);
        let (next_look, key_bytes) = (Timestamp::ZERO, Vec::new());
        Ok(JoinBuffer { layers, key_serde, values, stream_time, oldest, next_look, key_bytes })
    }

    /// Moves the join's clock to a record's event time, and says whether that is the latest now.
    pub fn observe(&mut self, timestamp: Timestamp) -> bool {
        self.stream_time = self.stream_time.max(timestamp);
        self.stream_time == timestamp
    }

    /// The largest event time that either side has seen.
    pub fn stream_time(&self) -> Timestamp {
        self.stream_time
    }

    /// Lets a record wait.
    ///
    /// # Errors
    /// When the key cannot be written, a waiting value cannot be read, or the storage fails; so do all methods here.
    pub fn wait(
        &mut self,
        key: &K,
        timestamp: Timestamp,
        value: WaitingValue<L, R>,
    ) -> Result<(), StoreError> {
        let time = timestamp.as_millis();
        self.oldest = match self.find_oldest()? {
            Oldest::At(oldest) => Oldest::At(oldest.min(time)),
            _ => Oldest::At(time),
        };
        self.write_key(key, timestamp, value.side())?;
        self.layers.update(&self.key_bytes, |waiting| waiting.get_or_insert_default().push(value))
    }

    /// Forgets the records of a key, time and side, for they have met a partner.
    ///
    /// # Errors
    /// As [`JoinBuffer::wait`].
    pub fn met(&mut self, key: &K, timestamp: Timestamp, side: JoinSide) -> Result<(), StoreError> {
        if self.oldest == Oldest::None {
            return Ok(());
        }
        self.write_key(key, timestamp, side)?;
        if self.layers.read(&self.key_bytes, |waiting| waiting.is_some())? {
            self.layers.put(&self.key_bytes, None)?;
        }
        Ok(())
    }

    /// Whether some record may have waited long enough, by what the side that asks can reach (its part of
    /// [`WaitingTime`]); cheap, and so not always right: see [`JoinBuffer::take`]. After a yes it is no until `pause` of
    /// the wall clock, which is `now`, has passed.
    ///
    /// # Errors
    /// As [`JoinBuffer::wait`].
    pub fn is_due(&mut self, reach_ms: i64, now: Timestamp, pause: Duration) -> Result<bool, StoreError> {
        let Oldest::At(oldest) = self.find_oldest()? else { return Ok(false) };
        if oldest.saturating_add(reach_ms) >= self.stream_time.as_millis() || now < self.next_look {
            return Ok(false);
        }
        self.next_look = now + pause;
        Ok(true)
    }

    /// Takes the records out that have waited longer than they had to, by time, right side first, then by the bytes of
    /// their keys. It takes some at a time: the answer says whether to call it again.
    ///
    /// Where it looked last is what [`JoinBuffer::is_due`] goes by. That is Kafka's rule, and it is not the oldest
    /// record that is left but often the youngest, or one that has just left: records then leave some together, one
    /// walk for all of them.
    ///
    /// # Errors
    /// As [`JoinBuffer::wait`].
    pub fn take(
        &mut self,
        waiting_time: WaitingTime,
        taken: &mut Vec<Unmatched<K, L, R>>,
    ) -> Result<bool, StoreError> {
        let now = self.stream_time.as_millis();
        self.oldest = Oldest::None;
        self.layers.sort();
        let (mut keys, mut more) = (Vec::new(), false);
        let mut open = [false; 2];
        let store = Arc::clone(self.layers.name());
        let fault = |source: SerdeError| unreadable(&store, source);
        for entry in self.layers.scan(None, (Bound::Unbounded, Bound::Unbounded), Direction::Forward)? {
            let (bytes, values) = entry?;
            let (timestamp, side, key) = split_key(&bytes).map_err(fault)?;
            self.oldest = Oldest::At(timestamp.as_millis());
            more = keys.len() == MOST_KEYS_TAKEN;
            if more || open == [true; 2] {
                break;
            }
            if timestamp.as_millis().saturating_add(waiting_time.of(side)) >= now {
                open[usize::from(side.byte())] = true;
                continue;
            }
            let key = self.key_serde.deserialize(key).map_err(fault)?;
            taken.push((WaitingKey { timestamp, side, key }, values));
            keys.push(bytes);
        }
        keys.iter().try_for_each(|key| self.layers.put(key, None).map(drop))?;
        Ok(more)
    }

    fn find_oldest(&mut self) -> Result<Oldest, StoreError> {
        if self.oldest == Oldest::Unknown {
            self.layers.sort();
            let everything = (Bound::Unbounded, Bound::Unbounded);
            let first = self.layers.scan(None, everything, Direction::Forward)?.next().transpose()?;
            self.oldest = match first {
                Some((key, _)) => {
                    let fault = |source| unreadable(self.layers.name(), source);
                    Oldest::At(split_key(&key).map_err(fault)?.0.as_millis())
                }
                None => Oldest::None,
            };
        }
        Ok(self.oldest)
    }

    fn write_key(&mut self, key: &K, timestamp: Timestamp, side: JoinSide) -> Result<(), StoreError> {
        write_key(&*self.key_serde, (timestamp, side), key, &mut self.key_bytes)
            .map_err(|source| StoreError::Unwritable { store: self.layers.name().to_string(), source })
    }
}

impl<K: 'static, L: Data, R: Data> StateStore for JoinBuffer<K, L, R> {
    layered_state_store!();

    fn restore(
        &mut self,
        records: &mut dyn Iterator<Item = ChangelogRecord<'_>>,
        batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        self.oldest = Oldest::Unknown;
        self.layers.restore(records, batch)
    }

    /// Each waiting value by itself: its key as it lies in the store, and the value's side and bytes.
    fn visit_entries(&mut self, visit: &mut dyn FnMut(StoreEntry<'_>)) -> Result<(), StoreError> {
        self.layers.sort();
        let mut value = Vec::new();
        for entry in self.layers.scan(None, (Bound::Unbounded, Bound::Unbounded), Direction::Forward)? {
            let (key, values) = entry?;
            for waiting in &values {
                value.clear();
                self.values.write_one(waiting, &mut value).map_err(|source| StoreError::Unwritable {
                    store: self.layers.name().to_string(),
                    source,
                })?;
                visit(StoreEntry { key: &key, window: None, value: &value, timestamp: None, valid_to: None });
            }
        }
        Ok(())
    }
}

impl<K, L, R> fmt::Debug for JoinBuffer<K, L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinBuffer")
            .field("stream_time", &self.stream_time)
            .field("oldest", &self.oldest)
            .finish_non_exhaustive()
    }
}
