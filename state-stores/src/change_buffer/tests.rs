use proptest::prelude::*;
use streams_core::record::RecordContext;
use streams_core::serdes::{BigEndian, Utf8};

use super::*;
use crate::commit_cycle::{Logged, commit, keys, memory, restore, rocks};
use crate::{Builder, Stores};

type Buffer = ChangeBuffer<String, i64>;

fn builder() -> Builder<Buffer> {
    Stores::change_buffer("waiting", Arc::new(Utf8), Arc::new(BigEndian))
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn context(timestamp: i64) -> BufferedContext {
    let record = Some(RecordContext { topic: "in".into(), partition: 0, offset: 7 });
    BufferedContext { timestamp: at(timestamp), headers: Headers::new(), record }
}

fn logged(record: &Logged) -> (&[u8], Option<&[u8]>) {
    (&record.key, record.value.as_deref())
}

/// The records of a run of Kafka Streams 4.3.1: a row waits, waits on with another value, and leaves.
#[test]
fn bytes_are_those_of_kafka() {
    let texts = Stores::change_buffer::<String, String>("waiting", Arc::new(Utf8), Arc::new(Utf8));
    let mut buffer = texts.open(memory()).unwrap();
    let (b, old, new) = ("b".to_owned(), "ss".to_owned(), "p".to_owned());
    let of = |timestamp, offset| {
        let record = Some(RecordContext { topic: "in".into(), partition: 0, offset });
        BufferedContext { timestamp: at(timestamp), headers: Headers::new(), record }
    };
    buffer.put(at(42_787), &b, None, Some(&old), of(42_787, 2)).unwrap();
    // Bytes of time, key, value and of what is always there: as many as Kafka counts.
    assert_eq!((buffer.len(), buffer.byte_len()), (1, 8 + 1 + 2 + 8 + 8 + 2 + 4));
    let records = commit(&mut buffer);
    let expected = "000000000000a723000000000000000200000002696e0000000000000000ffffffffffffffff\
                    000000027373000000000000a723";
    assert_eq!(hex(logged(&records[0]).1.unwrap()), expected);
    assert_eq!((logged(&records[0]).0, records[0].timestamp), (&b"b"[..], None));
    assert_eq!(records[0].headers.last("v").and_then(|header| header.value.as_deref()), Some(&[3][..]));
    buffer.put(at(43_599), &b, Some(&old), Some(&new), of(43_599, 7)).unwrap();
    let records = commit(&mut buffer);
    let expected = "000000000000aa4f000000000000000700000002696e0000000000000000ffffffff0000000273730000000170\
                    000000000000a723";
    assert_eq!(hex(logged(&records[0]).1.unwrap()), expected);
    buffer.remove_first();
    let records = commit(&mut buffer);
    assert_eq!((logged(&records[0]), records[0].headers.is_empty()), ((&b"b"[..], None), true));
    assert_eq!((buffer.len(), buffer.byte_len()), (0, 0));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn records_of_versions_that_cannot_be_read_are_an_error() {
    let mut buffer = builder().open(memory()).unwrap();
    let headers = Headers::new();
    let record = ChangelogRecord { key: b"k", value: Some(b"old form"), timestamp: at(0), headers: &headers };
    let error = buffer.restore(&mut std::iter::once(record), &mut WriteBatch::default()).unwrap_err();
    assert!(error.to_string().contains("only version 3"), "{error}");
}

#[derive(Debug, Clone)]
enum Step {
    Put {
        time: i64,
        key: String,
        new: Option<i64>,
    },
    RemoveFirst,
    Commit,
    /// Falls back to the last commit, as after a crash.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let put = (0i64..20, keys(), prop::option::weighted(0.8, 0i64..9))
        .prop_map(|(time, key, new)| Step::Put { time, key, new });
    let step = prop_oneof![6 => put, 3 => Just(Step::RemoveFirst), 2 => Just(Step::Commit), 1 => Just(Step::Restart)];
    prop::collection::vec(step, 1..60)
}

/// Buffer time, key, prior, old, new, the latest change's time.
type Row = (i64, String, Option<i64>, Option<i64>, Option<i64>, i64);

/// Waiting rows in no order.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model(Vec<Row>);

impl Model {
    fn put(&mut self, time: i64, key: &str, old: Option<i64>, new: Option<i64>) {
        match self.0.iter_mut().find(|row| row.1 == key) {
            Some(row) => (row.3, row.4, row.5) = (old, new, time),
            None => self.0.push((time, key.to_owned(), old, old, new, time)),
        }
    }

    fn remove_first(&mut self) {
        if let Some(place) = self.first() {
            self.0.remove(place);
        }
    }

    fn first(&self) -> Option<usize> {
        (0..self.0.len()).min_by_key(|&place| (self.0[place].0, self.0[place].1.clone()))
    }

    fn bytes(&self) -> usize {
        let len = |value: Option<i64>| value.map_or(0, |_| 8);
        let rows = self.0.iter().map(|(_, key, prior, old, new, _)| {
            let old = if old == prior { None } else { *old };
            8 + key.len() + len(*prior) + len(old) + len(*new) + 22
        });
        rows.sum()
    }
}

/// Compares what both have, without changing either.
fn check(buffer: &mut Buffer, model: &Model) {
    assert_eq!((buffer.len(), buffer.byte_len()), (model.0.len(), model.bytes()));
    for (_, key, prior, ..) in &model.0 {
        assert_eq!(buffer.prior_value(key).unwrap(), Some(*prior), "{key}");
    }
    assert_eq!(buffer.prior_value(&"never there".to_owned()).unwrap(), None);
    let first = model.first().map(|place| {
        let (time, key, _, old, new, timestamp) = model.0[place].clone();
        (at(time), BufferedChange { key, old, new, context: context(timestamp) })
    });
    assert_eq!(buffer.first_time().zip(buffer.first().unwrap()), first);
}

/// Takes everything out of both.
fn drain(mut buffer: Buffer, mut model: Model) {
    while !model.0.is_empty() {
        check(&mut buffer, &model);
        buffer.remove_first();
        model.remove_first();
    }
    check(&mut buffer, &model);
}

fn run(database: Arc<dyn TaskDatabase>, steps: Vec<Step>) {
    let mut buffer = builder().open(Arc::clone(&database)).unwrap();
    let mut copy = builder().open(memory()).unwrap();
    let (mut now, mut committed) = (Model::default(), Model::default());
    for step in steps {
        match step {
            Step::Put { time, key, new } => {
                let old = now.0.iter().find(|row| row.1 == key).map_or(Some(4), |row| row.4);
                buffer.put(at(time), &key, old.as_ref(), new.as_ref(), context(time)).unwrap();
                now.put(time, &key, old, new);
            }
            Step::RemoveFirst => {
                buffer.remove_first();
                now.remove_first();
            }
            Step::Commit => {
                restore(&mut copy, &commit(&mut buffer));
                committed = now.clone();
                check(&mut copy, &committed);
            }
            Step::Restart => {
                buffer = builder().open(Arc::clone(&database)).unwrap();
                now = committed.clone();
            }
        }
        check(&mut buffer, &now);
    }
    // What a standby has gathered from the changelog, and what was restored of it after a restart.
    let reopened = builder().open(Arc::clone(copy.database())).unwrap();
    drain(copy, committed.clone());
    drain(reopened, committed);
    drain(buffer, now);
}

proptest! {
    #[test]
    fn it_holds_the_latest_changes_in_the_order_of_the_first(steps in steps()) {
        run(memory(), steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn it_does_so_on_rocksdb_as_well(steps in steps()) {
        let (_folder, database) = rocks();
        run(database, steps);
    }
}
