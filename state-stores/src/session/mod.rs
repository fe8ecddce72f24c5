//! Values by key and session.

pub(crate) mod key_schema;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::{Bound, ControlFlow, RangeBounds};
use std::sync::Arc;
use std::time::Duration;

use streams_core::serdes::Serde;
use streams_core::state::{
    ChangelogRecord, Direction, StateStore, StoreEntry, StoreError, StoreScan, TaskDatabase, WriteBatch,
};
use streams_core::{Data, Timestamp, duration_millis};

use crate::builder::{Builder, StoreSettings};
use crate::change::StoreChange;
use crate::key_value::{read_key, write_key};
use crate::layers::{Entry, Layers, Place, SegmentScan, Segments, ValueFormat, layered_state_store};
use crate::window::{
    KeyFilter, KeyLayout, RawEntries, RawEntry, WindowEntries, filter, segment_interval_ms, show_behind,
};
use crate::windowed::{Window, Windowed};

/// Values by key and session, a session being a window whose bounds the records decide. Made by
/// [`Stores::session`](crate::Stores::session).
///
/// Time in a store is the largest session end that it has seen. Sessions that ended a retention or more before it are
/// hidden from reads, and dropped together with the segment that they share with their neighbours in time.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use state_stores::{InMemory, Stores, Window};
/// use streams_core::Timestamp;
/// use streams_core::serdes::{BigEndian, Utf8};
/// use streams_core::state::StateBackend;
///
/// # fn main() -> Result<(), streams_core::state::StoreError> {
/// let day = Duration::from_secs(86_400);
/// let builder = Stores::session::<String, i64>("visits", day, Arc::new(Utf8), Arc::new(BigEndian));
/// let mut visits = builder.open(InMemory.open("unused".as_ref())?)?;
/// let user = "ada".to_owned();
/// visits.put(&user, Window::new(0, 40), Some(3))?;
/// visits.put(&user, Window::new(100, 120), Some(2))?;
/// // A record at 60 joins, with a gap of 30, what ends at 30 or later and begins at 90 or earlier.
/// let (earliest_end, latest_start) = (Timestamp::from_millis(30), Timestamp::from_millis(90));
/// let joined = visits.find_sessions(&user, earliest_end, latest_start)?.next().expect("it joins one")?;
/// assert_eq!((joined.0.window, joined.1), (Window::new(0, 40), 3));
/// # Ok(())
/// # }
/// ```
pub struct SessionStore<K, T> {
    layers: Layers<T>,
    key_serde: Arc<dyn Serde<K>>,
    in_memory: bool,
    expired_records: u64,
    key_bytes: Vec<u8>,
}

impl<K: 'static, T: Data> Builder<SessionStore<K, T>> {
    /// Keeps sessions of all keys at hand by their end: for results that leave when their sessions are closed (Kafka's
    /// `RocksDBTimeOrderedSessionStore`).
    pub fn time_ordered(mut self, on: bool) -> Self {
        self.settings_mut().time_ordered = on;
        self
    }
}

impl<K: 'static, T: Data> SessionStore<K, T> {
    pub(crate) fn open(
        settings: &StoreSettings,
        retention: Duration,
        key_serde: Arc<dyn Serde<K>>,
        format: Box<dyn ValueFormat<T>>,
        database: Arc<dyn TaskDatabase>,
    ) -> Result<Self, StoreError> {
        let retention_ms = duration_millis(retention);
        let interval_ms = segment_interval_ms(retention_ms);
        let name = &settings.layers.name;
        let segments = Segments::open(name, interval_ms, retention_ms, key_schema::end_of, &*database)?;
        let mut layers = Layers::new(settings.layers.clone(), format, database, Place::Segments(segments));
        layers.keep_index(settings.time_ordered.then_some(key_schema::SUFFIX_LEN))?;
        layers.cache().keep_old(settings.keep_old_values);
        let in_memory = settings.in_memory;
        Ok(SessionStore { layers, key_serde, in_memory, expired_records: 0, key_bytes: Vec::new() })
    }

    /// The value of a key's session with these very bounds.
    ///
    /// # Errors
    /// When the key cannot be written, the value cannot be read, or the storage fails; so do all methods here.
    pub fn fetch_session(&mut self, key: &K, session: Window) -> Result<Option<T>, StoreError> {
        if self.is_hidden(session) {
            return Ok(None);
        }
        self.write_session_key(key, session)?;
        self.layers.read(&self.key_bytes, |value| value.cloned())
    }

    /// Sets the value of a session; none deletes it. Answers whether the store took it: what is older than its
    /// oldest segment goes to the changelog only.
    ///
    /// # Errors
    /// As [`SessionStore::fetch_session`].
    pub fn put(&mut self, key: &K, session: Window, value: Option<T>) -> Result<bool, StoreError> {
        if let Some(segments) = self.layers.segments() {
            segments.observe(session.end.as_millis());
        }
        self.write_session_key(key, session)?;
        let taken = self.layers.put(&self.key_bytes, value)?;
        let taken = taken && !(self.in_memory && self.is_hidden(session));
        self.expired_records += u64::from(!taken);
        Ok(taken)
    }

    /// Deletes a session.
    ///
    /// # Errors
    /// As [`SessionStore::fetch_session`].
    pub fn remove(&mut self, key: &K, session: Window) -> Result<(), StoreError> {
        self.put(key, session, None).map(drop)
    }

    /// The sessions of a key that end at `earliest_end` or later and begin at `latest_start` or earlier, by end, then
    /// start: with a record's time less and plus the gap, those that it joins.
    ///
    /// # Errors
    /// As [`SessionStore::fetch_session`].
    pub fn find_sessions(
        &mut self,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
    ) -> Result<WindowEntries<'_, K, T>, StoreError> {
        self.scan_key(key, earliest_end, latest_start, Direction::Forward)
    }

    /// As [`SessionStore::find_sessions`], the latest end first.
    ///
    /// # Errors
    /// As [`SessionStore::fetch_session`].
    pub fn backward_find_sessions(
        &mut self,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
    ) -> Result<WindowEntries<'_, K, T>, StoreError> {
        self.scan_key(key, earliest_end, latest_start, Direction::Backward)
    }

    /// All sessions of a key, by end, then start.
    ///
    /// # Errors
    /// As [`SessionStore::fetch_session`].
    pub fn fetch(&mut self, key: &K) -> Result<WindowEntries<'_, K, T>, StoreError> {
        self.find_sessions(key, Timestamp::ZERO, Timestamp::MAX)
    }

    /// All sessions of some keys: segment after segment, by key, end and start within each; in memory by end, then
    /// start, then key.
    ///
    /// # Errors
    /// As [`SessionStore::fetch_session`].
    pub fn fetch_range(&mut self, keys: impl RangeBounds<K>) -> Result<WindowEntries<'_, K, T>, StoreError> {
        let keys = KeyFilter::within(keys, |key| {
            let mut bytes = Vec::new();
            write_key(&*self.key_serde, key, &mut bytes, self.layers.name()).map(|()| bytes.into())
        })?;
        let in_memory = self.in_memory;
        self.scan_all(keys, Timestamp::ZERO, Timestamp::MAX, in_memory)
    }

    /// The sessions of all keys that end between two times, both included, by end, then start, then key.
    ///
    /// # Errors
    /// As [`SessionStore::fetch_session`].
    pub fn ended_between(
        &mut self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<WindowEntries<'_, K, T>, StoreError> {
        self.scan_all(KeyFilter::Between(Bound::Unbounded, Bound::Unbounded), from, to, true)
    }

    /// As [`SessionStore::ended_between`]; it shows also what the retention hides from other reads, as long as it is not
    /// dropped: for results that leave when their sessions are closed.
    ///
    /// # Errors
    /// As [`SessionStore::fetch_session`].
    pub fn kept_between(
        &mut self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<WindowEntries<'_, K, T>, StoreError> {
        let (first, last) = (from.as_millis().max(0), to.as_millis());
        let numbers = self.layers.segments().map_or(Vec::new(), |segments| segments.between(first, last));
        if self.layers.index_is_whole() {
            self.layers.sort();
            let entries = Box::new(self.layers.scan_index(numbers, first, last));
            return Ok(WindowEntries::new(self.layers.name(), &*self.key_serde, KeyLayout::Session, entries));
        }
        self.scan_segments(KeyFilter::Between(Bound::Unbounded, Bound::Unbounded), numbers, (from, to), true)
    }

    /// The earliest end that [`kept_between`](SessionStore::kept_between) is sure to show once the store has seen a
    /// session that ends at `newest`.
    pub fn kept_from(&mut self, newest: Timestamp) -> Timestamp {
        let kept = self.layers.segments().map_or(0, |segments| segments.kept_from(newest.as_millis()));
        Timestamp::from_millis(kept)
    }

    /// Whether changes are held back until a flush: then they are to be forwarded when
    /// [`SessionStore::next_change`] tells them, else at once.
    pub fn caching(&self) -> bool {
        self.layers.caching()
    }

    /// From now on held-back changes carry the value before them.
    pub fn keep_old_values(&mut self) {
        self.layers.cache().keep_old(true);
    }

    /// Writes the next held-back change, in the order of the latest changes, and tells it; none where there is none
    /// left. To be called in a loop from the flush of the node that owns the store.
    ///
    /// # Errors
    /// As [`SessionStore::fetch_session`].
    pub fn next_change(&mut self) -> Result<Option<StoreChange<Windowed<K>, T>>, StoreError> {
        let Some(change) = self.layers.next_change()? else { return Ok(None) };
        let Some((key, session)) = key_schema::split(&change.key) else { return Ok(None) };
        let key = Windowed::new(read_key(&*self.key_serde, key, self.layers.name())?, session);
        let (old, new) = (change.old, change.new);
        Ok(Some(StoreChange { key, old, new, timestamp: change.timestamp, headers: change.headers }))
    }

    fn is_hidden(&mut self, session: Window) -> bool {
        let end = session.end.as_millis();
        self.layers.segments().is_some_and(|segments| end < segments.oldest_readable_ms())
    }

    /// The numbers of the segments to read, and the earliest readable end, for a span of ends.
    fn readable(&mut self, from: Timestamp, to: Timestamp) -> (Vec<i64>, Timestamp) {
        let Some(segments) = self.layers.segments() else { return (Vec::new(), from) };
        let from = from.as_millis().max(segments.oldest_readable_ms()).max(0);
        (segments.between(from, to.as_millis()), Timestamp::from_millis(from))
    }

    fn scan_key(
        &mut self,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
        direction: Direction,
    ) -> Result<WindowEntries<'_, K, T>, StoreError> {
        let (numbers, earliest_end) = self.readable(earliest_end, Timestamp::MAX);
        let mut lower = Vec::new();
        write_key(&*self.key_serde, key, &mut lower, self.layers.name())?;
        let mut upper = lower.clone();
        let exactly = KeyFilter::Exactly(lower.clone().into());
        key_schema::append_suffix(&mut lower, earliest_end.as_millis(), 0);
        key_schema::append_suffix(&mut upper, i64::MAX, i64::MAX);
        self.layers.sort();
        let (lower, upper) = (Bound::Included(lower), Bound::Included(upper));
        let scan = SegmentScan::new(&self.layers, numbers, lower, upper, direction);
        let wanted = move |key: &[u8], session: Window| {
            session.end >= earliest_end && session.start <= latest_start && exactly.admits(key)
        };
        let entries = Box::new(scan.filter(filter(KeyLayout::Session, wanted)));
        Ok(WindowEntries::new(self.layers.name(), &*self.key_serde, KeyLayout::Session, entries))
    }

    fn scan_all(
        &mut self,
        keys: KeyFilter,
        from: Timestamp,
        to: Timestamp,
        by_end: bool,
    ) -> Result<WindowEntries<'_, K, T>, StoreError> {
        let (numbers, from) = self.readable(from, to);
        self.scan_segments(keys, numbers, (from, to), by_end)
    }

    /// The sessions of some keys in some segments that end between two times, both included.
    fn scan_segments(
        &mut self,
        keys: KeyFilter,
        numbers: Vec<i64>,
        (from, to): (Timestamp, Timestamp),
        by_end: bool,
    ) -> Result<WindowEntries<'_, K, T>, StoreError> {
        self.layers.sort();
        let entries = self.scan_raw(keys, numbers, (from, to), by_end)?;
        Ok(WindowEntries::new(self.layers.name(), &*self.key_serde, KeyLayout::Session, entries))
    }

    /// The same in bytes; [`Layers::sort`] comes first.
    fn scan_raw(
        &self,
        keys: KeyFilter,
        numbers: Vec<i64>,
        (from, to): (Timestamp, Timestamp),
        by_end: bool,
    ) -> Result<RawEntries<'_, T>, StoreError> {
        let (lower, upper) = keys.bounds(i64::MAX);
        let scan = SegmentScan::new(&self.layers, numbers, lower, upper, Direction::Forward);
        let wanted =
            move |key: &[u8], session: Window| (from..=to).contains(&session.end) && keys.admits(key);
        let found = scan.filter(filter(KeyLayout::Session, wanted));
        Ok(match by_end {
            true => Box::new(sorted_by_end(found)?.into_iter().map(Ok)),
            false => Box::new(found),
        })
    }

    /// Lays the layers' key out in `key_bytes`.
    fn write_session_key(&mut self, key: &K, session: Window) -> Result<(), StoreError> {
        let (end, start) = (session.end.as_millis(), session.start.as_millis());
        let number = self.layers.segments().map_or(0, |segments| segments.number(end));
        self.key_bytes.clear();
        self.key_bytes.extend_from_slice(&number.to_be_bytes());
        write_key(&*self.key_serde, key, &mut self.key_bytes, self.layers.name())?;
        key_schema::append_suffix(&mut self.key_bytes, end, start);
        Ok(())
    }
}

fn sorted_by_end<T>(entries: impl Iterator<Item = RawEntry<T>>) -> Result<Vec<Entry<T>>, StoreError> {
    let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_cached_key(|(bytes, _)| {
        key_schema::split(bytes).map(|(key, session)| (session.end, session.start, key.to_vec()))
    });
    Ok(entries)
}

impl<K: 'static, T: Data> StateStore for SessionStore<K, T> {
    layered_state_store!();

    fn expired_records(&self) -> u64 {
        self.expired_records
    }

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
        let (numbers, from) = self.readable(scan.from, scan.to);
        let in_memory = self.in_memory;
        self.layers.sort();
        let found = self.scan_raw(KeyFilter::of(&scan.keys), numbers, (from, scan.to), in_memory)?;
        let order = |key: &[u8], session: Window| {
            let (end, start) = (session.end.as_millis(), session.start.as_millis());
            let mut bytes = Vec::new();
            if in_memory {
                // By end, start and key.
                key_schema::append_suffix(&mut bytes, end, start);
                bytes.extend_from_slice(key);
                return (0, bytes);
            }
            bytes.extend_from_slice(key);
            key_schema::append_suffix(&mut bytes, end, start);
            (self.layers.segment_number(end), bytes)
        };
        let scan = StoreScan { direction: Direction::Forward, ..scan.clone() };
        show_behind(&self.layers, KeyLayout::Session, found, &scan, order, visit)
    }
}

impl<K, T> fmt::Debug for SessionStore<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStore").field("layers", &self.layers).finish_non_exhaustive()
    }
}
