//! Keys changed since the last flush, in the order in which Kafka logs them.

use std::sync::Arc;

use rustc_hash::FxHashSet;

/// How many buckets Java's hash sets begin with.
const FIRST_BUCKETS: usize = 16;

/// A set that is walked as a `java.util.HashSet` of `Bytes` is: by bucket, within one by age. The buckets become more
/// when three quarters are taken, and stay when the set is emptied.
#[derive(Debug)]
pub(super) struct ChangedKeys {
    known: FxHashSet<Arc<[u8]>>,
    by_age: Vec<Arc<[u8]>>,
    buckets: usize,
    bytes: usize,
}

impl ChangedKeys {
    pub(super) fn new() -> Self {
        ChangedKeys { known: FxHashSet::default(), by_age: Vec::new(), buckets: FIRST_BUCKETS, bytes: 0 }
    }

    /// Notes a key and about how many bytes its change will take.
    pub(super) fn insert(&mut self, key: &Arc<[u8]>, bytes: usize) {
        if !self.known.insert(Arc::clone(key)) {
            return;
        }
        self.by_age.push(Arc::clone(key));
        self.bytes += bytes;
        while self.by_age.len() * 4 > self.buckets * 3 {
            self.buckets *= 2;
        }
    }

    /// Empties the set.
    pub(super) fn take(&mut self) -> Vec<Arc<[u8]>> {
        self.known.clear();
        self.bytes = 0;
        let mask = self.buckets - 1;
        let mut keys = std::mem::take(&mut self.by_age);
        keys.sort_by_key(|key| {
            let hash = key
                .iter()
                .fold(1i32, |hash, &byte| hash.wrapping_mul(31).wrapping_add(i32::from(byte as i8)))
                as u32;
            (hash ^ (hash >> 16)) as usize & mask
        });
        keys
    }

    /// About how many bytes the changes will take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_bucket_and_age() {
        let mut keys = ChangedKeys::new();
        // Hashes 129, 128, 1: the first and the last share bucket 1.
        for key in ["b", "a", "", "a"] {
            keys.insert(&Arc::from(key.as_bytes()), 10);
        }
        assert_eq!(keys.bytes(), 30);
        let order: Vec<_> = keys.take().iter().map(|key| key.to_vec()).collect();
        assert_eq!(order, [&b"a"[..], b"b", b""]);
        assert!(keys.take().is_empty() && keys.bytes() == 0);
        // With more than 12 keys there are 32 buckets, and "a" leaves that of 0.
        (0..13u8).for_each(|key| keys.insert(&Arc::from([key]), 1));
        assert_eq!(keys.buckets, 32);
    }
}
