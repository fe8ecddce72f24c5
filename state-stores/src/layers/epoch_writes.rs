//! Uncommitted writes of one epoch.

use std::ops::Bound;

use super::write_layer::{WriteLayer, WriteRange};

/// The number of the segment in which a store without segments keeps its writes.
pub(super) const NO_SEGMENT: i64 = 0;

/// The writes of one epoch, those of each segment by themselves: a segment that has grown too old before the commit goes at
/// once, and its number is not in front of every key.
#[derive(Debug, Default)]
pub(super) struct EpochWrites {
    /// By number; an index of a segment `n` has the number `!n`.
    parts: Vec<(i64, WriteLayer)>,
    /// The part that was written last: mostly the next one as well.
    latest: usize,
    /// A scan has asked for the keys' order.
    sorted: bool,
}

impl EpochWrites {
    /// Notes a write; none deletes.
    pub(super) fn put(&mut self, segment: i64, key: &[u8], value: Option<&[u8]>) {
        if self.parts.get(self.latest).is_none_or(|(number, _)| *number != segment) {
            self.latest = match self.parts.binary_search_by_key(&segment, |(number, _)| *number) {
                Ok(place) => place,
                Err(place) => {
                    let mut part = WriteLayer::default();
                    if self.sorted {
                        part.sort();
                    }
                    self.parts.insert(place, (segment, part));
                    place
                }
            };
        }
        self.parts[self.latest].1.put(key, value);
    }

    /// What was written about a key: nothing, a deletion, or a value.
    pub(super) fn get(&self, segment: i64, key: &[u8]) -> Option<Option<&[u8]>> {
        self.part(segment)?.get(key)
    }

    /// All writes with their segments; within each, keys in the order of their first write.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &[u8], Option<&[u8]>)> {
        self.parts.iter().flat_map(|(number, part)| part.iter().map(|(key, value)| (*number, key, value)))
    }

    /// Sorts the keys, and keeps them sorted.
    pub(super) fn sort(&mut self) {
        if !self.sorted {
            self.sorted = true;
            self.parts.iter_mut().for_each(|(_, part)| part.sort());
        }
    }

    /// The writes of a segment between two bounds; [`EpochWrites::sort`] comes first.
    pub(super) fn range(&self, segment: i64, bounds: (Bound<&[u8]>, Bound<&[u8]>)) -> WriteRange<'_> {
        self.part(segment).map_or(WriteRange::EMPTY, |part| part.range(bounds))
    }

    /// How many bytes it holds, with what keeping them costs.
    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, part)| part.bytes()).sum()
    }

    /// Forgets the segments, with their indexes, that are older than this one: they would not be written to the database.
    pub(super) fn drop_before(&mut self, oldest: i64) {
        self.parts.retain(|(number, _)| (*number).max(!*number) >= oldest);
        self.latest = 0;
    }

    /// Forgets the writes; of segments that were written, a little room is kept.
    pub(super) fn clear(&mut self) {
        self.parts.retain(|(_, part)| !part.is_empty());
        self.parts.iter_mut().for_each(|(_, part)| part.clear());
        self.latest = 0;
    }

    fn part(&self, segment: i64) -> Option<&WriteLayer> {
        let place = self.parts.binary_search_by_key(&segment, |(number, _)| *number).ok()?;
        Some(&self.parts[place].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(writes: &mut EpochWrites, segment: i64) -> Vec<(&[u8], Option<&[u8]>)> {
        writes.sort();
        writes.range(segment, (Bound::Unbounded, Bound::Unbounded)).collect()
    }

    #[test]
    fn a_segment_that_is_too_old_goes_with_its_index_and_its_bytes() {
        let mut writes = EpochWrites::default();
        for segment in [7, 5, 6] {
            writes.put(segment, b"b", Some(b"1"));
            writes.put(!segment, b"i", Some(b""));
            writes.put(segment, b"a", None);
        }
        let before = writes.bytes();
        writes.drop_before(6);
        assert_eq!(writes.bytes(), before / 3 * 2);
        assert_eq!((writes.get(5, b"b"), writes.get(!5, b"i")), (None, None));
        assert_eq!(all(&mut writes, 5), []);
        assert_eq!(all(&mut writes, 6), [(&b"a"[..], None), (b"b", Some(&b"1"[..]))]);
        assert_eq!(all(&mut writes, !7), [(&b"i"[..], Some(&b""[..]))]);
        writes.put(8, b"z", Some(b"2"));
        writes.put(8, b"y", Some(b"2"));
        assert_eq!(all(&mut writes, 8), [(&b"y"[..], Some(&b"2"[..])), (b"z", Some(b"2"))]);
        writes.clear();
        assert_eq!((writes.bytes(), writes.iter().count()), (0, 0));
    }
}
