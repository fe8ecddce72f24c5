//! The latest offset of each key, by a hash of the key.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// How many keys one compaction can tell apart: bounds its memory to some 130 MB. If a log has more, it is
/// compacted in several rounds.
const MAX_KEYS: usize = 4_000_000;

/// Keys are known by 128 bits of two keyed hashes: that two of four million keys share them is less likely than
/// that the disk lies.
#[derive(Debug)]
pub(crate) struct LatestOffsets {
    hashers: [RandomState; 2],
    offsets: HashMap<u128, i64, BuildHasherDefault<LowBits>>,
}

impl LatestOffsets {
    pub(crate) fn new() -> Self {
        LatestOffsets { hashers: [RandomState::new(), RandomState::new()], offsets: HashMap::default() }
    }

    /// Takes note that the key has a record at `offset`.
    pub(crate) fn note(&mut self, key: &[u8], offset: i64) {
        let hash = self.hash(key);
        self.offsets.insert(hash, offset);
    }

    /// Whether a record of the key is replaced by a later one.
    pub(crate) fn is_replaced(&self, key: &[u8], offset: i64) -> bool {
        self.offsets.get(&self.hash(key)).is_some_and(|latest| *latest > offset)
    }

    /// Whether no more keys should be noted.
    pub(crate) fn is_full(&self) -> bool {
        self.offsets.len() >= MAX_KEYS
    }

    fn hash(&self, key: &[u8]) -> u128 {
        let [high, low] = self.hashers.each_ref().map(|hasher| u128::from(hasher.hash_one(key)));
        (high << 64) | low
    }
}

/// The keys are hashes already.
#[derive(Debug, Default)]
pub(crate) struct LowBits(u64);

impl Hasher for LowBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_ne_bytes(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_counts() {
        let mut latest = LatestOffsets::new();
        latest.note(b"a", 1);
        latest.note(b"b", 2);
        latest.note(b"a", 3);
        assert!(latest.is_replaced(b"a", 1) && !latest.is_replaced(b"a", 3) && !latest.is_replaced(b"a", 4));
        assert!(!latest.is_replaced(b"b", 2) && !latest.is_replaced(b"c", 0));
    }
}
