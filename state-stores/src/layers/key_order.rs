//! The order of keys that lie elsewhere: four bytes each, where a map of keys would hold every key a second time.

use std::ops::Bound;

/// Places of one block; a full block is cut in two.
const BLOCK_PLACES: usize = 256;

/// Numbers of entries in the order of the entries' keys, in blocks: a new one moves a part of one block only. Whoever holds
/// the entries tells their keys, which must not change while they are in here.
#[derive(Debug, Default)]
pub(crate) struct KeyOrder {
    /// None is empty.
    blocks: Vec<Vec<u32>>,
}

/// A block, and a place within it; behind the last one it is a block that is not there.
type Position = (usize, usize);

impl KeyOrder {
    /// The order of these entries, whose keys differ.
    pub(super) fn of<'k>(places: impl Iterator<Item = u32>, key_of: impl Fn(u32) -> &'k [u8]) -> Self {
        let mut places: Vec<u32> = places.collect();
        places.sort_unstable_by(|&a, &b| key_of(a).cmp(key_of(b)));
        // Not full, so that what comes next does not cut each of them.
        KeyOrder { blocks: places.chunks(BLOCK_PLACES / 4 * 3).map(<[u32]>::to_vec).collect() }
    }

    /// Adds an entry, whose key is not yet in here.
    pub(super) fn insert<'k>(&mut self, place: u32, key_of: impl Fn(u32) -> &'k [u8]) {
        let (mut block, mut at) = self.seek(key_of(place), false, &key_of);
        if block == self.blocks.len() {
            // Behind all others: at the end of the last block.
            match self.blocks.last() {
                None => self.blocks.push(Vec::new()),
                Some(last) => (block, at) = (block - 1, last.len()),
            }
        }
        if self.blocks[block].len() == BLOCK_PLACES {
            let half = self.blocks[block].split_off(BLOCK_PLACES / 2);
            self.blocks.insert(block + 1, half);
            if at > BLOCK_PLACES / 2 {
                (block, at) = (block + 1, at - BLOCK_PLACES / 2);
            }
        }
        self.blocks[block].insert(at, place);
    }

    /// Takes the entry of this key out.
    pub(super) fn remove<'k>(&mut self, key: &[u8], key_of: impl Fn(u32) -> &'k [u8]) {
        let (block, at) = self.seek(key, false, &key_of);
        let Some(places) = self.blocks.get_mut(block).filter(|places| key_of(places[at]) == key) else {
            return;
        };
        places.remove(at);
        if places.is_empty() {
            self.blocks.remove(block);
        }
    }

    pub(super) fn clear(&mut self) {
        self.blocks.clear();
    }

    /// The entries between two keys.
    pub(super) fn range<'k>(
        &self,
        (lower, upper): (Bound<&[u8]>, Bound<&[u8]>),
        key_of: impl Fn(u32) -> &'k [u8],
    ) -> OrderRange<'_> {
        let front = match lower {
            Bound::Unbounded => (0, 0),
            Bound::Included(key) => self.seek(key, false, &key_of),
            Bound::Excluded(key) => self.seek(key, true, &key_of),
        };
        let back = match upper {
            Bound::Unbounded => (self.blocks.len(), 0),
            Bound::Included(key) => self.seek(key, true, &key_of),
            Bound::Excluded(key) => self.seek(key, false, &key_of),
        };
        OrderRange { order: self, front, back }
    }

    /// The first position whose key is not less than `key`, or, `beyond` it, greater.
    fn seek<'k>(&self, key: &[u8], beyond: bool, key_of: &impl Fn(u32) -> &'k [u8]) -> Position {
        let before = |&place: &u32| match key_of(place).cmp(key) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => beyond,
            std::cmp::Ordering::Greater => false,
        };
        let block = self.blocks.partition_point(|places| places.last().is_some_and(before));
        (block, self.blocks.get(block).map_or(0, |places| places.partition_point(before)))
    }
}

/// Entries between two keys, from either end.
#[derive(Debug)]
pub(crate) struct OrderRange<'a> {
    order: &'a KeyOrder,
    front: Position,
    back: Position,
}

impl Iterator for OrderRange<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.front >= self.back {
            return None;
        }
        let (block, at) = self.front;
        let places = self.order.blocks.get(block)?;
        self.front = if at + 1 < places.len() { (block, at + 1) } else { (block + 1, 0) };
        places.get(at).copied()
    }
}

impl DoubleEndedIterator for OrderRange<'_> {
    fn next_back(&mut self) -> Option<u32> {
        if self.front >= self.back {
            return None;
        }
        let (block, at) = match self.back {
            (block, 0) => (block - 1, self.order.blocks[block - 1].len() - 1),
            (block, at) => (block, at - 1),
        };
        self.back = (block, at);
        self.order.blocks.get(block)?.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn bound(key: &[u8], kind: u8) -> Bound<&[u8]> {
        match kind {
            0 => Bound::Unbounded,
            1 => Bound::Included(key),
            _ => Bound::Excluded(key),
        }
    }

    /// Whether a map would refuse these bounds.
    fn inverted(lower: Bound<&[u8]>, upper: Bound<&[u8]>) -> bool {
        match (lower, upper) {
            (Bound::Excluded(lower), Bound::Excluded(upper)) => lower >= upper,
            (
                Bound::Included(lower) | Bound::Excluded(lower),
                Bound::Included(upper) | Bound::Excluded(upper),
            ) => lower > upper,
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_the_order_of_a_map(
            first in 0usize..600,
            keys in prop::collection::vec((any::<u16>(), any::<bool>()), 0..1_500),
            ranges in prop::collection::vec((any::<u16>(), any::<u16>(), 0u8..3, 0u8..3), 1..20),
        ) {
            let bytes: Vec<[u8; 2]> = keys.iter().map(|(key, _)| (key % 1_024).to_be_bytes()).collect();
            let key_of = |place: u32| &bytes[place as usize][..];
            let mut map = BTreeMap::new();
            let mut early = Vec::new();
            for (place, key) in bytes.iter().enumerate().take(first) {
                map.entry(*key).or_insert_with(|| { early.push(place as u32); place as u32 });
            }
            let mut order = KeyOrder::of(early.into_iter(), key_of);
            for (place, key) in bytes.iter().enumerate().skip(first) {
                if keys[place].1 && map.remove(key).is_some() {
                    order.remove(key, key_of);
                } else if !map.contains_key(key) {
                    map.insert(*key, place as u32);
                    order.insert(place as u32, key_of);
                }
            }
            for (from, to, from_kind, to_kind) in ranges {
                let (from, to) = ((from % 1_030).to_be_bytes(), (to % 1_030).to_be_bytes());
                let bounds = (bound(&from, from_kind), bound(&to, to_kind));
                let expected: Vec<u32> = match inverted(bounds.0, bounds.1) {
                    true => Vec::new(),
                    false => map
                        .iter()
                        .filter(|(key, _)| std::ops::RangeBounds::<[u8]>::contains(&bounds, &key[..]))
                        .map(|(_, place)| *place)
                        .collect(),
                };
                prop_assert_eq!(&order.range(bounds, key_of).collect::<Vec<_>>(), &expected);
                let mut backward: Vec<u32> = order.range(bounds, key_of).rev().collect();
                backward.reverse();
                prop_assert_eq!(&backward, &expected);
                // From both ends at once they meet.
                let mut both = order.range(bounds, key_of);
                let (mut front, mut back) = (Vec::new(), Vec::new());
                while let Some(place) = both.next() {
                    front.push(place);
                    back.extend(both.next_back());
                }
                back.reverse();
                front.extend(back);
                prop_assert_eq!(&front, &expected);
            }
        }
    }
}
