//! Which partition a record goes to.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Chooses the partition of a record for a topic of `partitions` partitions; `None` leaves it to the default.
pub trait StreamPartitioner<K, V>: Send + Sync {
    /// The partition, from 0.
    fn partition(&self, topic: &str, key: &K, value: &V, partitions: i32) -> Option<i32>;
}

impl<K, V, F: Fn(&str, &K, &V, i32) -> Option<i32> + Send + Sync> StreamPartitioner<K, V> for F {
    fn partition(&self, topic: &str, key: &K, value: &V, partitions: i32) -> Option<i32> {
        self(topic, key, value, partitions)
    }
}

/// How a sink chooses partitions.
pub enum Partitioner<K, V> {
    /// murmur2 of the key's bytes, as Kafka's default; windowed keys leave out so many bytes at their end, as
    /// Kafka's `WindowedStreamPartitioner` does.
    ByKey {
        /// How many bytes at the end do not count.
        suffix: usize,
    },
    /// The user's own.
    Custom(Arc<dyn StreamPartitioner<K, V>>),
}

impl<K, V> Default for Partitioner<K, V> {
    fn default() -> Self {
        Partitioner::ByKey { suffix: 0 }
    }
}

impl<K, V> Clone for Partitioner<K, V> {
    fn clone(&self) -> Self {
        match self {
            Partitioner::ByKey { suffix } => Partitioner::ByKey { suffix: *suffix },
            Partitioner::Custom(custom) => Partitioner::Custom(Arc::clone(custom)),
        }
    }
}

impl<K, V> std::fmt::Debug for Partitioner<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Partitioner::ByKey { suffix } => f.debug_struct("ByKey").field("suffix", suffix).finish(),
            Partitioner::Custom(_) => f.write_str("Custom"),
        }
    }
}

/// How many partitions each known topic has; shared by all tasks, filled by whoever asks the broker.
#[derive(Debug, Clone, Default)]
pub struct PartitionCounts(Arc<RwLock<HashMap<Arc<str>, i32>>>);

impl PartitionCounts {
    /// The number of partitions of a topic, where it is known.
    pub fn get(&self, topic: &str) -> Option<i32> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(topic).copied()
    }

    /// The largest number of partitions of the topics that `matches` admits.
    pub fn largest(&self, matches: impl Fn(&str) -> bool) -> Option<i32> {
        let counts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        counts.iter().filter(|(topic, _)| matches(topic)).map(|(_, count)| *count).max()
    }

    /// Notes the number of partitions of a topic.
    pub fn set(&self, topic: impl Into<Arc<str>>, partitions: i32) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(topic.into(), partitions);
    }
}

/// The partition of a key, as Kafka's default partitioner: positive murmur2 modulo the number of partitions.
pub fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    ((murmur2(key) & 0x7fff_ffff) as i32) % partitions.max(1)
}

/// MurmurHash2 with Kafka's seed (`org.apache.kafka.common.utils.Utils.murmur2`).
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        for (place, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_equals_kafkas() {
        // The vectors of org.apache.kafka.common.utils.UtilsTest.
        for (key, hash) in [
            ("21", -973_932_308i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }
}
