//! Typed values in front of the bytes.

use std::ops::Bound;

use hashbrown::HashTable;
use streams_core::{Headers, Timestamp};

use super::key_order::{KeyOrder, OrderRange};
use super::write_layer::hash_key;

/// How many entries one insertion looks at for room, so that none takes long.
const EVICTION_STEPS: usize = 16;

/// What the store below held when an entry was changed first after a flush.
#[derive(Debug)]
pub(crate) enum Base<T> {
    /// Nobody has looked.
    Unread,
    /// There was nothing.
    Absent,
    /// There was a value; old values are not kept.
    Present,
    /// There was this value.
    Kept(T),
}

/// A key's latest value, changed or not.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) key: Box<[u8]>,
    pub(crate) value: Option<T>,
    pub(crate) base: Base<T>,
    /// Time and headers of the record that changed it last.
    pub(crate) timestamp: Timestamp,
    /// None where there are none, which is the rule: a word instead of three.
    headers: Option<Box<Headers>>,
    /// When it was changed last: flushes go in this order.
    sequence: u64,
    bytes: u32,
    dirty: bool,
    /// Used since the eviction's hand passed last.
    used: bool,
    live: bool,
}

impl<T> Entry<T> {
    /// The headers of the record that changed it last.
    pub(crate) fn headers(&self) -> Headers {
        self.headers.as_deref().cloned().unwrap_or_default()
    }
}

/// Entries by key. Unchanged ones leave when room is needed, those unused since the last round first (the CLOCK
/// algorithm); changed ones stay until they are flushed.
#[derive(Debug)]
pub(crate) struct Cache<T> {
    table: HashTable<u32>,
    entries: Vec<Entry<T>>,
    vacant: Vec<u32>,
    /// Changed entries, in the order of their first change.
    dirty: Vec<u32>,
    /// Changed entries that are being flushed, the next one last.
    flushing: Vec<u32>,
    /// Changed keys in order, kept up to date from the first scan on.
    order: Option<KeyOrder>,
    keep_old: bool,
    sequence: u64,
    hand: usize,
    bytes: usize,
    dirty_bytes: usize,
    limit: usize,
}

impl<T: Clone> Cache<T> {
    /// A cache of about so many bytes; with 0 it holds nothing.
    pub(crate) fn new(limit: usize) -> Self {
        Cache {
            table: HashTable::new(),
            entries: Vec::new(),
            vacant: Vec::new(),
            dirty: Vec::new(),
            flushing: Vec::new(),
            order: None,
            keep_old: false,
            sequence: 0,
            hand: 0,
            bytes: 0,
            dirty_bytes: 0,
            limit,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    pub(crate) fn keep_old(&mut self, keep: bool) {
        self.keep_old = keep;
    }

    pub(crate) fn keeps_old(&self) -> bool {
        self.keep_old
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }

    /// Whether changed entries take most of the room.
    pub(crate) fn needs_flush(&self) -> bool {
        self.dirty_bytes > self.limit / 4 * 3
    }

    pub(crate) fn find(&self, key: &[u8]) -> Option<u32> {
        self.table.find(hash_key(key), |&place| *self.entries[place as usize].key == *key).copied()
    }

    /// The value at a place, for reading.
    pub(crate) fn value(&mut self, place: u32) -> Option<&T> {
        let entry = &mut self.entries[place as usize];
        entry.used = true;
        entry.value.as_ref()
    }

    pub(crate) fn entry_mut(&mut self, place: u32) -> &mut Entry<T> {
        self.entries[place as usize].used = true;
        &mut self.entries[place as usize]
    }

    /// Adds an unchanged entry that is not there yet; `value_bytes` is the length of its bytes, as far as known.
    pub(crate) fn insert(&mut self, key: &[u8], value: Option<T>, value_bytes: usize) -> u32 {
        let bytes = entry_bytes::<T>(key, value_bytes);
        self.bytes += bytes as usize;
        self.evict();
        let entry = Entry {
            key: key.into(),
            value,
            base: Base::Unread,
            timestamp: Timestamp::UNKNOWN,
            headers: None,
            sequence: 0,
            bytes,
            dirty: false,
            used: true,
            live: true,
        };
        let place = match self.vacant.pop() {
            Some(place) => {
                self.entries[place as usize] = entry;
                place
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        let entries = &self.entries;
        self.table.insert_unique(hash_key(key), place, |&place| hash_key(&entries[place as usize].key));
        place
    }

    /// Opens an entry's value for a change on behalf of a record. `base_known` says that the value now in the entry
    /// is what the store below holds, unless the entry is changed already.
    pub(crate) fn change(
        &mut self,
        place: u32,
        timestamp: Timestamp,
        headers: &Headers,
        base_known: bool,
    ) -> &mut Option<T> {
        let entry = &mut self.entries[place as usize];
        if !entry.dirty {
            entry.dirty = true;
            entry.base = match &entry.value {
                _ if !base_known => Base::Unread,
                None => Base::Absent,
                Some(value) if self.keep_old => Base::Kept(value.clone()),
                Some(_) => Base::Present,
            };
            self.dirty.push(place);
            self.dirty_bytes += entry.bytes as usize;
            if let Some(order) = &mut self.order {
                order.insert(place, |place| &self.entries[place as usize].key);
            }
        }
        let entry = &mut self.entries[place as usize];
        entry.used = true;
        entry.sequence = self.sequence;
        self.sequence += 1;
        entry.timestamp = timestamp;
        if !headers.is_empty() {
            entry.headers = Some(Box::new(headers.clone()));
        } else if entry.headers.is_some() {
            entry.headers = None;
        }
        &mut entry.value
    }

    /// The next changed entry to flush, in the order of the latest changes; hand it to [`Cache::flushed`].
    pub(crate) fn next_dirty(&mut self) -> Option<u32> {
        if self.flushing.is_empty() {
            std::mem::swap(&mut self.flushing, &mut self.dirty);
            let entries = &self.entries;
            self.flushing.sort_unstable_by_key(|&place| std::cmp::Reverse(entries[place as usize].sequence));
        }
        self.flushing.pop()
    }

    /// Puts an entry back that could not be written.
    pub(crate) fn not_flushed(&mut self, place: u32) {
        self.flushing.push(place);
    }

    /// Notes that an entry is written below; `value_bytes` is the length of its bytes.
    pub(crate) fn flushed(&mut self, place: u32, value_bytes: usize) {
        if let Some(order) = &mut self.order {
            order.remove(&self.entries[place as usize].key, |place| &self.entries[place as usize].key);
        }
        let entry = &mut self.entries[place as usize];
        self.dirty_bytes -= entry.bytes as usize;
        entry.dirty = false;
        entry.base = Base::Unread;
        entry.headers = None;
        let bytes = entry_bytes::<T>(&entry.key, value_bytes);
        self.bytes = self.bytes - entry.bytes as usize + bytes as usize;
        entry.bytes = bytes;
    }

    /// Forgets an unchanged entry.
    pub(crate) fn remove(&mut self, place: u32) {
        let entry = &mut self.entries[place as usize];
        if entry.dirty || !entry.live {
            return;
        }
        entry.live = false;
        entry.value = None;
        self.bytes -= entry.bytes as usize;
        let key = std::mem::take(&mut entry.key);
        if let Ok(found) = self.table.find_entry(hash_key(&key), |&other| other == place) {
            found.remove();
        }
        self.vacant.push(place);
    }

    /// Makes room by a bounded number of steps.
    fn evict(&mut self) {
        for _ in 0..EVICTION_STEPS {
            if self.bytes <= self.limit || self.entries.is_empty() {
                return;
            }
            self.hand = (self.hand + 1) % self.entries.len();
            let entry = &mut self.entries[self.hand];
            if std::mem::take(&mut entry.used) || entry.dirty || !entry.live {
                continue;
            }
            self.remove(self.hand as u32);
        }
    }

    /// Sorts the changed keys, and keeps them sorted.
    pub(crate) fn sort(&mut self) {
        if self.order.is_none() {
            let changed = self.dirty.iter().chain(&self.flushing).copied();
            self.order = Some(KeyOrder::of(changed, |place| &self.entries[place as usize].key));
        }
    }

    /// Whether a scan has asked for the order of keys.
    pub(crate) fn is_sorted(&self) -> bool {
        self.order.is_some()
    }

    /// The changed entries between two bounds, which leave room for a key; [`Cache::sort`] comes first.
    pub(crate) fn range(&self, bounds: (Bound<&[u8]>, Bound<&[u8]>)) -> DirtyRange<'_, T> {
        let key_of = |place: u32| &*self.entries[place as usize].key;
        DirtyRange { cache: self, places: self.order.as_ref().map(|order| order.range(bounds, key_of)) }
    }
}

/// What the allocator takes for a key and for what a value holds outside the entry, beside their bytes.
const ALLOCATION_BYTES: usize = 32;

/// What an entry costs: itself, its places in the table and in a list, its key, and its value's bytes, as a measure of
/// what the value holds outside the entry.
fn entry_bytes<T>(key: &[u8], value_bytes: usize) -> u32 {
    let bytes = size_of::<Entry<T>>() + 2 * size_of::<u32>() + ALLOCATION_BYTES + key.len() + value_bytes;
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Changed entries between two bounds, from either end.
pub(crate) struct DirtyRange<'a, T> {
    cache: &'a Cache<T>,
    places: Option<OrderRange<'a>>,
}

impl<'a, T> DirtyRange<'a, T> {
    fn entry(&self, place: u32) -> (&'a [u8], Option<&'a T>) {
        let entry = &self.cache.entries[place as usize];
        (&entry.key, entry.value.as_ref())
    }
}

impl<'a, T> Iterator for DirtyRange<'a, T> {
    type Item = (&'a [u8], Option<&'a T>);

    fn next(&mut self) -> Option<Self::Item> {
        let place = self.places.as_mut()?.next()?;
        Some(self.entry(place))
    }
}

impl<T> DoubleEndedIterator for DirtyRange<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let place = self.places.as_mut()?.next_back()?;
        Some(self.entry(place))
    }
}
