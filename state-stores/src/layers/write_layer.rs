//! Uncommitted writes of one epoch.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::hash::Hasher;
use std::ops::{Bound, Range};

use hashbrown::HashTable;
use rustc_hash::FxHasher;

/// Overwritten bytes are given up to this amount before the live ones are moved together.
const DEAD_BYTES_KEPT: usize = 64 << 10;
/// Room that a layer keeps for the next epoch.
const KEPT_BYTES: usize = 512 << 10;
const KEPT_WRITES: usize = 8 << 10;
/// What a write costs beside its bytes: its place in the table and in the list.
const WRITE_OVERHEAD_BYTES: usize = 64;

/// Hashes a key's bytes.
pub(crate) fn hash_key(key: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(key);
    hasher.finish()
}

/// The latest write of each key: a hash table over one buffer of bytes, so that a write allocates nothing; sorted
/// only once a scan asks for it.
#[derive(Debug, Default)]
pub(crate) struct WriteLayer {
    table: HashTable<u32>,
    writes: Vec<Write>,
    bytes: Vec<u8>,
    dead_bytes: usize,
    /// Keys in order, kept up to date from the first scan on.
    order: Option<BTreeMap<Box<[u8]>, u32>>,
}

#[derive(Debug)]
struct Write {
    hash: u64,
    key: Range<usize>,
    value: Option<Range<usize>>,
}

impl WriteLayer {
    /// Notes a write; none deletes.
    pub(crate) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        let hash = hash_key(key);
        let (writes, bytes) = (&mut self.writes, &mut self.bytes);
        let found =
            self.table.find(hash, |&place| &bytes[writes[place as usize].key.clone()] == key).copied();
        if let Some(place) = found {
            return self.overwrite(place, value);
        }
        let place = writes.len() as u32;
        let key_place = append(bytes, key);
        let value = value.map(|value| append(bytes, value));
        writes.push(Write { hash, key: key_place, value });
        self.table.insert_unique(hash, place, |&place| writes[place as usize].hash);
        if let Some(order) = &mut self.order {
            order.insert(key.into(), place);
        }
    }

    fn overwrite(&mut self, place: u32, value: Option<&[u8]>) {
        let write = &mut self.writes[place as usize];
        let old = write.value.take();
        write.value = match (old, value) {
            (Some(old), Some(value)) if old.len() >= value.len() => {
                self.dead_bytes += old.len() - value.len();
                let room = old.start..old.start + value.len();
                self.bytes[room.clone()].copy_from_slice(value);
                Some(room)
            }
            (old, value) => {
                self.dead_bytes += old.map_or(0, |old| old.len());
                value.map(|value| append(&mut self.bytes, value))
            }
        };
        if self.dead_bytes > DEAD_BYTES_KEPT && self.dead_bytes > self.bytes.len() / 2 {
            self.compact();
        }
    }

    fn compact(&mut self) {
        let mut live = Vec::with_capacity(self.bytes.len() - self.dead_bytes);
        for write in &mut self.writes {
            write.key = append(&mut live, &self.bytes[write.key.clone()]);
            if let Some(value) = &mut write.value {
                *value = append(&mut live, &self.bytes[value.clone()]);
            }
        }
        self.bytes = live;
        self.dead_bytes = 0;
    }

    /// What was written about a key: nothing, a deletion, or a value.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        if self.writes.is_empty() {
            return None;
        }
        let place = self.table.find(hash_key(key), |&place| self.key(place) == key)?;
        Some(self.value(*place))
    }

    /// All writes, keys in the order of their first write.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        (0..self.writes.len() as u32).map(|place| (self.key(place), self.value(place)))
    }

    /// Sorts the keys, and keeps them sorted.
    pub(crate) fn sort(&mut self) {
        if self.order.is_none() {
            let keys = (0..self.writes.len() as u32).map(|place| (Box::from(self.key(place)), place));
            self.order = Some(keys.collect());
        }
    }

    /// The writes between two bounds, which leave room for a key; [`WriteLayer::sort`] comes first.
    pub(crate) fn range(&self, bounds: (Bound<&[u8]>, Bound<&[u8]>)) -> WriteRange<'_> {
        WriteRange { layer: self, places: self.order.as_ref().map(|order| order.range::<[u8], _>(bounds)) }
    }

    /// How many bytes it holds, with what keeping them costs.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.writes.len() * WRITE_OVERHEAD_BYTES
    }

    /// Forgets the writes and keeps a little room.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.table.shrink_to(KEPT_WRITES, |_| 0);
        self.writes.clear();
        self.writes.shrink_to(KEPT_WRITES);
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.dead_bytes = 0;
        if let Some(order) = &mut self.order {
            order.clear();
        }
    }

    fn key(&self, place: u32) -> &[u8] {
        &self.bytes[self.writes[place as usize].key.clone()]
    }

    fn value(&self, place: u32) -> Option<&[u8]> {
        self.writes[place as usize].value.clone().map(|value| &self.bytes[value])
    }
}

fn append(bytes: &mut Vec<u8>, new: &[u8]) -> Range<usize> {
    let start = bytes.len();
    bytes.extend_from_slice(new);
    start..bytes.len()
}

/// Writes between two bounds, from either end.
pub(crate) struct WriteRange<'a> {
    layer: &'a WriteLayer,
    places: Option<btree_map::Range<'a, Box<[u8]>, u32>>,
}

impl<'a> Iterator for WriteRange<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.places.as_mut()?.next().map(|(key, &place)| (&**key, self.layer.value(place)))
    }
}

impl DoubleEndedIterator for WriteRange<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.places.as_mut()?.next_back().map(|(key, &place)| (&**key, self.layer.value(place)))
    }
}
