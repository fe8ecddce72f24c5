//! Partition logs on disk, in Apache Kafka's layout.
//!
//! A partition is a directory `<topic>-<partition>` of segments. A segment is named by its first offset and has
//! a `.log` of batches, a sparse `.index` from offsets to positions, a `.timeindex` from timestamps to offsets,
//! a `.txnindex` of aborted transactions if there are any, and a `.snapshot` of the producers as they were
//! before it. Appends go through one [`PartitionLog`] each; one [`Syncer`] forces all of them to the disk.

mod checkpoint;
mod compaction;
mod durability;
mod index;
mod leader_epochs;
mod marker_search;
mod partition_log;
mod producer_snapshot;
mod producer_state;
mod read;
mod read_buffer;
mod recovery;
mod retention;
mod scan;
mod segment;
pub(crate) mod sync_journal;
mod syncer;
mod txn_index;

pub(crate) use checkpoint::OffsetCheckpoint;
pub(crate) use marker_search::FoundMarker;
pub(crate) use partition_log::{Appended, LogOptions, PartitionLog};
pub(crate) use producer_state::{Marker, ProducerEntry};
pub(crate) use read::{FetchedRecords, Isolation, TimestampQuery};
pub(crate) use recovery::OpenMode;
pub(crate) use scan::scan;
pub(crate) use segment::Segment;
pub(crate) use syncer::Syncer;
pub(crate) use txn_index::AbortedTransaction;

pub(crate) use crate::clock::now_ms;

#[cfg(test)]
mod tests;
