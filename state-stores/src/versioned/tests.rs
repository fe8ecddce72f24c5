use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use streams_core::serdes::{BigEndian, Utf8};

use super::*;
use crate::commit_cycle::{changelog, commit, keys, memory, restore, rocks};
use crate::{Builder, Stores};

const HISTORY_MS: i64 = 20_000;

fn versioned() -> Builder<VersionedKeyValueStore<String, i64>> {
    let history = Duration::from_millis(HISTORY_MS as u64);
    Stores::versioned_key_value("v", history, Arc::new(Utf8), Arc::new(BigEndian))
}

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// The first steps of a run of Kafka Streams 4.3.1 with a history of 20 s.
#[test]
fn puts_answer_as_kafkas() {
    let mut store = versioned().open(memory()).unwrap();
    let (a, bb) = ("a".to_owned(), "bb".to_owned());
    let record = |value, timestamp, valid_to: Option<i64>| {
        Some(VersionedRecord { value, timestamp: ms(timestamp), valid_to: valid_to.map(ms) })
    };
    assert_eq!(store.put(&a, Some(&0), ms(31_334)).unwrap(), VersionedPut::Latest);
    assert_eq!(store.put(&bb, Some(&2), ms(33_964)).unwrap(), VersionedPut::Latest);
    assert_eq!(store.put(&a, Some(&3), ms(34_632)).unwrap(), VersionedPut::Latest);
    assert_eq!(store.put(&a, Some(&4), ms(34_072)).unwrap(), VersionedPut::Until(ms(34_632)));
    assert_eq!(store.get(&a).unwrap(), record(3, 34_632, None));
    assert_eq!(store.put(&a, None, ms(38_618)).unwrap(), VersionedPut::Latest);
    assert_eq!(store.get(&a).unwrap(), None);
    assert_eq!(store.get_as_of(&a, ms(33_618)).unwrap(), record(0, 31_334, Some(34_072)));
    assert_eq!(store.put(&a, Some(&8), ms(0)).unwrap(), VersionedPut::TooOld);
    assert_eq!(store.expired_records(), 1);
    assert_eq!(store.put(&a, Some(&11), ms(39_386)).unwrap(), VersionedPut::Latest);
    assert_eq!(store.get_as_of(&a, ms(34_386)).unwrap(), record(4, 34_072, Some(34_632)));
    let records = changelog(&mut store);
    assert_eq!(records.len(), 7, "what is too old is logged as well");
    assert_eq!((records[4].value.clone(), records[4].timestamp), (None, Some(ms(38_618))));
    assert_eq!(records[5].value, Some(8i64.to_be_bytes().to_vec()));
}

#[test]
fn versions_of_a_span_come_latest_first_without_deletions() {
    let mut store = versioned().open(memory()).unwrap();
    let key = "a".to_owned();
    for (value, at) in [(Some(1), 10), (None, 20), (Some(3), 30), (Some(4), 40)] {
        store.put(&key, value.as_ref(), ms(at)).unwrap();
    }
    let mut values = |from, to| -> Vec<i64> {
        store.versions(&key, ms(from), ms(to)).unwrap().into_iter().map(|version| version.value).collect()
    };
    assert_eq!(values(0, 100), [4, 3, 1]);
    assert_eq!(values(35, 39), [3]);
    assert_eq!(values(20, 29), [0i64; 0]);
    assert_eq!(values(19, 30), [3, 1]);
    store.put(&key, None, ms(50)).unwrap();
    let ended: Vec<i64> =
        store.versions(&key, ms(0), Timestamp::MAX).unwrap().into_iter().map(|it| it.value).collect();
    assert_eq!(ended, [4, 3, 1], "a deletion that is the latest ends the search");
}

#[test]
fn a_latest_value_never_grows_old_and_history_does() {
    let mut store = versioned().open(memory()).unwrap();
    let (a, b) = ("a".to_owned(), "b".to_owned());
    store.put(&a, Some(&1), ms(0)).unwrap();
    store.put(&b, Some(&1), ms(0)).unwrap();
    store.put(&b, Some(&2), ms(1_000)).unwrap();
    commit(&mut store);
    store.put(&b, Some(&3), ms(100_000)).unwrap();
    commit(&mut store);
    assert_eq!(store.get_as_of(&a, ms(500)).unwrap().map(|record| record.value), Some(1));
    assert_eq!(store.get_as_of(&b, ms(500)).unwrap(), None);
    let segments = store.database().keyspaces();
    assert_eq!(
        segments.len(),
        3,
        "the store's own, the endless one, that of b's second version: {segments:?}"
    );
}

#[derive(Debug, Clone)]
enum Step {
    Put(String, Option<i64>, i64),
    Get(String),
    AsOf(String, i64),
    Commit,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Time goes on by and by, so that most puts are young enough.
    let time =
        || prop_oneof![3 => 0i64..30_000, 1 => 20_000i64..60_000, 1 => (0i64..6).prop_map(|n| n * 5_000)];
    let step = prop_oneof![
        6 => (keys(), prop::option::weighted(0.7, 0i64..9), time()).prop_map(|(k, v, t)| Step::Put(k, v, t)),
        2 => keys().prop_map(Step::Get),
        4 => (keys(), time()).prop_map(|(key, time)| Step::AsOf(key, time)),
        2 => Just(Step::Commit),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

/// All versions that were put in time.
#[derive(Debug, Clone, Default)]
struct Model {
    versions: BTreeMap<String, BTreeMap<i64, Option<i64>>>,
    observed: i64,
}

impl Model {
    fn put(&mut self, key: String, value: Option<i64>, time: i64) -> VersionedPut {
        if time < self.observed - HISTORY_MS {
            return VersionedPut::TooOld;
        }
        self.observed = self.observed.max(time);
        let versions = self.versions.entry(key).or_default();
        versions.insert(time, value);
        let next = versions.range(time + 1..).next();
        next.map_or(VersionedPut::Latest, |(next, _)| VersionedPut::Until(ms(*next)))
    }

    fn as_of(&self, key: &str, time: i64) -> Option<VersionedRecord<i64>> {
        let versions = self.versions.get(key)?;
        let (&from, &value) = versions.range(..=time).next_back()?;
        let valid_to = versions.range(from + 1..).next().map(|(&next, _)| ms(next));
        let forgotten = valid_to.is_some() && time < self.observed - HISTORY_MS;
        Some(VersionedRecord { value: value?, timestamp: ms(from), valid_to }).filter(|_| !forgotten)
    }
}

fn run(database: Arc<dyn TaskDatabase>, steps: Vec<Step>) {
    let builder = versioned();
    let mut store = builder.open(Arc::clone(&database)).unwrap();
    let mut copy = builder.open(memory()).unwrap();
    let (mut now, mut committed) = (Model { observed: -1, ..Model::default() }, Model::default());
    for step in steps {
        match step {
            Step::Put(key, value, time) => {
                assert_eq!(store.put(&key, value.as_ref(), ms(time)).unwrap(), now.put(key, value, time));
            }
            Step::Get(key) => assert_eq!(store.get(&key).unwrap(), now.as_of(&key, i64::MAX - 1)),
            Step::AsOf(key, time) => {
                assert_eq!(store.get_as_of(&key, ms(time)).unwrap(), now.as_of(&key, time));
            }
            Step::Commit => {
                restore(&mut copy, &commit(&mut store));
                committed = now.clone();
                check_all(&mut copy, &committed);
            }
            Step::Restart => {
                store = builder.open(Arc::clone(&database)).unwrap();
                now = committed.clone();
            }
        }
    }
    check_all(&mut store, &now);
}

fn check_all(store: &mut VersionedKeyValueStore<String, i64>, model: &Model) {
    for key in model.versions.keys() {
        for time in (0..65_000).step_by(2_500) {
            assert_eq!(store.get_as_of(key, ms(time)).unwrap(), model.as_of(key, time), "{key:?} at {time}");
        }
    }
}

proptest! {
    #[test]
    fn it_knows_every_moment_of_the_history(steps in steps()) {
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
