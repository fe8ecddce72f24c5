//! A coordinator's topic as its journal sees it.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::marker::{append_marker, read_marker};
use super::{Content, JournalBatch, JournalRecord, JournalTopic, ProducerIdentity};
use crate::error::Error;
use crate::log::{Appended, PartitionLog};
use crate::protocol::ErrorCode;
use crate::protocol::fields::RecordError;
use crate::records::{BatchBuilder, BatchHeader, NO_SEQUENCE, NewRecord, Record};
use crate::topics::{Topic, TopicRegistry};

/// The partition logs of an internal topic.
#[derive(Debug, Clone)]
pub(crate) struct InternalLog {
    topic: Arc<Topic>,
}

impl InternalLog {
    /// Opens an internal topic, which is made if it does not exist. Blocks on the disk.
    ///
    /// # Errors
    /// [`Error::Config`] if it cannot be made.
    pub(crate) fn open(topics: &TopicRegistry, name: &str, partitions: i32) -> Result<Self, Error> {
        let topic = topics.internal(name, partitions).map_err(|code| {
            Error::Config(format!("topic {name} cannot be created: {code}; is the data directory writable?"))
        })?;
        Ok(Self { topic })
    }

    /// Visits everything that the log holds, in order within each partition. Blocks on the disk.
    ///
    /// # Errors
    /// [`Error::Damaged`] if something cannot be read.
    pub(crate) fn replay(
        &self,
        topics: &TopicRegistry,
        mut visit: impl FnMut(Replayed<'_>) -> Result<(), RecordError>,
    ) -> Result<(), Error> {
        for log in self.topic.partitions().iter() {
            let mut fault = None;
            let read = topics.read_internal(&self.topic.name, log.partition(), |header, record| {
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

    fn begin(&self, batch: JournalBatch) -> Result<(Arc<PartitionLog>, Appended), ErrorCode> {
        let log = self.topic.partition(batch.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let appended = match (batch.content, batch.producer) {
            (Content::Records(records), producer) => append_records(&log, producer, records)?,
            (Content::Marker(is_commit), Some(producer)) => append_marker(&log, producer, is_commit)?,
            // A marker is always some producer's.
            (Content::Marker(_), None) => return Err(ErrorCode::UnknownServerError),
        };
        log.request_sync();
        Ok((log, appended))
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

impl JournalTopic for InternalLog {
    fn partition_of(&self, key: &str) -> i32 {
        partition_of(key, self.topic.partitions().len())
    }

    async fn append(&self, batches: Vec<JournalBatch>) -> Vec<Result<(), ErrorCode>> {
        let begun: Vec<_> = batches.into_iter().map(|batch| self.begin(batch)).collect();
        let mut outcomes = Vec::with_capacity(begun.len());
        for append in begun {
            outcomes.push(match append {
                Ok((log, appended)) => log.wait_durable(appended.end_offset).await,
                Err(error) => Err(error),
            });
        }
        outcomes
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
