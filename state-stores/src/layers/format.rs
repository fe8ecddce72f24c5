//! How typed values lie in a store, and what of them goes to its changelog.

use std::sync::Arc;

use streams_core::Timestamp;
use streams_core::serdes::{Serde, SerdeError};

use crate::change::ValueAndTimestamp;

/// Length of the time in front of a timestamped value.
const TIMESTAMP_LEN: usize = 8;

/// Turns values into a store's local form and back.
pub(crate) trait ValueFormat<T>: Send + Sync {
    /// Appends the local form; answers no where the value stands for null, that is for a deletion.
    fn write(&self, value: &T, out: &mut Vec<u8>) -> Result<bool, SerdeError>;

    /// Reads the local form.
    fn read(&self, bytes: &[u8]) -> Result<T, SerdeError>;

    /// Length of the big-endian time at the front of the local form; it travels as the changelog record's time.
    fn timestamp_len(&self) -> usize;
}

/// The value's bytes as they are.
pub(crate) struct Plain<V>(pub(crate) Arc<dyn Serde<V>>);

impl<V: 'static> ValueFormat<V> for Plain<V> {
    fn write(&self, value: &V, out: &mut Vec<u8>) -> Result<bool, SerdeError> {
        streams_core::serdes::serialize_nullable(&*self.0, value, out)
    }

    fn read(&self, bytes: &[u8]) -> Result<V, SerdeError> {
        self.0.deserialize(bytes)
    }

    fn timestamp_len(&self) -> usize {
        0
    }
}

/// The time as 8 bytes, then the value's bytes (Kafka's `ValueAndTimestampSerde`).
pub(crate) struct Timestamped<V>(pub(crate) Arc<dyn Serde<V>>);

impl<V: 'static> ValueFormat<ValueAndTimestamp<V>> for Timestamped<V> {
    fn write(&self, value: &ValueAndTimestamp<V>, out: &mut Vec<u8>) -> Result<bool, SerdeError> {
        out.extend_from_slice(&value.timestamp.as_millis().to_be_bytes());
        streams_core::serdes::serialize_nullable(&*self.0, &value.value, out)
    }

    fn read(&self, bytes: &[u8]) -> Result<ValueAndTimestamp<V>, SerdeError> {
        let Some((timestamp, value)) = bytes.split_first_chunk::<TIMESTAMP_LEN>() else {
            let type_name = std::any::type_name::<ValueAndTimestamp<V>>();
            return Err(SerdeError::WrongLength { type_name, expected: TIMESTAMP_LEN, actual: bytes.len() });
        };
        let timestamp = Timestamp::from_millis(i64::from_be_bytes(*timestamp));
        Ok(ValueAndTimestamp { value: self.0.deserialize(value)?, timestamp })
    }

    fn timestamp_len(&self) -> usize {
        TIMESTAMP_LEN
    }
}

/// Bytes, for stores that have a form of their own.
pub(crate) struct Raw;

impl ValueFormat<Box<[u8]>> for Raw {
    fn write(&self, value: &Box<[u8]>, out: &mut Vec<u8>) -> Result<bool, SerdeError> {
        out.extend_from_slice(value);
        Ok(true)
    }

    fn read(&self, bytes: &[u8]) -> Result<Box<[u8]>, SerdeError> {
        Ok(bytes.into())
    }

    fn timestamp_len(&self) -> usize {
        0
    }
}

/// No value: for what has keys only.
pub(crate) struct Nothing;

impl ValueFormat<()> for Nothing {
    fn write(&self, _value: &(), _out: &mut Vec<u8>) -> Result<bool, SerdeError> {
        Ok(true)
    }

    fn read(&self, _bytes: &[u8]) -> Result<(), SerdeError> {
        Ok(())
    }

    fn timestamp_len(&self) -> usize {
        0
    }
}
