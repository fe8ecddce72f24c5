//! What all stores are made of: a typed cache over uncommitted writes over the task's database.
//!
//! A key travels through the layers as bytes; in segmented stores the segment's number stands in front of it, which
//! the database does not see. Reads ask the layers from the outside in; a scan merges them.

mod access;
mod browse;
mod cache;
mod commit;
mod epoch_writes;
mod format;
mod key_order;
mod measure;
mod merge;
mod place;
mod scan;
mod segment_scan;
mod segments;
mod state_store;
mod time_index;
mod write_layer;

use std::fmt;
use std::sync::Arc;

use streams_core::processor::RecordArena;
use streams_core::serdes::SerdeError;
use streams_core::state::{StoreError, StoreOperation, StoreSensors, TaskDatabase};
use streams_core::{Headers, Timestamp};

use cache::{Base, Cache};
use epoch_writes::EpochWrites;
pub(crate) use format::{Plain, Raw, Timestamped, ValueFormat};
pub(crate) use merge::{Entry, Merge};
pub(crate) use place::Place;
pub(crate) use segment_scan::SegmentScan;
pub(crate) use segments::{ENDLESS, SEGMENT_LEN, Segments};
pub(crate) use state_store::layered_state_store;
use time_index::TimeIndex;

/// What one store's cache may hold in one task, unless another number is given: typed values, counted by the length
/// of their bytes and what keeping them costs.
const DEFAULT_CACHE_BYTES: usize = 4 << 20;

/// How a store's layers are set up.
#[derive(Debug, Clone)]
pub(crate) struct LayerSettings {
    pub(crate) name: Arc<str>,
    /// Gather changelog records.
    pub(crate) logging: bool,
    /// Give changelog records the headers of the record on whose behalf they are written.
    pub(crate) changelog_headers: bool,
    /// Hold changes back until a flush.
    pub(crate) caching: bool,
    /// The bound that the store itself was given.
    pub(crate) cache_bytes: Option<usize>,
}

impl LayerSettings {
    /// The settings of layers that neither cache nor log, for a store that does so itself in a form of its own; and whether
    /// it is to log.
    pub(crate) fn bare(&self) -> (Self, bool) {
        let layers = LayerSettings { logging: false, caching: false, cache_bytes: Some(0), ..self.clone() };
        (layers, self.logging)
    }
}

/// A change as the layers know it: the key is bytes, without its segment.
pub(crate) struct RawChange<T> {
    pub(crate) key: Box<[u8]>,
    pub(crate) old: Option<T>,
    pub(crate) new: Option<T>,
    pub(crate) timestamp: Timestamp,
    pub(crate) headers: Headers,
}

/// The layers of one store.
pub(crate) struct Layers<T> {
    settings: LayerSettings,
    format: Box<dyn ValueFormat<T>>,
    database: Arc<dyn TaskDatabase>,
    pub(crate) place: Place,
    /// The keys by time, where the store wants them.
    index: Option<TimeIndex>,
    cache: Cache<T>,
    pending: EpochWrites,
    sealed: EpochWrites,
    /// An epoch is sealed and not yet retired, be it empty.
    epoch_sealed: bool,
    changelog: RecordArena,
    /// A value's local form on its way to the layers below.
    value_bytes: Vec<u8>,
    timestamp: Timestamp,
    headers: Headers,
    /// Where the time of each operation is told; most often nowhere.
    sensors: Option<Box<StoreSensors>>,
}

impl<T: Clone> Layers<T> {
    pub(crate) fn new(
        settings: LayerSettings,
        format: Box<dyn ValueFormat<T>>,
        database: Arc<dyn TaskDatabase>,
        place: Place,
    ) -> Self {
        let cache = Cache::new(settings.cache_bytes.unwrap_or(DEFAULT_CACHE_BYTES));
        Layers {
            settings,
            format,
            database,
            place,
            index: None,
            cache,
            pending: EpochWrites::default(),
            sealed: EpochWrites::default(),
            epoch_sealed: false,
            changelog: RecordArena::default(),
            value_bytes: Vec::new(),
            timestamp: Timestamp::UNKNOWN,
            headers: Headers::new(),
            sensors: None,
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.settings.name
    }

    pub(crate) fn database(&self) -> &Arc<dyn TaskDatabase> {
        &self.database
    }

    /// The store's segments; none where it has one keyspace.
    pub(crate) fn segments(&mut self) -> Option<&mut Segments> {
        match &mut self.place {
            Place::Whole(_) => None,
            Place::Segments(segments) => Some(segments),
        }
    }

    /// The number of the segment for a time; 0 in a store without segments.
    pub(crate) fn segment_number(&self, time_ms: i64) -> i64 {
        match &self.place {
            Place::Whole(_) => 0,
            Place::Segments(segments) => segments.number(time_ms),
        }
    }

    /// Whether changes are held back until a flush.
    pub(crate) fn caching(&self) -> bool {
        self.settings.caching && self.cache.limit() > 0
    }

    /// Whether held-back changes take most of the cache's room.
    pub(crate) fn needs_flush(&self) -> bool {
        self.cache.needs_flush()
    }

    /// Bounds the cache, unless the store itself was given a bound; 0 is for all.
    pub(crate) fn set_cache_limit(&mut self, bytes: usize) {
        if bytes == 0 || self.settings.cache_bytes.is_none() {
            self.cache.set_limit(bytes);
        }
    }

    pub(crate) fn cache(&mut self) -> &mut Cache<T> {
        &mut self.cache
    }

    pub(crate) fn enter(&mut self, timestamp: Timestamp, headers: &Headers) {
        self.timestamp = timestamp;
        if self.headers != *headers {
            self.headers = headers.clone();
        }
    }

    /// The layers' word on a key below the cache, and the length of its bytes.
    fn load(&self, key: &[u8]) -> Result<(Option<T>, usize), StoreError> {
        let decode = |bytes: &[u8]| match self.format.read(bytes) {
            Ok(value) => Ok((Some(value), bytes.len())),
            Err(source) => Err(unreadable(&self.settings.name, source)),
        };
        let (segment, key) = self.place.split(key);
        let written = self.pending.get(segment, key).or_else(|| self.sealed.get(segment, key));
        if let Some(written) = written {
            return written.map_or(Ok((None, 0)), decode);
        }
        let keyspace = match &self.place {
            Place::Whole(keyspace) => *keyspace,
            Place::Segments(segments) => match segments.keyspace(segment) {
                Some(keyspace) => keyspace,
                None => return Ok((None, 0)),
            },
        };
        let mut value = Ok((None, 0));
        self.database.get(keyspace, key, &mut |bytes| value = decode(bytes))?;
        value
    }

    /// Notes that the key's segment holds something; says whether it is live.
    fn touch(&mut self, key: &[u8]) -> bool {
        let Place::Segments(segments) = &mut self.place else { return true };
        let number = segments::segment_of(key);
        let live = segments.is_live(number);
        if live {
            segments.touch(number);
        }
        live
    }

    /// Appends a changelog record and keeps the write until the commit; says whether there is a value, which there is
    /// not where it stands for null.
    fn write(&mut self, key: &[u8], value: Option<&T>) -> Result<bool, StoreError> {
        let (timestamp, headers) =
            (self.timestamp, self.settings.changelog_headers.then(|| self.headers.clone()));
        self.write_as(key, value, timestamp, headers.unwrap_or_default())
    }

    fn write_as(
        &mut self,
        key: &[u8],
        value: Option<&T>,
        timestamp: Timestamp,
        headers: Headers,
    ) -> Result<bool, StoreError> {
        let _update = tracing::trace_span!("update state", store = %self.settings.name).entered();
        self.value_bytes.clear();
        let present = match value.map(|value| self.format.write(value, &mut self.value_bytes)) {
            Some(Ok(present)) => present,
            None => false,
            Some(Err(source)) => {
                return Err(StoreError::Unwritable { store: self.settings.name.to_string(), source });
            }
        };
        let value = present.then_some(&*self.value_bytes);
        if self.settings.logging {
            let bare_key = &key[self.place.prefix_len()..];
            let (time, bare_value) = match value.map(|value| value.split_at(self.format.timestamp_len())) {
                Some((time, value)) => (time.try_into().ok().map(i64::from_be_bytes), Some(value)),
                None => (None, None),
            };
            let timestamp = time.map_or(timestamp, Timestamp::from_millis);
            self.changelog.push(Some(bare_key), bare_value, Some(timestamp), headers);
        }
        if let Some(oldest) = self.place.newly_oldest() {
            self.pending.drop_before(oldest);
        }
        if self.place.is_live(key) {
            let (segment, bare_key) = self.place.split(key);
            self.pending.put(segment, bare_key, value);
            if let Some(index) = &mut self.index {
                self.pending.put(!segment, index.key_for(bare_key), value.map(|_| &[][..]));
            }
        }
        Ok(present)
    }

    /// Writes the next held-back change below; none where there is none left.
    fn flush_next(&mut self) -> Result<Option<(u32, Base<T>)>, StoreError> {
        let Some(place) = self.cache.next_dirty() else { return Ok(None) };
        let entry = self.cache.entry_mut(place);
        let key = std::mem::take(&mut entry.key);
        let value = entry.value.take();
        let base = std::mem::replace(&mut entry.base, Base::Unread);
        let timestamp = entry.timestamp;
        let headers = if self.settings.changelog_headers { entry.headers() } else { Headers::new() };
        let written = self.write_changed(&key, value.as_ref(), base, timestamp, headers);
        let entry = self.cache.entry_mut(place);
        entry.key = key;
        entry.value = value.filter(|_| !matches!(written, Ok((_, false))));
        if written.is_err() {
            self.cache.not_flushed(place);
        }
        written.map(|(base, _)| Some((place, base)))
    }

    /// Writes a changed entry, unless it came and went since the last flush; answers what there was before, and whether
    /// there is a value now.
    fn write_changed(
        &mut self,
        key: &[u8],
        value: Option<&T>,
        base: Base<T>,
        timestamp: Timestamp,
        headers: Headers,
    ) -> Result<(Base<T>, bool), StoreError> {
        let needed = self.cache.keeps_old() || value.is_none();
        let base = match base {
            Base::Unread if needed => match self.load(key)?.0 {
                Some(old) => Base::Kept(old),
                None => Base::Absent,
            },
            base => base,
        };
        self.value_bytes.clear();
        let written = value.is_some() || !matches!(base, Base::Absent);
        let present = written && self.write_as(key, value, timestamp, headers)?;
        Ok((base, present))
    }

    /// Writes the next held-back change to changelog and uncommitted writes, and tells it, so that it can be
    /// forwarded. An entry that came and went since the last flush is passed over.
    pub(crate) fn next_change(&mut self) -> Result<Option<RawChange<T>>, StoreError> {
        while let Some((place, base)) = self.flush_next()? {
            let skip = self.place.prefix_len();
            let bytes = self.value_bytes.len();
            let entry = self.cache.entry_mut(place);
            let (key, new) = (Box::from(&entry.key[skip..]), entry.value.clone());
            let (timestamp, headers) = (entry.timestamp, entry.headers());
            self.cache.flushed(place, bytes);
            let old = match base {
                Base::Absent if new.is_none() => continue,
                Base::Kept(old) if self.cache.keeps_old() => Some(old),
                _ => None,
            };
            return Ok(Some(RawChange { key, old, new, timestamp, headers }));
        }
        Ok(None)
    }

    /// Writes all held-back changes below without telling anyone.
    pub(crate) fn flush(&mut self) -> Result<(), StoreError> {
        let begun = self.begun();
        while let Some((place, _)) = self.flush_next()? {
            self.cache.flushed(place, self.value_bytes.len());
        }
        self.ended(begun, StoreOperation::Flush);
        Ok(())
    }
}

impl<T> fmt::Debug for Layers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers")
            .field("settings", &self.settings)
            .field("place", &self.place)
            .field("pending", &self.pending.bytes())
            .finish_non_exhaustive()
    }
}

pub(crate) fn unreadable(store: &str, source: SerdeError) -> StoreError {
    StoreError::Unreadable { store: store.to_owned(), source }
}
