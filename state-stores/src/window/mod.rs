//! Values by key and window.

mod entries;
pub(crate) mod key_schema;
mod visit;

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

pub use entries::WindowEntries;
pub(crate) use entries::{KeyFilter, KeyLayout, RawEntries, RawEntry, filter, show_behind};

use crate::builder::{Builder, StoreSettings};
use crate::change::{StoreChange, ValueAndTimestamp};
use crate::key_value::{read_key, write_key};
use crate::layers::{Layers, Place, SegmentScan, Segments, ValueFormat, layered_state_store};
use crate::windowed::{Window, Windowed};

/// The shortest span of time that a store keeps apart from others.
const SHORTEST_SEGMENT_MS: i64 = 60_000;

/// Half the retention, at least a minute: a store then holds about three segments.
pub(crate) fn segment_interval_ms(retention_ms: i64) -> i64 {
    (retention_ms / 2).max(SHORTEST_SEGMENT_MS)
}

/// A [`WindowStore`] of values with their event times.
pub type TimestampedWindowStore<K, V> = WindowStore<K, ValueAndTimestamp<V>>;

/// Values by key and window start. Made by [`Stores::window`](crate::Stores::window) and
/// [`Stores::timestamped_window`](crate::Stores::timestamped_window).
///
/// Time in a store is the largest window start that it has seen. Windows whose start lies a retention or more behind
/// it are hidden from reads, and dropped together with the segment that they share with their neighbours in time.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use state_stores::{InMemory, Stores};
/// use streams_core::Timestamp;
/// use streams_core::serdes::{BigEndian, Utf8};
/// use streams_core::state::StateBackend;
///
/// # fn main() -> Result<(), streams_core::state::StoreError> {
/// let (hour, day) = (Duration::from_secs(3_600), Duration::from_secs(86_400));
/// let builder = Stores::window::<String, i64>("flights", hour, day, Arc::new(Utf8), Arc::new(BigEndian));
/// let mut flights = builder.open(InMemory.open("unused".as_ref())?)?;
/// let airport = "JFK".to_owned();
/// for (hours, count) in [(0, 12), (1, 9), (30, 7)] {
///     flights.put(&airport, Some(count), Timestamp::ZERO + hour * hours)?;
/// }
/// // Stream time is 30 h now: what began more than a day before is hidden.
/// let kept: Vec<i64> = flights.all()?.map(|entry| entry.map(|(_, count)| count)).collect::<Result<_, _>>()?;
/// assert_eq!(kept, [7]);
/// # Ok(())
/// # }
/// ```
pub struct WindowStore<K, T> {
    layers: Layers<T>,
    key_serde: Arc<dyn Serde<K>>,
    size_ms: i64,
    retain_duplicates: bool,
    in_memory: bool,
    /// Whether windows of several keys are read by time, not by key.
    by_time: bool,
    expired_records: u64,
    /// Room for a key.
    key_bytes: Vec<u8>,
    /// Room for the last key of a range.
    upper_bytes: Vec<u8>,
}

impl<K: 'static, T: Data> Builder<WindowStore<K, T>> {
    /// Keeps every value that is put for one key and time, instead of the last one: for the windows of joins.
    pub fn retain_duplicates(mut self) -> Self {
        self.settings_mut().retain_duplicates = true;
        self
    }

    /// Keeps windows of all keys at hand by time, in which order they are then read: for results that leave when their
    /// windows are closed (Kafka's `RocksDBTimeOrderedWindowStore`).
    pub fn time_ordered(mut self, on: bool) -> Self {
        self.settings_mut().time_ordered = on;
        self
    }
}

impl<K: 'static, T: Data> WindowStore<K, T> {
    pub(crate) fn open(
        settings: &StoreSettings,
        size: Duration,
        retention: Duration,
        key_serde: Arc<dyn Serde<K>>,
        format: Box<dyn ValueFormat<T>>,
        database: Arc<dyn TaskDatabase>,
    ) -> Result<Self, StoreError> {
        let retention_ms = duration_millis(retention);
        let interval_ms = segment_interval_ms(retention_ms);
        let name = &settings.layers.name;
        let segments = Segments::open(name, interval_ms, retention_ms, key_schema::start_of, &*database)?;
        let mut layer_settings = settings.layers.clone();
        if settings.retain_duplicates && !layer_settings.caching {
            // Duplicates are read by scans only, which the cache serves with changes alone: there are none.
            layer_settings.cache_bytes = Some(0);
        }
        let mut layers = Layers::new(layer_settings, format, database, Place::Segments(segments));
        layers.keep_index(settings.time_ordered.then_some(key_schema::SUFFIX_LEN))?;
        layers.cache().keep_old(settings.keep_old_values);
        Ok(WindowStore {
            layers,
            key_serde,
            size_ms: duration_millis(size),
            retain_duplicates: settings.retain_duplicates,
            in_memory: settings.in_memory,
            by_time: settings.in_memory || settings.time_ordered,
            expired_records: 0,
            key_bytes: Vec::new(),
            upper_bytes: Vec::new(),
        })
    }

    /// The value of a key in the window that begins at `start`.
    ///
    /// # Errors
    /// When the key cannot be written, the value cannot be read, or the storage fails; so do all methods here.
    pub fn fetch(&mut self, key: &K, start: Timestamp) -> Result<Option<T>, StoreError> {
        self.read(key, start, |value| value.cloned())
    }

    /// Hands the value of a key in a window to `read`, which saves its copy.
    ///
    /// # Errors
    /// As [`WindowStore::fetch`].
    pub fn read<R>(
        &mut self,
        key: &K,
        start: Timestamp,
        read: impl FnOnce(Option<&T>) -> R,
    ) -> Result<R, StoreError> {
        if self.is_hidden(start) {
            return Ok(read(None));
        }
        self.write_window_key(key, start, 0)?;
        self.layers.read(&self.key_bytes, read)
    }

    /// Sets the value of a key in the window that begins at `start`; none deletes it. Answers whether the store
    /// took it: what is older than its oldest segment goes to the changelog only.
    ///
    /// # Errors
    /// As [`WindowStore::fetch`].
    pub fn put(&mut self, key: &K, value: Option<T>, start: Timestamp) -> Result<bool, StoreError> {
        if self.retain_duplicates && value.is_none() {
            // There is no telling which of them it would delete. The changelog gets it all the same, as Kafka's does.
            let sequence = self.layers.segments().map_or(0, Segments::next_sequence);
            self.write_window_key(key, start, sequence)?;
            self.layers.log_absence(&self.key_bytes);
            return Ok(true);
        }
        let sequence = self.observe(start);
        self.write_window_key(key, start, sequence)?;
        let taken = self.layers.put(&self.key_bytes, value)?;
        let taken = taken && !(self.in_memory && self.is_hidden(start));
        self.expired_records += u64::from(!taken);
        Ok(taken)
    }

    /// Lets `change` alter the value of a key in a window in place, and answers what it answers. With caching this
    /// is the way of least cost: the value is neither copied, nor written, nor read again, while it stays in the
    /// cache.
    ///
    /// # Errors
    /// As [`WindowStore::fetch`].
    pub fn update<R>(
        &mut self,
        key: &K,
        start: Timestamp,
        change: impl FnOnce(&mut Option<T>) -> R,
    ) -> Result<R, StoreError> {
        self.observe(start);
        self.write_window_key(key, start, 0)?;
        if !self.is_hidden(start) {
            return self.layers.update(&self.key_bytes, change);
        }
        let mut value = None;
        let answer = change(&mut value);
        let taken = self.layers.put(&self.key_bytes, value)?;
        self.expired_records += u64::from(!taken);
        Ok(answer)
    }

    /// The windows of a key that begin between two times, both included, by time; with duplicates, those of one time
    /// in the order in which they were put.
    ///
    /// # Errors
    /// As [`WindowStore::fetch`].
    pub fn fetch_between(
        &mut self,
        key: &K,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<WindowEntries<'_, K, T>, StoreError> {
        self.scan_key(key, from, to, Direction::Forward)
    }

    /// As [`WindowStore::fetch_between`], the latest first.
    ///
    /// # Errors
    /// As [`WindowStore::fetch`].
    pub fn backward_fetch_between(
        &mut self,
        key: &K,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<WindowEntries<'_, K, T>, StoreError> {
        self.scan_key(key, from, to, Direction::Backward)
    }

    /// The windows of some keys that begin between two times, both included: segment after segment, by key within
    /// each; in memory, or with [`time_ordered`](Builder::time_ordered), by time, then key.
    ///
    /// # Errors
    /// As [`WindowStore::fetch`].
    pub fn fetch_range(
        &mut self,
        keys: impl RangeBounds<K>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<WindowEntries<'_, K, T>, StoreError> {
        self.scan_keys(keys, from, to, Direction::Forward)
    }

    /// As [`WindowStore::fetch_range`], the other way round.
    ///
    /// # Errors
    /// As [`WindowStore::fetch`].
    pub fn backward_fetch_range(
        &mut self,
        keys: impl RangeBounds<K>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<WindowEntries<'_, K, T>, StoreError> {
        self.scan_keys(keys, from, to, Direction::Backward)
    }

    /// All windows, in the order of [`WindowStore::fetch_range`].
    ///
    /// # Errors
    /// As [`WindowStore::fetch`].
    pub fn all(&mut self) -> Result<WindowEntries<'_, K, T>, StoreError> {
        self.fetch_range(.., Timestamp::ZERO, Timestamp::MAX)
    }

    /// All windows, the other way round.
    ///
    /// # Errors
    /// As [`WindowStore::fetch`].
    pub fn backward_all(&mut self) -> Result<WindowEntries<'_, K, T>, StoreError> {
        self.backward_fetch_range(.., Timestamp::ZERO, Timestamp::MAX)
    }

    /// The windows of all keys that begin between two times, both included, by start, then key. It shows also what
    /// the retention hides from other reads, as long as it is not dropped: for results that leave when their windows
    /// are closed.
    ///
    /// # Errors
    /// As [`WindowStore::fetch`].
    pub fn kept_between(
        &mut self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<WindowEntries<'_, K, T>, StoreError> {
        let (from, to) = (from.as_millis().max(0), to.as_millis());
        let numbers = self.layers.segments().map_or(Vec::new(), |segments| segments.between(from, to));
        let all = KeyFilter::Between(Bound::Unbounded, Bound::Unbounded);
        let layout = KeyLayout::Window(self.size_ms);
        self.layers.sort();
        if self.layers.index_is_whole() {
            let entries = Box::new(self.layers.scan_index(numbers, from, to));
            return Ok(WindowEntries::new(self.layers.name(), &*self.key_serde, layout, entries));
        }
        let scan =
            SegmentScan::new(&self.layers, numbers, Bound::Unbounded, Bound::Unbounded, Direction::Forward);
        let found = scan.filter(filter(layout, between(all, from, to)));
        let entries = entries::by_time(found, Direction::Forward)?;
        Ok(WindowEntries::new(self.layers.name(), &*self.key_serde, layout, entries))
    }

    /// The earliest start that [`kept_between`](WindowStore::kept_between) is sure to show once the store has seen a
    /// window that begins at `newest`.
    pub fn kept_from(&mut self, newest: Timestamp) -> Timestamp {
        let kept = self.layers.segments().map_or(0, |segments| segments.kept_from(newest.as_millis()));
        Timestamp::from_millis(kept)
    }

    /// Whether changes are held back until a flush: then they are to be forwarded when
    /// [`WindowStore::next_change`] tells them, else at once.
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
    /// As [`WindowStore::fetch`].
    pub fn next_change(&mut self) -> Result<Option<StoreChange<Windowed<K>, T>>, StoreError> {
        let Some(change) = self.layers.next_change()? else { return Ok(None) };
        let Some((key, start)) = key_schema::split(&change.key) else { return Ok(None) };
        let key = read_key(&*self.key_serde, key, self.layers.name())?;
        let window = Window::new(start, start.saturating_add(self.size_ms));
        let (key, old, new) = (Windowed::new(key, window), change.old, change.new);
        Ok(Some(StoreChange { key, old, new, timestamp: change.timestamp, headers: change.headers }))
    }

    /// Moves the store's clock; answers the sequence number for a put.
    fn observe(&mut self, start: Timestamp) -> i32 {
        let retain_duplicates = self.retain_duplicates;
        let Some(segments) = self.layers.segments() else { return 0 };
        segments.observe(start.as_millis());
        if retain_duplicates { segments.next_sequence() } else { segments.sequence }
    }

    fn is_hidden(&mut self, start: Timestamp) -> bool {
        self.layers.segments().is_some_and(|segments| start.as_millis() < segments.oldest_readable_ms())
    }

    /// The numbers of the segments to read, and the earliest readable time, for a span of time.
    fn readable(&mut self, from: Timestamp, to: Timestamp) -> (Vec<i64>, i64) {
        let Some(segments) = self.layers.segments() else { return (Vec::new(), 0) };
        let from = from.as_millis().max(segments.oldest_readable_ms()).max(0);
        (segments.between(from, to.as_millis()), from)
    }

    fn scan_key(
        &mut self,
        key: &K,
        from: Timestamp,
        to: Timestamp,
        direction: Direction,
    ) -> Result<WindowEntries<'_, K, T>, StoreError> {
        let (numbers, from) = self.readable(from, to);
        let to = to.as_millis();
        let mut lower = Vec::new();
        write_key(&*self.key_serde, key, &mut lower, self.layers.name())?;
        let key_len = lower.len();
        let mut upper = lower.clone();
        let exactly = KeyFilter::Exactly(lower.clone().into());
        lower.truncate(key_len);
        key_schema::append_suffix(&mut lower, from, 0);
        key_schema::append_suffix(&mut upper, to, i32::MAX);
        self.layers.sort();
        let (lower, upper) = (Bound::Included(lower), Bound::Included(upper));
        let scan = SegmentScan::new(&self.layers, numbers, lower, upper, direction);
        let layout = KeyLayout::Window(self.size_ms);
        let entries = scan.filter(filter(layout, between(exactly, from, to)));
        Ok(WindowEntries::new(self.layers.name(), &*self.key_serde, layout, Box::new(entries)))
    }

    fn scan_keys(
        &mut self,
        keys: impl RangeBounds<K>,
        from: Timestamp,
        to: Timestamp,
        direction: Direction,
    ) -> Result<WindowEntries<'_, K, T>, StoreError> {
        let (numbers, from) = self.readable(from, to);
        let within = KeyFilter::within(keys, |key| {
            let mut bytes = Vec::new();
            write_key(&*self.key_serde, key, &mut bytes, self.layers.name()).map(|()| bytes.into())
        })?;
        self.layers.sort();
        let entries =
            self.scan_interval(within, Interval { numbers, from, to: to.as_millis() }, direction)?;
        let layout = KeyLayout::Window(self.size_ms);
        Ok(WindowEntries::new(self.layers.name(), &*self.key_serde, layout, entries))
    }

    /// The entries of some keys in some segments; [`Layers::sort`] comes first.
    fn scan_interval(
        &self,
        keys: KeyFilter,
        interval: Interval,
        direction: Direction,
    ) -> Result<RawEntries<'_, T>, StoreError> {
        let Interval { numbers, from, to } = interval;
        let (lower, upper) = keys.bounds(to);
        let scan = SegmentScan::new(&self.layers, numbers, lower, upper, direction);
        let found = scan.filter(filter(KeyLayout::Window(self.size_ms), between(keys, from, to)));
        match self.by_time {
            true => entries::by_time(found, direction),
            false => Ok(Box::new(found)),
        }
    }

    /// Lays the layers' key out in `key_bytes`.
    fn write_window_key(&mut self, key: &K, start: Timestamp, sequence: i32) -> Result<(), StoreError> {
        let start = start.as_millis();
        let number = self.layers.segments().map_or(0, |segments| segments.number(start));
        self.key_bytes.clear();
        self.key_bytes.extend_from_slice(&number.to_be_bytes());
        write_key(&*self.key_serde, key, &mut self.key_bytes, self.layers.name())?;
        key_schema::append_suffix(&mut self.key_bytes, start, sequence);
        Ok(())
    }
}

impl<K: 'static, T: Data> StateStore for WindowStore<K, T> {
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
        if !self.retain_duplicates {
            return self.layers.restore(records, batch);
        }
        // What is put from now on must not replace a duplicate of the same key and time that was restored.
        let mut last = 0;
        let mut watched = records.inspect(|record| last = last.max(key_schema::sequence_of(record.key)));
        self.layers.restore(&mut watched, batch)?;
        if let Some(segments) = self.layers.segments() {
            segments.sequence = segments.sequence.max(last);
        }
        Ok(())
    }

    fn scan_entries(
        &mut self,
        scan: &StoreScan,
        visit: &mut dyn FnMut(StoreEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let (numbers, from) = self.readable(scan.from, scan.to);
        let keys = KeyFilter::of(&scan.keys);
        let interval = Interval { numbers, from, to: scan.to.as_millis() };
        self.layers.sort();
        let found = self.scan_interval(keys, interval, scan.direction)?;
        let order = |key: &[u8], window: Window| {
            let start = window.start.as_millis();
            let number = if self.by_time { start } else { self.layers.segment_number(start) };
            let mut bytes = key.to_vec();
            if !self.by_time {
                key_schema::append_suffix(&mut bytes, start, i32::MAX);
            }
            (number, bytes)
        };
        show_behind(&self.layers, KeyLayout::Window(self.size_ms), found, scan, order, visit)
    }
}

/// The segments to read, and the first and the last start in ms.
struct Interval {
    numbers: Vec<i64>,
    from: i64,
    to: i64,
}

fn between(keys: KeyFilter, from_ms: i64, to_ms: i64) -> impl Fn(&[u8], Window) -> bool {
    move |key, window| (from_ms..=to_ms).contains(&window.start.as_millis()) && keys.admits(key)
}

impl<K, T> fmt::Debug for WindowStore<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowStore").field("layers", &self.layers).finish_non_exhaustive()
    }
}
