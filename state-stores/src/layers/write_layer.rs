//! The latest write of each key, small enough that much of it can wait for a commit.

use std::hash::Hasher;
use std::ops::Bound;

use hashbrown::HashTable;
use rustc_hash::FxHasher;

use super::key_order::{KeyOrder, OrderRange};

/// Keys and values lie in chunks of this size: growing copies nothing, and a chunk that was given back fits the next layer.
const CHUNK_BYTES: usize = 64 << 10;
/// Overwritten bytes are given up to this amount before the live ones are moved together.
const DEAD_BYTES_KEPT: usize = 64 << 10;
/// Room for so many writes is kept for the next epoch, with one chunk; what is beyond it is given back.
const ROOM_WRITES: usize = 2_048;
/// What a write costs beside its bytes: itself, its place in the table and in the order.
const WRITE_OVERHEAD_BYTES: usize = size_of::<Write>() + 16;
/// The length of a value that is none.
const DELETED: u32 = u32::MAX;

/// Hashes a key's bytes.
pub(crate) fn hash_key(key: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(key);
    hasher.finish()
}

/// The latest write of each key: a hash table over chunks of bytes, so that a write allocates nothing; sorted only once a
/// scan asks for it.
#[derive(Debug, Default)]
pub(crate) struct WriteLayer {
    table: HashTable<u32>,
    writes: Vec<Write>,
    chunks: Vec<Vec<u8>>,
    live_bytes: usize,
    dead_bytes: usize,
    /// Kept up to date from the first scan on.
    order: Option<KeyOrder>,
}

/// A write: its value lies behind its key.
#[derive(Debug, Clone, Copy)]
struct Write {
    hash: u64,
    chunk: u32,
    start: u32,
    key_len: u32,
    value_len: u32,
}

impl Write {
    fn key(self, chunks: &[Vec<u8>]) -> &[u8] {
        let start = self.start as usize;
        &chunks[self.chunk as usize][start..start + self.key_len as usize]
    }

    fn value(self, chunks: &[Vec<u8>]) -> Option<&[u8]> {
        let start = self.start as usize + self.key_len as usize;
        let end = start + self.value_bytes();
        (self.value_len != DELETED).then(|| &chunks[self.chunk as usize][start..end])
    }

    fn value_bytes(self) -> usize {
        if self.value_len == DELETED { 0 } else { self.value_len as usize }
    }

    fn bytes(self) -> usize {
        self.key_len as usize + self.value_bytes()
    }
}

impl WriteLayer {
    /// Notes a write; none deletes.
    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        let hash = hash_key(key);
        let (writes, chunks) = (&mut self.writes, &mut self.chunks);
        let found = self.table.find(hash, |&place| writes[place as usize].key(chunks) == key);
        if let Some(&place) = found {
            return self.overwrite(place, key, value);
        }
        let place = writes.len() as u32;
        let write = append(chunks, hash, key, value);
        self.live_bytes += write.bytes();
        writes.push(write);
        self.table.insert_unique(hash, place, |&place| writes[place as usize].hash);
        if let Some(order) = &mut self.order {
            order.insert(place, |place| writes[place as usize].key(chunks));
        }
    }

    fn overwrite(&mut self, place: u32, key: &[u8], value: Option<&[u8]>) {
        let write = &mut self.writes[place as usize];
        let before = write.bytes();
        match value {
            None => write.value_len = DELETED,
            Some(value) if write.value_len != DELETED && write.value_len as usize >= value.len() => {
                let start = write.start as usize + write.key_len as usize;
                self.chunks[write.chunk as usize][start..start + value.len()].copy_from_slice(value);
                write.value_len = value.len() as u32;
            }
            value => {
                self.dead_bytes += before;
                self.live_bytes -= before;
                *write = append(&mut self.chunks, write.hash, key, value);
                self.live_bytes += write.bytes();
                return self.compact_if_needed();
            }
        }
        let after = write.bytes();
        self.dead_bytes += before - after;
        self.live_bytes -= before - after;
        self.compact_if_needed();
    }

    fn compact_if_needed(&mut self) {
        if self.dead_bytes <= DEAD_BYTES_KEPT || self.dead_bytes <= self.live_bytes {
            return;
        }
        let old = std::mem::take(&mut self.chunks);
        for write in &mut self.writes {
            *write = append(&mut self.chunks, write.hash, write.key(&old), write.value(&old));
        }
        self.dead_bytes = 0;
    }

    /// What was written about a key: nothing, a deletion, or a value.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        if self.writes.is_empty() {
            return None;
        }
        let place = self.table.find(hash_key(key), |&place| self.key(place) == key)?;
        Some(self.value(*place))
    }

    /// All writes, keys in the order of their first write.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.writes.iter().map(|write| (write.key(&self.chunks), write.value(&self.chunks)))
    }

    /// Sorts the keys, and keeps them sorted.
    pub(super) fn sort(&mut self) {
        if self.order.is_none() {
            self.order = Some(KeyOrder::of(0..self.writes.len() as u32, |place| self.key(place)));
        }
    }

    /// The writes between two bounds; [`WriteLayer::sort`] comes first.
    pub(super) fn range(&self, bounds: (Bound<&[u8]>, Bound<&[u8]>)) -> WriteRange<'_> {
        let places = self.order.as_ref().map(|order| order.range(bounds, |place| self.key(place)));
        WriteRange(places.map(|places| (self, places)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// How many bytes it holds, with what keeping them costs.
    pub(super) fn bytes(&self) -> usize {
        self.live_bytes + self.dead_bytes + self.writes.len() * WRITE_OVERHEAD_BYTES
    }

    /// Forgets the writes and keeps a little room.
    pub(super) fn clear(&mut self) {
        if self.table.capacity() > 2 * ROOM_WRITES {
            self.table = HashTable::new();
        }
        self.table.clear();
        self.writes.clear();
        self.writes.shrink_to(ROOM_WRITES);
        self.chunks.truncate(1);
        if let Some(chunk) = self.chunks.first_mut() {
            chunk.clear();
            chunk.shrink_to(CHUNK_BYTES);
        }
        (self.live_bytes, self.dead_bytes) = (0, 0);
        if let Some(order) = &mut self.order {
            order.clear();
        }
    }

    fn key(&self, place: u32) -> &[u8] {
        self.writes[place as usize].key(&self.chunks)
    }

    fn value(&self, place: u32) -> Option<&[u8]> {
        self.writes[place as usize].value(&self.chunks)
    }
}

/// Copies a key and its value into the last chunk, or a new one where they do not fit.
fn append(chunks: &mut Vec<Vec<u8>>, hash: u64, key: &[u8], value: Option<&[u8]>) -> Write {
    let needed = key.len() + value.map_or(0, <[u8]>::len);
    if chunks.last().is_none_or(|last| last.len() + needed > CHUNK_BYTES.max(last.capacity())) {
        // The first one grows: many layers hold little.
        let room = if chunks.is_empty() { needed } else { needed.max(CHUNK_BYTES) };
        chunks.push(Vec::with_capacity(room));
    }
    let number = chunks.len() - 1;
    let chunk = &mut chunks[number];
    let start = chunk.len();
    chunk.extend_from_slice(key);
    chunk.extend_from_slice(value.unwrap_or_default());
    Write {
        hash,
        chunk: number as u32,
        start: start as u32,
        key_len: key.len() as u32,
        value_len: value.map_or(DELETED, |value| value.len() as u32),
    }
}

/// Writes between two bounds, from either end.
pub(crate) struct WriteRange<'a>(Option<(&'a WriteLayer, OrderRange<'a>)>);

impl<'a> WriteRange<'a> {
    /// No writes.
    pub(super) const EMPTY: WriteRange<'a> = WriteRange(None);
}

impl<'a> Iterator for WriteRange<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let (layer, places) = self.0.as_mut()?;
        places.next().map(|place| (layer.key(place), layer.value(place)))
    }
}

impl DoubleEndedIterator for WriteRange<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (layer, places) = self.0.as_mut()?;
        places.next_back().map(|place| (layer.key(place), layer.value(place)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_holds_the_latest_write_of_each_key(
            writes in prop::collection::vec((0u8..40, prop::option::of(0usize..9_000)), 0..300),
            sorted_from in 0usize..300,
        ) {
            let mut layer = WriteLayer::default();
            for _ in 0..2 {
                let mut model = BTreeMap::new();
                for (number, (key, len)) in writes.iter().enumerate() {
                    if number == sorted_from {
                        layer.sort();
                    }
                    let value = len.map(|len| vec![number as u8; len]);
                    layer.put(&[*key], value.as_deref());
                    model.insert([*key], value);
                }
                layer.sort();
                for (key, value) in &model {
                    prop_assert_eq!(layer.get(key), Some(value.as_deref()));
                }
                prop_assert_eq!(layer.get(b"none"), None);
                let all: Vec<_> = layer.range((Bound::Unbounded, Bound::Unbounded)).collect();
                let expected: Vec<_> = model.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
                prop_assert_eq!(all, expected);
                prop_assert_eq!(layer.iter().count(), model.len());
                // Nothing that it holds is left out of the count, and what was overwritten is less than half of it.
                let live: usize = model.values().flatten().map(Vec::len).sum::<usize>() + model.len();
                let held: usize = layer.chunks.iter().map(Vec::len).sum();
                prop_assert_eq!(held, layer.live_bytes + layer.dead_bytes);
                prop_assert_eq!(layer.live_bytes, live);
                prop_assert!(held <= 2 * live + DEAD_BYTES_KEPT + 9_001, "{} of {}", held, live);
                layer.clear();
                prop_assert!(layer.is_empty() && layer.bytes() == 0);
                prop_assert!(layer.chunks.iter().map(Vec::capacity).sum::<usize>() <= CHUNK_BYTES);
            }
        }
    }
}
