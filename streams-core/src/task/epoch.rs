//! What a task hands over for a commit.

use crate::processor::{Output, RecordArena};
use crate::record::TopicPartition;

/// The offset of an input partition as it is committed with the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the last record read, or -1 where unknown.
    pub leader_epoch: i32,
    /// The partition's time and more, as Kafka Streams keeps it beside the offset.
    pub metadata: String,
}

/// Records that a task has gathered for the producer. It may be handed back empty-handed to
/// [`crate::task::StreamTask::gather`], which reuses its room.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Records for users' and repartition topics, in the order of sending.
    pub records: Output,
    /// Records for the changelog topics, in the order of [`crate::task::StreamTask::changelogs`]; none for a store
    /// whose source topic is its changelog.
    pub changelogs: Vec<RecordArena>,
}

impl Gathered {
    /// Whether there is nothing to produce.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.changelogs.iter().all(RecordArena::is_empty)
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len() + self.changelogs.iter().map(RecordArena::len).sum::<usize>()
    }

    /// How many bytes of keys and values there are.
    pub fn byte_len(&self) -> usize {
        self.records.byte_len() + self.changelogs.iter().map(RecordArena::byte_len).sum::<usize>()
    }
}

/// The work between two commits, closed: the task goes on with the next epoch while this one is being committed.
///
/// Produce `gathered` and wait until it and all that was gathered before is acknowledged; commit `offsets`; then let
/// the task write its stores with [`crate::task::StreamTask::commit_stores`].
#[derive(Debug)]
pub struct Epoch {
    /// Counts the task's epochs from 0.
    pub number: u64,
    /// Input offsets to commit: those that have moved since the last epoch.
    pub offsets: Vec<(TopicPartition, CommittedOffset)>,
    /// What is still to be produced of this epoch.
    pub gathered: Gathered,
}
