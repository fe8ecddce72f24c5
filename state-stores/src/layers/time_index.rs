//! The keys of a segmented store by time, beside the entries: for results that leave when their windows are closed, which
//! would else take a scan of everything that is kept (what Kafka's `RocksDBTimeOrderedWindowStore` is for).
//!
//! Keys end with their times, so a key of the index is one with its end moved to the front. It has no value. Within the
//! layers above the database the index of segment `n` is segment `!n`, so that it goes the same way as the entries.

use std::ops::Bound;
use std::vec;

use streams_core::state::{Direction, StoreError};

use super::cache::Cache;
use super::format::Nothing;
use super::merge::Layer;
use super::{Entry, Layers, Merge, Place, SEGMENT_LEN};

/// What a store with an index needs.
#[derive(Debug)]
pub(super) struct TimeIndex {
    /// How many bytes at a key's end are its times, the one that it is found by first.
    suffix_len: usize,
    /// No key of the index is in a cache.
    nothing: Cache<()>,
    /// A key on its way to the index.
    key: Vec<u8>,
}

impl TimeIndex {
    /// The index's key for a key of a segment.
    pub(super) fn key_for(&mut self, key: &[u8]) -> &[u8] {
        self.key.clear();
        move_end_to_front(key, self.suffix_len, &mut self.key);
        &self.key
    }
}

/// Appends a key whose last `end_len` bytes come first.
pub(super) fn move_end_to_front(key: &[u8], end_len: usize, out: &mut Vec<u8>) {
    let (front, end) = key.split_at(key.len().saturating_sub(end_len));
    out.extend_from_slice(end);
    out.extend_from_slice(front);
}

/// Appends the key of the store for a key of its index.
fn move_front_to_end(key: &[u8], front_len: usize, out: &mut Vec<u8>) {
    let (front, end) = key.split_at(front_len.min(key.len()));
    out.extend_from_slice(end);
    out.extend_from_slice(front);
}

impl<T: Clone> Layers<T> {
    /// Keeps an index of keys that end with `suffix_len` bytes of times, made now where the database has none; without
    /// one, what an earlier setting has left of it is dropped.
    pub(crate) fn keep_index(&mut self, suffix_len: Option<usize>) -> Result<(), StoreError> {
        let Place::Segments(segments) = &mut self.place else { return Ok(()) };
        match suffix_len {
            None => segments.drop_index(&*self.database)?,
            Some(suffix_len) => {
                segments.make_index(suffix_len, &*self.database)?;
                self.index = Some(TimeIndex { suffix_len, nothing: Cache::new(0), key: Vec::new() });
            }
        }
        Ok(())
    }

    /// Whether the index tells all that there is; what a cache holds back is not in it yet.
    pub(crate) fn index_is_whole(&self) -> bool {
        self.index.is_some() && !self.caching()
    }

    /// The entries with a time between two, both included, by time, in segments whose numbers ascend.
    /// [`Layers::sort`] comes first.
    pub(crate) fn scan_index(&self, numbers: Vec<i64>, from_ms: i64, to_ms: i64) -> IndexScan<'_, T> {
        let lower = from_ms.to_be_bytes().to_vec();
        let upper = to_ms.saturating_add(1).to_be_bytes().to_vec();
        IndexScan { layers: self, numbers: numbers.into_iter(), lower, upper, current: None }
    }

    /// The keys of one segment's index between two.
    fn index_keys<'a>(
        &'a self,
        index: &'a TimeIndex,
        number: i64,
        lower: &[u8],
        upper: &[u8],
    ) -> Result<Merge<'a, ()>, StoreError> {
        let keyspace = match &self.place {
            Place::Segments(segments) => segments.keyspace(!number),
            Place::Whole(_) => None,
        };
        let direction = Direction::Forward;
        let bounds = (Bound::Included(lower), Bound::Excluded(upper));
        let database = match keyspace {
            Some(keyspace) => self.database.scan(keyspace, bounds, direction)?,
            None => Box::new(std::iter::empty()),
        };
        let merge = Merge {
            store: &self.settings.name,
            format: &Nothing,
            direction,
            prefix_len: SEGMENT_LEN,
            cache: Layer::new(index.nothing.range(bounds), direction),
            pending: Layer::new(self.pending.range(!number, bounds), direction),
            sealed: Layer::new(self.sealed.range(!number, bounds), direction),
            database,
            database_head: None,
        };
        merge.begin()
    }
}

/// Entries by time: keys come from the index, values from the store.
pub(crate) struct IndexScan<'a, T> {
    layers: &'a Layers<T>,
    numbers: vec::IntoIter<i64>,
    lower: Vec<u8>,
    upper: Vec<u8>,
    current: Option<(i64, Merge<'a, ()>)>,
}

impl<T: Clone> IndexScan<'_, T> {
    fn next_entry(&mut self) -> Result<Option<Entry<T>>, StoreError> {
        let Some(index) = &self.layers.index else { return Ok(None) };
        loop {
            if let Some((number, keys)) = &mut self.current {
                for found in keys.by_ref() {
                    let (found, ()) = found?;
                    let mut key = number.to_be_bytes().to_vec();
                    move_front_to_end(&found, index.suffix_len, &mut key);
                    if let (Some(value), _) = self.layers.load(&key)? {
                        return Ok(Some((key[SEGMENT_LEN..].into(), value)));
                    }
                }
            }
            let Some(number) = self.numbers.next() else { return Ok(None) };
            self.current = Some((number, self.layers.index_keys(index, number, &self.lower, &self.upper)?));
        }
    }
}

impl<T: Clone> Iterator for IndexScan<'_, T> {
    type Item = Result<Entry<T>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_entry().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_the_index() {
        let (mut indexed, mut back) = (Vec::new(), Vec::new());
        move_end_to_front(b"key12345678", 8, &mut indexed);
        assert_eq!(indexed, b"12345678key");
        move_front_to_end(&indexed, 8, &mut back);
        assert_eq!(back, b"key12345678");
    }
}
