//! The records of `__transaction_state`, in Apache Kafka's own schema, so that its tools can read them.
//!
//! Source: `TransactionLogKey.json` and `TransactionLogValue.json` of Apache Kafka's transaction coordinator,
//! version 0 of both.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::transaction::{NO_EPOCH, Transaction, TransactionState};
use crate::journal::ProducerIdentity;
use crate::protocol::fields::{Fields, RecordError, put_string};

const KEY_VERSION: i16 = 0;
const VALUE_VERSION: i16 = 0;

/// The state numbers of the log, beside those of [`TransactionState`]: an id that is being deleted, and one whose
/// producer was being fenced by an older coordinator.
const DEAD: i8 = 6;
const PREPARE_EPOCH_FENCE: i8 = 7;

/// The key of a transactional id.
pub(crate) fn key(transactional_id: &str) -> Bytes {
    let mut key = BytesMut::with_capacity(4 + transactional_id.len());
    key.put_i16(KEY_VERSION);
    put_string(&mut key, transactional_id);
    key.freeze()
}

/// The value of a transactional id.
pub(crate) fn value(transaction: &Transaction) -> Bytes {
    let mut value = BytesMut::new();
    value.put_i16(VALUE_VERSION);
    value.put_i64(transaction.producer.id);
    value.put_i16(transaction.producer.epoch);
    value.put_i32(i32::try_from(transaction.timeout.as_millis()).unwrap_or(i32::MAX));
    value.put_i8(number_of(transaction.state));
    if transaction.state == TransactionState::Empty {
        value.put_i32(-1);
    } else {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in &transaction.partitions {
            topics.entry(topic).or_default().push(*partition);
        }
        value.put_i32(count(topics.len()));
        for (topic, partitions) in topics {
            put_string(&mut value, topic);
            value.put_i32(count(partitions.len()));
            partitions.into_iter().for_each(|partition| value.put_i32(partition));
        }
    }
    value.put_i64(transaction.updated_ms);
    value.put_i64(transaction.started_ms);
    value.freeze()
}

/// Reads a key: the transactional id.
///
/// # Errors
/// When the bytes end early or have a version that is not known.
pub(crate) fn read_key(bytes: &[u8]) -> Result<String, RecordError> {
    let mut fields = Fields::new(bytes);
    match fields.i16()? {
        KEY_VERSION => fields.string(),
        version => Err(RecordError::Version { kind: "transaction key", version }),
    }
}

/// Reads a value; none for an id that is being deleted.
///
/// # Errors
/// When the bytes end early, or have a version or a state that is not known.
pub(crate) fn read_value(bytes: &[u8]) -> Result<Option<Transaction>, RecordError> {
    let mut fields = Fields::new(bytes);
    let version = fields.i16()?;
    if version != VALUE_VERSION {
        return Err(RecordError::Version { kind: "transaction", version });
    }
    let producer = ProducerIdentity { id: fields.i64()?, epoch: fields.i16()? };
    let timeout_ms = fields.i32()?;
    let state = match fields.i8()? {
        0 => TransactionState::Empty,
        1 => TransactionState::Ongoing,
        2 => TransactionState::PrepareCommit,
        3 | PREPARE_EPOCH_FENCE => TransactionState::PrepareAbort,
        4 => TransactionState::CompleteCommit,
        5 => TransactionState::CompleteAbort,
        DEAD => return Ok(None),
        _ => return Err(RecordError::Malformed),
    };
    let mut partitions = std::collections::BTreeSet::new();
    for _ in 0..fields.i32()? {
        let topic = fields.string()?;
        for _ in 0..fields.i32()? {
            partitions.insert((topic.clone(), fields.i32()?));
        }
    }
    Ok(Some(Transaction {
        producer,
        previous_epoch: NO_EPOCH,
        timeout: Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0)),
        state,
        partitions,
        updated_ms: fields.i64()?,
        started_ms: fields.i64()?,
        successor_id: None,
    }))
}

fn number_of(state: TransactionState) -> i8 {
    match state {
        TransactionState::Empty => 0,
        TransactionState::Ongoing => 1,
        TransactionState::PrepareCommit => 2,
        TransactionState::PrepareAbort => 3,
        TransactionState::CompleteCommit => 4,
        TransactionState::CompleteAbort => 5,
    }
}

fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn states() -> impl Strategy<Value = TransactionState> {
        prop_oneof![
            Just(TransactionState::Ongoing),
            Just(TransactionState::PrepareCommit),
            Just(TransactionState::PrepareAbort),
            Just(TransactionState::CompleteCommit),
            Just(TransactionState::CompleteAbort),
        ]
    }

    #[test]
    fn empty_id_has_the_bytes_of_the_schema() {
        let mut transaction = Transaction::new(7, Duration::from_millis(60_000), 9);
        transaction.producer.epoch = 1;
        assert_eq!(key("x").as_ref(), b"\0\0\0\x01x");
        let expected = b"\0\0\0\0\0\0\0\0\0\x07\0\x01\0\0\xea\x60\0\xff\xff\xff\xff\0\0\0\0\0\0\0\x09\
            \xff\xff\xff\xff\xff\xff\xff\xff";
        assert_eq!(value(&transaction).as_ref(), expected);
        assert_eq!(read_value(expected), Ok(Some(transaction)));
    }

    proptest! {
        #[test]
        fn transactions_round_trip(id: i64, epoch: i16, timeout_ms in 0..i32::MAX, state in states(),
                                   partitions in proptest::collection::btree_set(("[a-c]", 0..4_i32), 0..6)) {
            let transaction = Transaction {
                producer: ProducerIdentity { id, epoch },
                timeout: Duration::from_millis(u64::try_from(timeout_ms).unwrap()),
                state,
                partitions,
                started_ms: 5,
                ..Transaction::new(id, Duration::ZERO, 6)
            };
            prop_assert_eq!(read_value(&value(&transaction)), Ok(Some(transaction)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read_key(&bytes);
            let _ = read_value(&bytes);
        }
    }
}
