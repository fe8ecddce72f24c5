//! A coordinator's topic as its journal sees it.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::marker::{append_marker, read_marker};
use super::{Content, JournalBatch, JournalRecord, ProducerIdentity};
use crate::error::Error;
use crate::log::{Appended, PartitionLog};
use crate::protocol::ErrorCode;
use crate::protocol::fields::RecordError;
use crate::records::{BatchBuilder, BatchHeader, NO_SEQUENCE, NewRecord, Record};
use crate::topics::TopicRegistry;

/// The partition logs of an internal topic, which is made when the first record comes: a server that has nothing to
/// remember starts with three syncs instead of thirteen.
#[derive(Debug, Clone)]
pub(crate) struct InternalLog {
    topics: Arc<TopicRegistry>,
    name: &'static str,
    /// How many partitions it gets when it is made.
    partitions: i32,
}

/// A batch that is in the log and on its way to the disk.
#[derive(Debug)]
pub(super) struct Written {
    log: Arc<PartitionLog>,
    end_offset: i64,
}

impl Written {
    /// Has it synced, as the policy says.
    pub(super) fn request_sync(&self) {
        self.log.request_sync();
    }

    /// Waits until it is durable.
    ///
    /// # Errors
    /// A storage error.
    pub(super) async fn wait_durable(&self) -> Result<(), ErrorCode> {
        self.log.wait_durable(self.end_offset).await
    }
}

impl InternalLog {
    /// The topic of that name; `partitions` counts if it does not exist yet.
    pub(crate) fn new(topics: &Arc<TopicRegistry>, name: &'static str, partitions: i32) -> Self {
        Self { topics: Arc::clone(topics), name, partitions }
    }

    /// Visits everything that the log holds, in order within each partition. Blocks on the disk.
    ///
    /// # Errors
    /// [`Error::Damaged`] if something cannot be read.
    pub(crate) fn replay(
        &self,
        mut visit: impl FnMut(Replayed<'_>) -> Result<(), RecordError>,
    ) -> Result<(), Error> {
        let Some(topic) = self.topics.get(self.name) else { return Ok(()) };
        for log in topic.partitions().iter() {
            let mut fault = None;
            let read = self.topics.read_internal(self.name, log.partition(), |header, record| {
                let Some(replayed) = Replayed::of(header, record) else { return ControlFlow::Continue(()) };
                match visit(replayed) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        fault =
                            Some(format!("the record at offset {} cannot be read: {error}", record.offset));
                        ControlFlow::Break(())
                    }
                }
            });
            let fault = fault.or(read.err().map(|code| format!("it cannot be read: {code}")));
            if let Some(reason) = fault {
                return Err(Error::Damaged { path: log.directory().to_path_buf(), reason });
            }
        }
        Ok(())
    }

    /// The partition of a group or transactional id, by Apache Kafka's rule.
    pub(crate) fn partition_of(&self, key: &str) -> i32 {
        let present = self.topics.get(self.name).map(|topic| topic.partitions().len());
        partition_of(key, present.unwrap_or(self.partitions.unsigned_abs() as usize))
    }

    /// Appends a batch. The first one in the life of a data directory blocks on the disk, to make the topic.
    ///
    /// # Errors
    /// A storage error, or the reason why the topic cannot be made.
    pub(super) fn append(&self, batch: JournalBatch) -> Result<Written, ErrorCode> {
        let topic = self.topics.internal(self.name, self.partitions)?;
        let log = topic.partition(batch.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let appended = match (batch.content, batch.producer) {
            (Content::Records(records), producer) => append_records(&log, producer, records)?,
            (Content::Marker(end), Some(producer)) => append_marker(&log, producer, end)?,
            // A marker is always some producer's.
            (Content::Marker(_), None) => return Err(ErrorCode::UnknownServerError),
        };
        Ok(Written { log, end_offset: appended.end_offset })
    }
}

/// What a replay finds.
#[derive(Debug)]
pub(crate) enum Replayed<'a> {
    /// A record; it belongs to that producer's transaction if there is one.
    Record {
        /// The producer id.
        producer_id: Option<i64>,
        /// The key.
        key: &'a [u8],
        /// The value; none deletes the key.
        value: Option<&'a [u8]>,
    },
    /// The end of a transaction.
    Marker {
        /// The producer id.
        producer_id: i64,
        /// Commit, or abort.
        is_commit: bool,
    },
}

impl<'a> Replayed<'a> {
    /// None for what is neither a keyed record nor a marker.
    fn of(header: &BatchHeader, record: &'a Record<'_>) -> Option<Self> {
        let key = record.key?;
        if header.is_control() {
            let is_commit = read_marker(key)?;
            return Some(Self::Marker { producer_id: header.producer_id, is_commit });
        }
        let producer_id = header.is_transactional().then_some(header.producer_id);
        Some(Self::Record { producer_id, key, value: record.value })
    }
}

fn append_records(
    log: &PartitionLog,
    producer: Option<ProducerIdentity>,
    records: Vec<JournalRecord>,
) -> Result<Appended, ErrorCode> {
    let mut builder = BatchBuilder::new(log.now_ms());
    if let Some(producer) = producer {
        builder = builder.producer(producer.id, producer.epoch, NO_SEQUENCE).transactional(false);
    }
    for (key, value) in records {
        builder.push(&NewRecord { key: Some(key), value, headers: Vec::new() });
    }
    let batch = builder.build().map_err(|_| ErrorCode::UnknownServerError)?;
    let header = BatchHeader::parse(&batch).map_err(|_| ErrorCode::UnknownServerError)?;
    log.append(header, &batch)
}

/// Apache Kafka's rule: Java's hash of the key, made positive, modulo the number of partitions. So a data directory
/// can change hands.
fn partition_of(key: &str, partitions: usize) -> i32 {
    let hash =
        key.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    let positive = hash & i32::MAX;
    let count = i32::try_from(partitions).unwrap_or(i32::MAX).max(1);
    positive % count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_those_of_apache_kafka() {
        // Java's `hashCode()`: 35782224, 98768023 and -2147483648.
        assert_eq!(partition_of("console-consumer-1", 50), 24);
        assert_eq!(partition_of("grüße", 50), 23);
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        assert_eq!(partition_of("", 50), 0);
        assert_eq!(partition_of("anything", 1), 0);
    }
}
