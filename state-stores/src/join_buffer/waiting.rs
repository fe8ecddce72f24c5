//! Waiting records, and their bytes.

use std::sync::Arc;

use streams_core::Timestamp;
use streams_core::serdes::{Serde, SerdeError, serialize_nullable};

/// A side of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JoinSide {
    /// The stream that is joined with; its bytes sort first.
    Right,
    /// The stream that joins.
    Left,
}

impl JoinSide {
    pub(crate) fn byte(self) -> u8 {
        match self {
            JoinSide::Right => 0,
            JoinSide::Left => 1,
        }
    }

    fn of(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(JoinSide::Right),
            1 => Some(JoinSide::Left),
            _ => None,
        }
    }
}

/// Time, side and key of waiting records (Kafka's `TimestampedKeyAndJoinSide`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitingKey<K> {
    /// The records' event time.
    pub timestamp: Timestamp,
    /// The stream that they came by.
    pub side: JoinSide,
    /// Their key.
    pub key: K,
}

/// A waiting record's value (Kafka's `LeftOrRightValue`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitingValue<L, R> {
    /// Of the left stream.
    Left(L),
    /// Of the right stream.
    Right(R),
}

impl<L, R> WaitingValue<L, R> {
    /// The stream that it came by.
    pub fn side(&self) -> JoinSide {
        match self {
            WaitingValue::Left(_) => JoinSide::Left,
            WaitingValue::Right(_) => JoinSide::Right,
        }
    }
}

/// Lays a key out: time as 8 bytes, the side's byte, the key's bytes.
pub(crate) fn write_key<K: 'static>(
    serde: &dyn Serde<K>,
    (timestamp, side): (Timestamp, JoinSide),
    key: &K,
    out: &mut Vec<u8>,
) -> Result<(), SerdeError> {
    out.clear();
    out.extend_from_slice(&timestamp.as_millis().to_be_bytes());
    out.push(side.byte());
    serde.serialize(key, out)
}

/// Time, side and the key's bytes.
pub(crate) fn split_key(bytes: &[u8]) -> Result<(Timestamp, JoinSide, &[u8]), SerdeError> {
    let parts = bytes.split_first_chunk::<8>().and_then(|(time, rest)| Some((time, rest.split_first()?)));
    let (time, (side, key)) = parts.ok_or_else(|| too_short::<WaitingKey<()>>(9, bytes))?;
    let timestamp = Timestamp::from_millis(i64::from_be_bytes(*time));
    Ok((timestamp, side_of::<WaitingKey<()>>(*side)?, key))
}

/// How Kafka's list serde marks elements of any length; lists of fixed-length elements never occur here.
const VARIABLE_SIZE: u8 = 1;

/// A mark, the count as 4 bytes, and for each value its length as 4 bytes, the side's byte and the value's bytes.
pub(crate) struct WaitingValuesSerde<L, R> {
    pub(crate) left: Arc<dyn Serde<L>>,
    pub(crate) right: Arc<dyn Serde<R>>,
}

impl<L: 'static, R: 'static> WaitingValuesSerde<L, R> {
    /// The side's byte, the value's bytes.
    pub(crate) fn write_one(&self, value: &WaitingValue<L, R>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.push(value.side().byte());
        match value {
            WaitingValue::Left(value) => serialize_nullable(&*self.left, value, out)?,
            WaitingValue::Right(value) => serialize_nullable(&*self.right, value, out)?,
        };
        Ok(())
    }
}

impl<L: 'static, R: 'static> Serde<Vec<WaitingValue<L, R>>> for WaitingValuesSerde<L, R> {
    fn serialize(&self, values: &Vec<WaitingValue<L, R>>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.push(VARIABLE_SIZE);
        out.extend_from_slice(&(values.len() as u32).to_be_bytes());
        for value in values {
            let length_at = out.len();
            out.extend_from_slice(&[0; 4]);
            self.write_one(value, out)?;
            let length = (out.len() - length_at - 4) as u32;
            out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Vec<WaitingValue<L, R>>, SerdeError> {
        let (count, mut rest) = match bytes.split_first() {
            Some((&VARIABLE_SIZE, rest)) => take_number(rest)?,
            _ => return Err(SerdeError::invalid::<Vec<WaitingValue<L, R>>>("not a list of waiting values")),
        };
        // A count that the bytes cannot hold is not believed.
        let mut values = Vec::with_capacity(count.min(rest.len() / 5));
        for _ in 0..count {
            let (length, behind) = take_number(rest)?;
            let (value, behind) =
                behind.split_at_checked(length).ok_or_else(|| too_short::<Vec<u8>>(length, behind))?;
            let (side, value) = value.split_first().ok_or_else(|| too_short::<Vec<u8>>(1, value))?;
            values.push(match side_of::<WaitingValue<L, R>>(*side)? {
                JoinSide::Left => WaitingValue::Left(self.left.deserialize(value)?),
                JoinSide::Right => WaitingValue::Right(self.right.deserialize(value)?),
            });
            rest = behind;
        }
        Ok(values)
    }
}

fn take_number(bytes: &[u8]) -> Result<(usize, &[u8]), SerdeError> {
    let (number, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| too_short::<u32>(4, bytes))?;
    Ok((u32::from_be_bytes(*number) as usize, rest))
}

fn side_of<T>(byte: u8) -> Result<JoinSide, SerdeError> {
    JoinSide::of(byte)
        .ok_or_else(|| SerdeError::invalid::<T>(format!("byte {byte} is no side of a join: neither 0 nor 1")))
}

fn too_short<T>(expected: usize, bytes: &[u8]) -> SerdeError {
    SerdeError::WrongLength { type_name: std::any::type_name::<T>(), expected, actual: bytes.len() }
}
