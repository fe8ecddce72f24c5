//! How a table's changes are written to repartition topics.

use streams_core::serdes::{Serde, SerdeError};

use crate::change::Change;
use crate::options::SharedSerde;

/// The last byte of a change that has an old value only.
const OLD: u8 = 0;
/// The last byte of a change that has a new value only.
const NEW: u8 = 1;
/// The last byte of a change that has both, the new one's length in front.
const BOTH: u8 = 2;

/// Kafka's `ChangedSerde` in the form of KIP-904: the values' bytes, and a last byte that tells which there are; with
/// both, the new value's length as a zigzag varint, the new value, the old value.
pub(crate) struct ChangeSerde<V>(pub(crate) SharedSerde<V>);

impl<V: 'static> Serde<Change<V>> for ChangeSerde<V> {
    fn serialize(&self, change: &Change<V>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        match (&change.new, &change.old) {
            (Some(new), Some(old)) => {
                let mut bytes = Vec::new();
                self.0.serialize(new, &mut bytes)?;
                write_length(bytes.len(), out);
                out.append(&mut bytes);
                self.0.serialize(old, out)?;
                out.push(BOTH);
            }
            (Some(new), None) => {
                self.0.serialize(new, out)?;
                out.push(NEW);
            }
            (None, Some(old)) => {
                self.0.serialize(old, out)?;
                out.push(OLD);
            }
            (None, None) => {
                return Err(SerdeError::invalid::<Change<V>>("a change from nothing to nothing has no form"));
            }
        }
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Change<V>, SerdeError> {
        let Some((&which, values)) = bytes.split_last() else { return Err(malformed::<V>()) };
        match which {
            NEW => Ok(Change::new(None, Some(self.0.deserialize(values)?))),
            OLD => Ok(Change::new(Some(self.0.deserialize(values)?), None)),
            BOTH => {
                let (length, rest) = read_length(values).ok_or_else(malformed::<V>)?;
                let (new, old) = rest.split_at_checked(length).ok_or_else(malformed::<V>)?;
                Ok(Change::new(Some(self.0.deserialize(old)?), Some(self.0.deserialize(new)?)))
            }
            _ => Err(malformed::<V>()),
        }
    }
}

fn malformed<V>() -> SerdeError {
    SerdeError::invalid::<Change<V>>(
        "the bytes are no change of a table as Kafka Streams 3.5 and later write it",
    )
}

fn write_length(length: usize, out: &mut Vec<u8>) {
    let mut rest = (length as u64) << 1;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut zigzag = 0u64;
    for (place, &byte) in bytes.iter().enumerate().take(5) {
        zigzag |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(((zigzag >> 1) as usize, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use streams_core::serdes::Utf8;

    use super::*;

    fn bytes(old: Option<&str>, new: Option<&str>) -> Vec<u8> {
        let mut out = Vec::new();
        let change = Change::new(old.map(str::to_owned), new.map(str::to_owned));
        ChangeSerde(Arc::new(Utf8)).serialize(&change, &mut out).unwrap();
        out
    }

    #[test]
    fn changes_are_written_as_kafka_streams_writes_them() {
        assert_eq!(bytes(None, Some("n1")), b"n1\x01");
        assert_eq!(bytes(Some("o1"), None), b"o1\x00");
        assert_eq!(bytes(Some("old1"), Some("n1")), b"\x04n1old1\x02");
        assert_eq!(bytes(Some("o"), Some(&"x".repeat(200)))[..2], [0x90, 0x03]);
    }

    proptest! {
        #[test]
        fn changes_come_back_as_they_were(old in ".{0,300}", new in ".{0,300}") {
            let serde = ChangeSerde(Arc::new(Utf8) as SharedSerde<String>);
            let read = serde.deserialize(&bytes(Some(&old), Some(&new))).unwrap();
            prop_assert_eq!(read, Change::new(Some(old), Some(new)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = ChangeSerde(Arc::new(Utf8) as SharedSerde<String>).deserialize(&bytes);
        }
    }
}
