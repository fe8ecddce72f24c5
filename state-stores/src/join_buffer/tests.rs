//! Tests of the buffer of waiting records.

use streams_core::Headers;
use streams_core::serdes::Utf8;

use super::*;
use crate::Stores;
use crate::commit_cycle::{changelog, commit, memory};

type Buffer = JoinBuffer<String, String, String>;

const FIVE: WaitingTime = WaitingTime { left_ms: 5, right_ms: 5 };

fn buffer() -> Buffer {
    let (keys, values) = (Arc::new(Utf8), Arc::new(Utf8));
    Stores::join_buffer("waiting", keys, Arc::clone(&values) as _, values).open(memory()).unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn wait(buffer: &mut Buffer, time: i64, side: JoinSide, key: &str, value: &str) {
    let value = match side {
        JoinSide::Left => WaitingValue::Left(value.to_owned()),
        JoinSide::Right => WaitingValue::Right(value.to_owned()),
    };
    buffer.wait(&key.to_owned(), at(time), value).unwrap();
}

fn take(buffer: &mut Buffer) -> Vec<(i64, JoinSide, String, usize)> {
    let mut taken = Vec::new();
    buffer.take(FIVE, &mut taken).unwrap();
    taken
        .into_iter()
        .map(|(key, values)| (key.timestamp.as_millis(), key.side, key.key, values.len()))
        .collect()
}

/// The bytes that Kafka Streams 4.3.1 writes.
#[test]
fn bytes_are_those_of_kafka() {
    let mut buffer = buffer();
    buffer.enter(at(4_797), &Headers::new());
    wait(&mut buffer, 4_797, JoinSide::Left, "a", "l2");
    buffer.met(&"a".to_owned(), at(4_797), JoinSide::Left).unwrap();
    buffer.met(&"a".to_owned(), at(4_797), JoinSide::Left).unwrap();
    let records = changelog(&mut buffer);
    assert_eq!(records[0].key, [0, 0, 0, 0, 0, 0, 0x12, 0xbd, 1, 0x61]);
    assert_eq!(records[0].value.as_deref().unwrap(), [1, 0, 0, 0, 1, 0, 0, 0, 3, 1, 0x6c, 0x32]);
    assert_eq!(records[0].timestamp, Some(at(4_797)));
    assert_eq!(records[1].value, None);
    assert_eq!(records.len(), 2, "what did not wait leaves no tombstone");
}

#[test]
fn records_leave_by_time_then_right_before_left_then_key() {
    let mut buffer = buffer();
    for (place, (time, side, key)) in [
        (2, JoinSide::Left, "a"),
        (1, JoinSide::Left, "b"),
        (2, JoinSide::Right, "c"),
        (1, JoinSide::Left, "a"),
    ]
    .into_iter()
    .enumerate()
    {
        wait(&mut buffer, time, side, key, "x");
        wait(&mut buffer, time, side, key, "y");
        if place == 1 {
            commit(&mut buffer);
        }
    }
    assert!(buffer.observe(at(7)));
    let first = |key: &str| (1, JoinSide::Left, key.to_owned(), 2);
    assert_eq!(take(&mut buffer), [first("a"), first("b")], "those of time 2 wait until 7 is over");
    assert!(buffer.observe(at(8)));
    assert!(!buffer.observe(at(3)));
    assert_eq!(
        take(&mut buffer),
        [(2, JoinSide::Right, "c".to_owned(), 2), (2, JoinSide::Left, "a".to_owned(), 2)]
    );
    assert!(take(&mut buffer).is_empty());
}

#[test]
fn what_waited_before_a_restart_is_found_again() {
    let mut buffer = buffer();
    wait(&mut buffer, 10, JoinSide::Left, "a", "x");
    commit(&mut buffer);
    let (keys, values) = (Arc::new(Utf8), Arc::new(Utf8));
    let builder = Stores::join_buffer("waiting", keys, Arc::clone(&values) as _, values);
    let mut again: Buffer = builder.open(Arc::clone(buffer.database())).unwrap();
    assert!(again.observe(at(15)));
    let second = Duration::from_secs(1);
    assert!(!again.is_due(5, at(0), second).unwrap());
    assert!(again.observe(at(16)));
    assert!(again.is_due(5, at(0), second).unwrap());
    assert!(!again.is_due(5, at(999), second).unwrap(), "only once in a second");
    assert!(again.is_due(5, at(1_000), second).unwrap());
    assert_eq!(take(&mut again), [(10, JoinSide::Left, "a".to_owned(), 1)]);
}

#[test]
fn more_than_fit_into_memory_leave_in_several_parts() {
    let mut buffer = buffer();
    let count = MOST_KEYS_TAKEN + 1;
    for number in 0..count {
        wait(&mut buffer, 1, JoinSide::Left, &number.to_string(), "x");
    }
    buffer.observe(at(100));
    let mut taken = Vec::new();
    assert!(buffer.take(FIVE, &mut taken).unwrap());
    assert_eq!(taken.len(), MOST_KEYS_TAKEN);
    assert!(!buffer.take(FIVE, &mut taken).unwrap());
    assert_eq!(taken.len(), count);
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
    assert!(split_key(&[0; 8]).is_err());
}
