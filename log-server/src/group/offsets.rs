//! The committed offsets of one group.
//!
//! An offset committed within a transaction stays open until the transaction's marker arrives; until then a
//! reader that asks for stable offsets is told to wait, so that it cannot begin behind work that is about to be
//! committed (KIP-447).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// How far a group has read one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    /// The next offset to read.
    pub(crate) offset: i64,
    /// The leader epoch of the last record read, -1 if not known.
    pub(crate) leader_epoch: i32,
    /// The client's own text, returned as it came.
    pub(crate) metadata: String,
    /// Wall clock of the commit, in milliseconds.
    pub(crate) commit_ms: i64,
}

/// A partition's committed offset on its way to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionOffset {
    /// The topic.
    pub(crate) topic: String,
    /// The partition.
    pub(crate) partition: i32,
    /// The offset.
    pub(crate) committed: CommittedOffset,
}

/// By topic, then partition.
type Partitions<T> = BTreeMap<String, BTreeMap<i32, T>>;

/// An offset and its place in the order in which the group's commits reached the log.
#[derive(Debug, Clone)]
struct OrderedOffset {
    committed: CommittedOffset,
    order: u64,
}

/// The offsets of one group.
#[derive(Debug, Default)]
pub(crate) struct GroupOffsets {
    /// What a fetch returns.
    committed: Partitions<OrderedOffset>,
    /// What each producer's open transaction would commit.
    open: BTreeMap<i64, Partitions<OrderedOffset>>,
    /// How many offsets of open transactions are on their way to the log, per partition.
    claims: BTreeMap<(String, i32), usize>,
    /// Counts the commits, so that the end of a transaction does not undo a commit made after its own.
    order: u64,
}

impl GroupOffsets {
    /// The committed offset of a partition.
    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.committed.get(topic)?.get(&partition).map(|entry| &entry.committed)
    }

    /// All committed offsets, by topic and partition.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, i32, &CommittedOffset)> {
        self.committed.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(partition, entry)| (topic.as_str(), *partition, &entry.committed))
        })
    }

    /// True when a transaction that is still open has an offset for the partition, or is about to have one.
    pub(crate) fn is_open(&self, topic: &str, partition: i32) -> bool {
        let is_claimed = !self.claims.is_empty() && self.claims.contains_key(&(topic.to_owned(), partition));
        is_claimed
            || self.open.values().any(|topics| topics.get(topic).is_some_and(|p| p.contains_key(&partition)))
    }

    /// The partitions for which open transactions have offsets.
    pub(crate) fn open_partitions(&self) -> impl Iterator<Item = (String, i32)> {
        self.open.values().flatten().flat_map(|(topic, partitions)| {
            partitions.keys().map(move |partition| (topic.clone(), *partition))
        })
    }

    /// True when there is neither a committed offset nor an open one.
    pub(crate) fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.open.is_empty()
    }

    /// Takes a commit over.
    pub(crate) fn commit(&mut self, offset: PartitionOffset) {
        let entry = self.ordered(offset.committed);
        self.committed.entry(offset.topic).or_default().insert(offset.partition, entry);
    }

    /// Takes over a commit that counts when the producer's transaction commits.
    pub(crate) fn commit_open(&mut self, producer_id: i64, offset: PartitionOffset) {
        let entry = self.ordered(offset.committed);
        let topics = self.open.entry(producer_id).or_default();
        topics.entry(offset.topic).or_default().insert(offset.partition, entry);
    }

    /// Notes that a transaction's offset for the partition is on its way to the log.
    pub(crate) fn claim(&mut self, topic: &str, partition: i32) {
        *self.claims.entry((topic.to_owned(), partition)).or_default() += 1;
    }

    /// A transaction's offset for the partition has reached the log, or has failed to.
    pub(crate) fn unclaim(&mut self, topic: &str, partition: i32) {
        if let Entry::Occupied(mut claims) = self.claims.entry((topic.to_owned(), partition)) {
            *claims.get_mut() -= 1;
            if *claims.get() == 0 {
                claims.remove();
            }
        }
    }

    /// Ends the producer's transaction: its offsets count, or are gone.
    pub(crate) fn end_transaction(&mut self, producer_id: i64, is_commit: bool) {
        let Some(topics) = self.open.remove(&producer_id).filter(|_| is_commit) else { return };
        for (topic, partitions) in topics {
            let committed = self.committed.entry(topic).or_default();
            for (partition, entry) in partitions {
                if committed.get(&partition).is_none_or(|present| present.order < entry.order) {
                    committed.insert(partition, entry);
                }
            }
        }
    }

    /// Deletes a partition's committed offset.
    pub(crate) fn delete(&mut self, topic: &str, partition: i32) {
        remove_partition(&mut self.committed, topic, partition);
    }

    fn ordered(&mut self, committed: CommittedOffset) -> OrderedOffset {
        self.order += 1;
        OrderedOffset { committed, order: self.order }
    }
}

fn remove_partition<T>(topics: &mut Partitions<T>, topic: &str, partition: i32) {
    if let Some(partitions) = topics.get_mut(topic) {
        partitions.remove(&partition);
        if partitions.is_empty() {
            topics.remove(topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64) -> PartitionOffset {
        let committed = CommittedOffset { offset, leader_epoch: -1, metadata: String::new(), commit_ms: 0 };
        PartitionOffset { topic: "t".into(), partition: 0, committed }
    }

    fn offset(offsets: &GroupOffsets) -> Option<i64> {
        offsets.get("t", 0).map(|committed| committed.offset)
    }

    #[test]
    fn open_offset_counts_only_after_commit() {
        let mut offsets = GroupOffsets::default();
        offsets.commit(at(1));
        offsets.commit_open(7, at(2));
        assert_eq!((offset(&offsets), offsets.is_open("t", 0)), (Some(1), true));
        offsets.end_transaction(7, true);
        assert_eq!((offset(&offsets), offsets.is_open("t", 0)), (Some(2), false));
    }

    #[test]
    fn aborted_offset_never_counts() {
        let mut offsets = GroupOffsets::default();
        offsets.commit_open(7, at(2));
        offsets.end_transaction(7, false);
        assert!(offsets.is_empty());
    }

    #[test]
    fn later_plain_commit_outlives_the_transaction() {
        let mut offsets = GroupOffsets::default();
        offsets.commit_open(7, at(2));
        offsets.commit(at(3));
        offsets.end_transaction(7, true);
        assert_eq!(offset(&offsets), Some(3));
    }
}
