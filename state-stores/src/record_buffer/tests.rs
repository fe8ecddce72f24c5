use proptest::prelude::*;
use streams_core::Timestamp;
use streams_core::record::RecordContext;
use streams_core::serdes::{BigEndian, Utf8};

use super::*;
use crate::commit_cycle::{commit, keys, memory, restore, rocks};
use crate::{Builder, Stores};

const GRACE_MS: i64 = 10;

type Buffer = RecordBuffer<String, i64>;

fn builder() -> Builder<Buffer> {
    let grace = Duration::from_millis(GRACE_MS as u64);
    Stores::record_buffer("waiting", grace, Arc::new(Utf8), Arc::new(BigEndian))
}

fn at(millis: i64) -> BufferedContext {
    let record = Some(RecordContext { topic: "s".into(), partition: 0, offset: 4 });
    BufferedContext { timestamp: Timestamp::from_millis(millis), headers: Headers::new(), record }
}

/// A record of a run of Kafka Streams 4.3.1.
#[test]
fn bytes_are_those_of_kafka() {
    let grace = Duration::from_secs(5);
    let texts = Stores::record_buffer::<String, String>("waiting", grace, Arc::new(Utf8), Arc::new(Utf8));
    let mut buffer = texts.open(memory()).unwrap();
    assert!(buffer.put(&"b".to_owned(), &"s6".to_owned(), at(8_254)).unwrap());
    assert!(buffer.put(&"b".to_owned(), &"s7".to_owned(), at(13_254)).unwrap());
    let due = buffer.take_due().unwrap();
    let expected = BufferedRecord { key: "b".to_owned(), value: "s6".to_owned(), context: at(8_254) };
    assert_eq!(due, [expected]);
    let records = commit(&mut buffer);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&records[0].key), "00000000000000203e6200000001");
    let expected = "000000000000203e000000000000000400000001730000000000000000ffffffffffffffff0000000273360000000000000000";
    assert_eq!(hex(records[0].value.as_ref().unwrap()), expected);
    assert!(records[0].timestamp.is_none() && records[0].headers.is_empty());
    assert_eq!((records[2].key.clone(), records[2].value.clone()), (records[0].key.clone(), None));
}

#[derive(Debug, Clone)]
enum Step {
    Put {
        time: i64,
        key: String,
        value: i64,
    },
    TakeDue,
    Commit,
    /// Falls back to the last commit, as after a crash.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let put = (0i64..60, keys(), 0i64..9).prop_map(|(time, key, value)| Step::Put { time, key, value });
    let step =
        prop_oneof![6 => put, 3 => Just(Step::TakeDue), 2 => Just(Step::Commit), 1 => Just(Step::Restart)];
    prop::collection::vec(step, 1..60)
}

/// Waiting records: time, key, number of arrival, value.
#[derive(Debug, Clone, Default)]
struct Model {
    waiting: Vec<(i64, String, usize, i64)>,
    clock: i64,
    arrivals: usize,
}

impl Model {
    fn put(&mut self, time: i64, key: String, value: i64) -> bool {
        if self.clock - GRACE_MS > time {
            return false;
        }
        self.arrivals += 1;
        self.waiting.push((time, key, self.arrivals, value));
        self.clock = self.clock.max(time);
        true
    }

    fn take_due(&mut self) -> Vec<BufferedRecord<String, i64>> {
        let due = self.clock - GRACE_MS;
        // A key that goes on where another ends comes before or behind it as the number behind that has it.
        self.waiting.sort_by_key(|(time, key, arrival, _)| {
            (*time, [key.as_bytes(), &(*arrival as u32).to_be_bytes()].concat())
        });
        let taken = self.waiting.iter().take_while(|(time, ..)| *time <= due).count();
        let taken = self.waiting.drain(..taken);
        taken.map(|(time, key, _, value)| BufferedRecord { key, value, context: at(time) }).collect()
    }
}

fn take_all_due(buffer: &mut Buffer) -> Vec<BufferedRecord<String, i64>> {
    let mut all = Vec::new();
    loop {
        let some = buffer.take_due().unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

/// Lets everything leave.
fn drain(mut buffer: Buffer, mut model: Model) {
    let last = ("z".to_owned(), 1);
    assert!(buffer.put(&last.0, &last.1, at(1_000)).unwrap() && model.put(1_000, last.0, last.1));
    assert_eq!(take_all_due(&mut buffer), model.take_due());
}

fn run(database: Arc<dyn TaskDatabase>, steps: Vec<Step>) {
    let mut buffer = builder().open(Arc::clone(&database)).unwrap();
    let mut copy = builder().open(memory()).unwrap();
    let (mut now, mut committed) = (Model { clock: -1, ..Model::default() }, Model::default());
    for step in steps {
        match step {
            Step::Put { time, key, value } => {
                assert_eq!(buffer.put(&key, &value, at(time)).unwrap(), now.put(time, key, value));
            }
            Step::TakeDue => assert_eq!(take_all_due(&mut buffer), now.take_due()),
            Step::Commit => {
                restore(&mut copy, &commit(&mut buffer));
                committed = now.clone();
            }
            Step::Restart => {
                buffer = builder().open(Arc::clone(&database)).unwrap();
                now = committed.clone();
                // The clock is that of what still waits; numbers go on behind those of what still waits.
                now.clock = now.waiting.iter().map(|row| row.0).max().unwrap_or(-1);
                now.arrivals = now.waiting.iter().map(|row| row.2).max().unwrap_or(0);
                committed = now.clone();
            }
        }
    }
    drain(builder().open(Arc::clone(copy.database())).unwrap(), committed.clone());
    drain(copy, committed);
    drain(buffer, now);
}

proptest! {
    #[test]
    fn records_leave_by_time_once_theirs_has_come(steps in steps()) {
        run(memory(), steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn they_do_so_on_rocksdb_as_well(steps in steps()) {
        let (_folder, database) = rocks();
        run(database, steps);
    }
}

#[test]
fn more_records_than_one_look_takes_leave_in_order() {
    let mut buffer = builder().open(memory()).unwrap();
    let count = 3 * TAKEN_AT_ONCE as i64;
    (0..count).for_each(|number| assert!(buffer.put(&"k".to_owned(), &number, at(number / 300)).unwrap()));
    assert!(buffer.put(&"k".to_owned(), &count, at(1_000)).unwrap());
    let values: Vec<i64> = take_all_due(&mut buffer).iter().map(|record| record.value).collect();
    assert_eq!(values, (0..count).collect::<Vec<_>>());
}
