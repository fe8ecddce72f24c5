//! Sources: where records enter a topology, and which event time they get.

use std::any::Any;
use std::sync::Arc;

use thiserror::Error;

use super::error::{ProcessorError, RecordPart};
use super::graph::NodeContext;
use super::node::{Node, slot_of};
use crate::record::{Data, FetchedRecord, Record};
use crate::serdes::{Serde, SerdeError, deserialize_nullable};
use crate::time::Timestamp;

/// A user's own timestamp extractor: the record (with the time that it carries) and the partition's time so far.
pub type CustomExtractor<K, V> = dyn Fn(&Record<K, V>, Timestamp) -> Timestamp + Send + Sync;

/// Which event time a record gets (Kafka's `TimestampExtractor`s).
pub enum TimestampExtractor<K, V> {
    /// The record's own; a negative one is an error (`FailOnInvalidTimestamp`, the default).
    FailOnInvalid,
    /// The record's own; a record with a negative one is dropped (`LogAndSkipOnInvalidTimestamp`).
    SkipOnInvalid,
    /// The record's own, or the partition's time so far where it is negative; an error where the partition has none
    /// yet (`UsePartitionTimeOnInvalidTimestamp`).
    PartitionTimeOnInvalid,
    /// The wall clock (`WallclockTimestampExtractor`).
    WallClock,
    /// The user's own: the record (with the time that it carries) and the partition's time so far; a negative
    /// answer drops the record.
    Custom(Arc<CustomExtractor<K, V>>),
}

impl<K, V> Clone for TimestampExtractor<K, V> {
    fn clone(&self) -> Self {
        match self {
            TimestampExtractor::FailOnInvalid => TimestampExtractor::FailOnInvalid,
            TimestampExtractor::SkipOnInvalid => TimestampExtractor::SkipOnInvalid,
            TimestampExtractor::PartitionTimeOnInvalid => TimestampExtractor::PartitionTimeOnInvalid,
            TimestampExtractor::WallClock => TimestampExtractor::WallClock,
            TimestampExtractor::Custom(custom) => TimestampExtractor::Custom(Arc::clone(custom)),
        }
    }
}

impl<K, V> std::fmt::Debug for TimestampExtractor<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TimestampExtractor::FailOnInvalid => "FailOnInvalid",
            TimestampExtractor::SkipOnInvalid => "SkipOnInvalid",
            TimestampExtractor::PartitionTimeOnInvalid => "PartitionTimeOnInvalid",
            TimestampExtractor::WallClock => "WallClock",
            TimestampExtractor::Custom(_) => "Custom",
        })
    }
}

/// Why a source could not take a record in.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Its bytes are not what the serde reads.
    #[error("the {part} cannot be deserialized: {source}")]
    Deserialize {
        /// Key or value.
        part: RecordPart,
        /// Why.
        source: SerdeError,
    },
    /// It has no valid time.
    #[error(
        "its timestamp {timestamp} is invalid: give the source a timestamp extractor that skips such records, or takes \
         the partition's time for them"
    )]
    InvalidTimestamp {
        /// The timestamp that it carries.
        timestamp: Timestamp,
    },
    /// A node behind the source failed.
    #[error(transparent)]
    Process(#[from] ProcessorError),
}

/// A record whose time is known: either still to be deserialized, or done already because the extractor needed it.
#[derive(Debug)]
pub struct Timed {
    /// Its event time; negative means that it is to be dropped.
    pub timestamp: Timestamp,
    /// The deserialized record, `Option<Record<K, V>>`, where the extractor had to see it.
    pub decoded: Option<Box<dyn Any + Send>>,
}

/// Deserializes the records of a source.
pub trait SourceDecoder: Send + Sync + std::fmt::Debug {
    /// Finds the record's event time; `partition_time` is the largest one of its partition so far.
    ///
    /// # Errors
    /// [`SourceError::InvalidTimestamp`], or [`SourceError::Deserialize`] when the extractor needs the record.
    fn time(
        &self,
        raw: &dyn FetchedRecord,
        partition_time: Timestamp,
        wall_clock: Timestamp,
    ) -> Result<Timed, SourceError>;

    /// Deserializes the record and forwards it to the source's children.
    ///
    /// # Errors
    /// [`SourceError::Deserialize`], else what the nodes behind say.
    fn process(
        &self,
        raw: &dyn FetchedRecord,
        timed: Timed,
        context: &mut NodeContext<'_>,
    ) -> Result<(), SourceError>;
}

/// A source: serdes and the timestamp extractor.
pub struct SourceNode<K, V> {
    key_serde: Arc<dyn Serde<K>>,
    value_serde: Arc<dyn Serde<V>>,
    extractor: TimestampExtractor<K, V>,
}

impl<K: Data, V: Data> SourceNode<K, V> {
    /// A source.
    pub fn new(
        key_serde: Arc<dyn Serde<K>>,
        value_serde: Arc<dyn Serde<V>>,
        extractor: TimestampExtractor<K, V>,
    ) -> Self {
        SourceNode { key_serde, value_serde, extractor }
    }

    fn decode(&self, raw: &dyn FetchedRecord, timestamp: Timestamp) -> Result<Record<K, V>, SourceError> {
        let _deserialize = tracing::trace_span!("deserialize").entered();
        let key = deserialize_nullable(&*self.key_serde, raw.key())
            .map_err(|source| SourceError::Deserialize { part: RecordPart::Key, source })?;
        let value = deserialize_nullable(&*self.value_serde, raw.value())
            .map_err(|source| SourceError::Deserialize { part: RecordPart::Value, source })?;
        Ok(Record { key, value, timestamp, headers: raw.headers() })
    }
}

impl<K, V> std::fmt::Debug for SourceNode<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceNode").field("extractor", &self.extractor).finish_non_exhaustive()
    }
}

impl<K: Data, V: Data> SourceDecoder for SourceNode<K, V> {
    fn time(
        &self,
        raw: &dyn FetchedRecord,
        partition_time: Timestamp,
        wall_clock: Timestamp,
    ) -> Result<Timed, SourceError> {
        let own = raw.timestamp();
        let valid = own >= Timestamp::ZERO;
        let timestamp = match &self.extractor {
            TimestampExtractor::FailOnInvalid if !valid => {
                return Err(SourceError::InvalidTimestamp { timestamp: own });
            }
            TimestampExtractor::PartitionTimeOnInvalid if !valid && partition_time < Timestamp::ZERO => {
                return Err(SourceError::InvalidTimestamp { timestamp: own });
            }
            TimestampExtractor::FailOnInvalid | TimestampExtractor::SkipOnInvalid => own,
            TimestampExtractor::PartitionTimeOnInvalid => {
                if valid {
                    own
                } else {
                    partition_time
                }
            }
            TimestampExtractor::WallClock => wall_clock,
            TimestampExtractor::Custom(extract) => {
                let mut record = self.decode(raw, own)?;
                record.timestamp = extract(&record, partition_time);
                return Ok(Timed { timestamp: record.timestamp, decoded: Some(Box::new(Some(record))) });
            }
        };
        Ok(Timed { timestamp, decoded: None })
    }

    fn process(
        &self,
        raw: &dyn FetchedRecord,
        timed: Timed,
        context: &mut NodeContext<'_>,
    ) -> Result<(), SourceError> {
        match timed.decoded {
            Some(mut decoded) => context.forward_slot(slot_of::<K, V>(decoded.as_mut())?)?,
            None => context.forward_slot(&mut Some(self.decode(raw, timed.timestamp)?))?,
        }
        Ok(())
    }
}

/// Stands in the graph where a source is: the task forwards through it.
#[derive(Debug, Default)]
pub(crate) struct SourcePlace;

impl Node for SourcePlace {
    fn process(&mut self, _slot: &mut dyn Any, _context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        Ok(())
    }
}
