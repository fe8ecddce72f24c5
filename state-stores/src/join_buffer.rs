//! Records of a left or outer stream-stream join that have met no partner yet, by time.

use std::sync::Arc;

use streams_core::Timestamp;
use streams_core::serdes::{Serde, SerdeError, serialize_nullable};

use crate::key_value::KeyValueStore;

/// Waiting records: all those of one key, time and side under one key, so that walking the store goes by time, right
/// side first. Made by [`Stores::join_buffer`](crate::Stores::join_buffer); the bytes are those of Kafka's outer-join
/// store.
pub type JoinBuffer<K, L, R> = KeyValueStore<WaitingKey<K>, Vec<WaitingValue<L, R>>>;

/// A side of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JoinSide {
    /// The stream that is joined with; its bytes sort first.
    Right,
    /// The stream that joins.
    Left,
}

impl JoinSide {
    fn byte(self) -> u8 {
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

/// Time as 8 bytes, the side's byte, the key's bytes.
pub(crate) struct WaitingKeySerde<K>(pub(crate) Arc<dyn Serde<K>>);

impl<K: 'static> Serde<WaitingKey<K>> for WaitingKeySerde<K> {
    fn serialize(&self, key: &WaitingKey<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(&key.timestamp.as_millis().to_be_bytes());
        out.push(key.side.byte());
        self.0.serialize(&key.key, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<WaitingKey<K>, SerdeError> {
        let parts = bytes.split_first_chunk::<8>().and_then(|(time, rest)| Some((time, rest.split_first()?)));
        let (time, (side, key)) = parts.ok_or_else(|| too_short::<WaitingKey<K>>(9, bytes))?;
        let timestamp = Timestamp::from_millis(i64::from_be_bytes(*time));
        Ok(WaitingKey { timestamp, side: side_of::<WaitingKey<K>>(*side)?, key: self.0.deserialize(key)? })
    }
}

/// How Kafka's list serde marks elements of any length; lists of fixed-length elements never occur here.
const VARIABLE_SIZE: u8 = 1;

/// A mark, the count as 4 bytes, and for each value its length as 4 bytes, the side's byte and the value's bytes.
pub(crate) struct WaitingValuesSerde<L, R> {
    pub(crate) left: Arc<dyn Serde<L>>,
    pub(crate) right: Arc<dyn Serde<R>>,
}

impl<L: 'static, R: 'static> Serde<Vec<WaitingValue<L, R>>> for WaitingValuesSerde<L, R> {
    fn serialize(&self, values: &Vec<WaitingValue<L, R>>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.push(VARIABLE_SIZE);
        out.extend_from_slice(&(values.len() as u32).to_be_bytes());
        for value in values {
            let length_at = out.len();
            out.extend_from_slice(&[0; 4]);
            match value {
                WaitingValue::Left(value) => {
                    out.push(JoinSide::Left.byte());
                    serialize_nullable(&*self.left, value, out)?;
                }
                WaitingValue::Right(value) => {
                    out.push(JoinSide::Right.byte());
                    serialize_nullable(&*self.right, value, out)?;
                }
            }
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

#[cfg(test)]
mod tests {
    use streams_core::serdes::Utf8;
    use streams_core::{Headers, state::StateStore};

    use super::*;
    use crate::Stores;
    use crate::commit_cycle::{changelog, commit, memory};

    fn key(timestamp: i64, side: JoinSide, key: &str) -> WaitingKey<String> {
        WaitingKey { timestamp: Timestamp::from_millis(timestamp), side, key: key.to_owned() }
    }

    fn buffer() -> JoinBuffer<String, String, String> {
        let (keys, values) = (Arc::new(Utf8), Arc::new(Utf8));
        Stores::join_buffer("waiting", keys, Arc::clone(&values) as _, values).open(memory()).unwrap()
    }

    /// The bytes that Kafka Streams 4.3.1 writes.
    #[test]
    fn bytes_are_those_of_kafka() {
        let mut buffer = buffer();
        buffer.enter(Timestamp::from_millis(4_797), &Headers::new());
        let value = WaitingValue::Left("l2".to_owned());
        buffer.put(&key(4_797, JoinSide::Left, "a"), Some(vec![value])).unwrap();
        let record = changelog(&mut buffer).remove(0);
        assert_eq!(record.key, [0, 0, 0, 0, 0, 0, 0x12, 0xbd, 1, 0x61]);
        assert_eq!(record.value.unwrap(), [1, 0, 0, 0, 1, 0, 0, 0, 3, 1, 0x6c, 0x32]);
        assert_eq!(record.timestamp, Some(Timestamp::from_millis(4_797)));
    }

    #[test]
    fn walking_goes_by_time_then_right_before_left_then_key() {
        let mut buffer = buffer();
        let keys = [
            (2, JoinSide::Left, "a"),
            (1, JoinSide::Left, "b"),
            (2, JoinSide::Right, "c"),
            (1, JoinSide::Left, "a"),
        ];
        for (place, (time, side, text)) in keys.into_iter().enumerate() {
            let values = vec![WaitingValue::Right("r".to_owned()), WaitingValue::Left(String::new())];
            buffer.put(&key(time, side, text), Some(values)).unwrap();
            if place == 1 {
                commit(&mut buffer);
            }
        }
        let found: Vec<_> = buffer.all().unwrap().map(|entry| entry.unwrap()).collect();
        let times: Vec<_> =
            found.iter().map(|(key, _)| (key.timestamp.as_millis(), key.side, &*key.key)).collect();
        assert_eq!(times, [keys[3], keys[1], keys[2], keys[0]].map(|(time, side, key)| (time, side, key)));
        assert_eq!(found[0].1, [WaitingValue::Right("r".to_owned()), WaitingValue::Left(String::new())]);
    }

    #[test]
    fn damaged_bytes_are_an_error_and_no_allocation() {
        let serde = WaitingValuesSerde::<String, String> { left: Arc::new(Utf8), right: Arc::new(Utf8) };
        let whole = [1, 0, 0, 0, 1, 0, 0, 0, 3, 1, 0x6c, 0x32];
        assert!(serde.deserialize(&whole).is_ok());
        for end in 0..whole.len() {
            assert!(serde.deserialize(&whole[..end]).is_err(), "cut to {end} bytes");
        }
        assert!(serde.deserialize(&[1, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(serde.deserialize(&[1, 0, 0, 0, 1, 0, 0, 0, 1, 7]).is_err(), "no such side");
    }
}
