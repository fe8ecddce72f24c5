//! What the two tables of a foreign-key join send each other, and its bytes (KIP-213, KIP-775).

use streams_core::serdes::{Serde, SerdeError};

use super::hash::RowHash;
use crate::options::SharedSerde;

/// In the first byte: there is no hash, for there is no row.
const NO_HASH: u8 = 0x80;
/// The version without the partition (before Kafka Streams 3.3).
const WITHOUT_PARTITION: u8 = 0;
/// The version that is written.
const WITH_PARTITION: u8 = 1;
/// The one version of answers.
const RESPONSE: u8 = 0;

/// What is to happen to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Instruction {
    /// End it and say nothing.
    DeleteSilently = 0,
    /// End it and answer that there is nothing.
    DeleteAndAnswer = 1,
    /// Begin it and answer, be it that there is nothing.
    AnswerAlways = 2,
    /// Begin it and answer if there is something.
    AnswerIfFound = 3,
}

impl Instruction {
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Instruction::DeleteSilently,
            1 => Instruction::DeleteAndAnswer,
            2 => Instruction::AnswerAlways,
            3 => Instruction::AnswerIfFound,
            _ => return None,
        })
    }

    /// Whether the subscription ends.
    pub(super) fn deletes(self) -> bool {
        matches!(self, Instruction::DeleteSilently | Instruction::DeleteAndAnswer)
    }
}

/// A row's interest in a foreign key (Kafka's `SubscriptionWrapper`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subscription<K> {
    /// Of the row; none where it was deleted.
    pub(super) hash: Option<RowHash>,
    pub(super) instruction: Instruction,
    /// The row's key.
    pub(super) key: K,
    /// The partition that the answer goes to; none from before Kafka Streams 3.3.
    pub(super) partition: Option<i32>,
}

/// What lies under a foreign key (Kafka's `SubscriptionResponseWrapper`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Response<V> {
    /// Of the row that asked.
    pub(super) hash: Option<RowHash>,
    /// The foreign value.
    pub(super) value: Option<V>,
    /// Where it goes; not written.
    pub(super) partition: Option<i32>,
}

/// Version and mark, instruction, hash, key, partition.
pub(super) struct SubscriptionSerde<K>(pub(super) SharedSerde<K>);

impl<K: 'static> Serde<Subscription<K>> for SubscriptionSerde<K> {
    fn serialize(&self, subscription: &Subscription<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let version = if subscription.partition.is_some() { WITH_PARTITION } else { WITHOUT_PARTITION };
        write_head(version, subscription.hash, Some(subscription.instruction as u8), out);
        self.0.serialize(&subscription.key, out)?;
        out.extend(subscription.partition.iter().flat_map(|partition| partition.to_be_bytes()));
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Subscription<K>, SerdeError> {
        let malformed = || SerdeError::invalid::<Subscription<K>>("not a subscription of a foreign-key join");
        let (version, rest) = bytes.split_first().ok_or_else(malformed)?;
        let (instruction, rest) = rest.split_first().ok_or_else(malformed)?;
        let instruction = Instruction::of(*instruction).ok_or_else(malformed)?;
        let (hash, rest) = read_hash(*version, rest).ok_or_else(malformed)?;
        let (key, partition) = match version & !NO_HASH {
            WITHOUT_PARTITION => (rest, None),
            WITH_PARTITION => {
                let (key, partition) = rest.split_last_chunk().ok_or_else(malformed)?;
                (key, Some(i32::from_be_bytes(*partition)))
            }
            version => return Err(newer::<Subscription<K>>(version)),
        };
        Ok(Subscription { hash, instruction, key: self.0.deserialize(key)?, partition })
    }
}

/// Version and mark, hash, value. A value without bytes is read as none, as in Kafka Streams.
pub(super) struct ResponseSerde<V>(pub(super) SharedSerde<V>);

impl<V: 'static> Serde<Response<V>> for ResponseSerde<V> {
    fn serialize(&self, response: &Response<V>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        write_head(RESPONSE, response.hash, None, out);
        match &response.value {
            Some(value) => self.0.serialize(value, out),
            None => Ok(()),
        }
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Response<V>, SerdeError> {
        let malformed = || SerdeError::invalid::<Response<V>>("not an answer of a foreign-key join");
        let (version, rest) = bytes.split_first().ok_or_else(malformed)?;
        if version & !NO_HASH != RESPONSE {
            return Err(newer::<Response<V>>(version & !NO_HASH));
        }
        let (hash, rest) = read_hash(*version, rest).ok_or_else(malformed)?;
        let value = (!rest.is_empty()).then(|| self.0.deserialize(rest)).transpose()?;
        Ok(Response { hash, value, partition: None })
    }
}

fn write_head(version: u8, hash: Option<RowHash>, instruction: Option<u8>, out: &mut Vec<u8>) {
    out.push(if hash.is_some() { version } else { version | NO_HASH });
    out.extend(instruction);
    out.extend(hash.into_iter().flatten());
}

fn read_hash(version: u8, bytes: &[u8]) -> Option<(Option<RowHash>, &[u8])> {
    if version & NO_HASH != 0 {
        return Some((None, bytes));
    }
    bytes.split_first_chunk().map(|(hash, rest)| (Some(*hash), rest))
}

fn newer<T>(version: u8) -> SerdeError {
    SerdeError::invalid::<T>(format!(
        "version {version} of a foreign-key join's records is newer than this program: upgrade it first"
    ))
}

/// A foreign key and the key of a row that is interested in it (Kafka's `CombinedKey`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CombinedKey<FK, K> {
    pub(super) foreign: FK,
    pub(super) primary: K,
}

/// The foreign key's length as 4 bytes, its bytes, the key's bytes: all that are interested in one lie together.
pub(super) struct CombinedKeySerde<FK, K> {
    pub(super) foreign: SharedSerde<FK>,
    pub(super) primary: SharedSerde<K>,
}

impl<FK: 'static, K: 'static> CombinedKeySerde<FK, K> {
    /// What all keys of a foreign key begin with.
    pub(super) fn write_prefix(&self, foreign: &FK, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        self.foreign.serialize(foreign, out)?;
        let length = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

impl<FK: 'static, K: 'static> Serde<CombinedKey<FK, K>> for CombinedKeySerde<FK, K> {
    fn serialize(&self, key: &CombinedKey<FK, K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.write_prefix(&key.foreign, out)?;
        self.primary.serialize(&key.primary, out)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<CombinedKey<FK, K>, SerdeError> {
        let malformed =
            || SerdeError::invalid::<CombinedKey<FK, K>>("not a key of a foreign-key join's store");
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(malformed)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (foreign, primary) = rest.split_at_checked(length).ok_or_else(malformed)?;
        let (foreign, primary) = (self.foreign.deserialize(foreign)?, self.primary.deserialize(primary)?);
        Ok(CombinedKey { foreign, primary })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use streams_core::serdes::Utf8;

    use super::*;

    fn keys() -> SharedSerde<String> {
        Arc::new(Utf8)
    }

    fn bytes<T>(serde: &impl Serde<T>, value: &T) -> Vec<u8> {
        let mut out = Vec::new();
        serde.serialize(value, &mut out).unwrap();
        out
    }

    #[test]
    fn newer_versions_and_damaged_bytes_are_errors() {
        let (subscriptions, responses) = (SubscriptionSerde(keys()), ResponseSerde(keys()));
        assert!(subscriptions.deserialize(&[0x82, 1, b'a']).unwrap_err().to_string().contains("newer"));
        assert!(responses.deserialize(&[0x81]).unwrap_err().to_string().contains("newer"));
        for bytes in [&[][..], &[1], &[1, 9], &[1, 2, 3], &[0x81, 2, 0, 0, 0]] {
            assert!(subscriptions.deserialize(bytes).is_err(), "{bytes:?}");
        }
        let combined = CombinedKeySerde { foreign: keys(), primary: keys() };
        assert!(combined.deserialize(&[0, 0, 0, 2, b'a']).is_err());
    }

    #[test]
    fn a_subscription_without_a_partition_is_of_the_old_version() {
        let serde = SubscriptionSerde(keys());
        let instruction = Instruction::AnswerAlways;
        let old = Subscription { hash: None, instruction, key: "b".to_owned(), partition: None };
        assert_eq!(bytes(&serde, &old), [0x80, 2, b'b']);
        assert_eq!(serde.deserialize(&[0x80, 2, b'b']).unwrap(), old);
    }

    proptest! {
        #[test]
        fn what_is_sent_comes_back(
            hash: Option<RowHash>, key in ".{0,20}", partition: Option<i32>, value in proptest::option::of(".{1,20}"),
        ) {
            let instruction = Instruction::AnswerIfFound;
            let subscription = Subscription { hash, instruction, key: key.clone(), partition };
            let serde = SubscriptionSerde(keys());
            prop_assert_eq!(serde.deserialize(&bytes(&serde, &subscription)).unwrap(), subscription);
            let response = Response { hash, value, partition: None };
            let serde = ResponseSerde(keys());
            prop_assert_eq!(serde.deserialize(&bytes(&serde, &response)).unwrap(), response);
            let combined = CombinedKey { foreign: key.clone(), primary: key };
            let serde = CombinedKeySerde { foreign: keys(), primary: keys() };
            prop_assert_eq!(serde.deserialize(&bytes(&serde, &combined)).unwrap(), combined);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = SubscriptionSerde(keys()).deserialize(&bytes);
            let _ = ResponseSerde(keys()).deserialize(&bytes);
            let _ = CombinedKeySerde { foreign: keys(), primary: keys() }.deserialize(&bytes);
        }
    }
}
