//! What is committed beside an input offset, in Kafka Streams' own form (`TopicPartitionMetadata`): base64 of a
//! version byte, the partition's time and the processors' numbers. So event time survives a restart or a move of the
//! task, and a JVM application's offsets can be taken over.

use std::collections::BTreeMap;

use crate::time::Timestamp;

const VERSION: u8 = 2;
/// The version that had the partition's time alone.
const VERSION_TIME_ONLY: u8 = 1;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Partition time and processor metadata of one input partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommitMetadata {
    pub(super) partition_time: Timestamp,
    pub(super) processors: BTreeMap<String, i64>,
}

impl CommitMetadata {
    /// The text that is committed.
    pub(super) fn encode(partition_time: Timestamp, processors: &BTreeMap<String, i64>) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(partition_time.as_millis().to_be_bytes());
        if !processors.is_empty() {
            bytes.extend((processors.len() as u32).to_be_bytes());
            for (key, value) in processors {
                bytes.extend((key.len() as u32).to_be_bytes());
                bytes.extend(key.as_bytes());
                bytes.extend(value.to_be_bytes());
            }
        }
        to_base64(&bytes)
    }

    /// Reads the text back; none for a text of another origin, whose partition time is then unknown.
    pub(super) fn decode(text: &str) -> Option<CommitMetadata> {
        let bytes = from_base64(text)?;
        let (&version, mut rest) = bytes.split_first()?;
        let partition_time = Timestamp::from_millis(take_i64(&mut rest)?);
        let mut processors = BTreeMap::new();
        match version {
            VERSION_TIME_ONLY => {}
            VERSION if rest.is_empty() => {}
            VERSION => {
                for _ in 0..take_u32(&mut rest)? {
                    let length = take_u32(&mut rest)? as usize;
                    let (key, behind) = rest.split_at_checked(length)?;
                    rest = behind;
                    processors.insert(std::str::from_utf8(key).ok()?.to_owned(), take_i64(&mut rest)?);
                }
            }
            _ => return None,
        }
        Some(CommitMetadata { partition_time, processors })
    }
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u32::from_be_bytes(*head))
}

fn take_i64(bytes: &mut &[u8]) -> Option<i64> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(i64::from_be_bytes(*head))
}

fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let sextet = bits >> (18 - 6 * place) & 63;
            // Three bytes fill four places; each byte that lacks leaves one out.
            text.push(if place <= group.len() { char::from(ALPHABET[sextet as usize]) } else { '=' });
        }
    }
    text
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text[..text.len() - padding].chunks(4) {
        let mut bits = 0u32;
        for place in 0..4 {
            let sextet = match group.get(place) {
                Some(byte) => ALPHABET.iter().position(|letter| letter == byte)? as u32,
                None => 0,
            };
            bits = bits << 6 | sextet;
        }
        bytes.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_what_kafka_streams_writes() {
        // Base64 of 02 and the eight bytes of the time, as java.util.Base64 prints it.
        let text = CommitMetadata::encode(Timestamp::from_millis(1_700_000_000_000), &BTreeMap::new());
        assert_eq!(text, "AgAAAYvP5WgA");
        let back = CommitMetadata::decode("AgAAAYvP5WgA").unwrap();
        assert_eq!(back.partition_time, Timestamp::from_millis(1_700_000_000_000));
        let version_1 = CommitMetadata::decode("AQAAAYvP5WgA").unwrap();
        assert_eq!(version_1, back);
    }

    #[test]
    fn processor_metadata_comes_back() {
        for count in 0..5 {
            let processors: BTreeMap<String, i64> =
                (0..count).map(|number| ("é".repeat(number), number as i64 - 2)).collect();
            let text = CommitMetadata::encode(Timestamp::from_millis(-1), &processors);
            let back = CommitMetadata::decode(&text).unwrap();
            assert_eq!(back, CommitMetadata { partition_time: Timestamp::UNKNOWN, processors });
        }
    }

    #[test]
    fn foreign_texts_are_not_understood() {
        for text in ["", "x", "AgAA", "====", "A===", "some note", "CQAAAYvP5WgA", "AgAAAYvP5WgAAAAB"] {
            assert_eq!(CommitMetadata::decode(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn base64_comes_back(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..40)) {
            proptest::prop_assert_eq!(from_base64(&to_base64(&bytes)), Some(bytes));
        }
    }
}
