use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use streams_core::serdes::{BigEndian, Utf8};
use streams_core::state::StateStore;
use streams_core::{Headers, Timestamp};

use super::*;
use crate::commit_cycle::{
    Logged, Setup, changelog, commit, keys, memory, restore, rocks, setups, write_sealed,
};
use crate::{Builder, Stores};

type Counts = TimestampedKeyValueStore<String, i64>;

fn counts() -> Builder<Counts> {
    Stores::timestamped_key_value("counts", Arc::new(Utf8), Arc::new(BigEndian))
}

fn at(store: &mut Counts, timestamp: i64) {
    store.enter(Timestamp::from_millis(timestamp), &Headers::new());
}

fn add(store: &mut Counts, key: &str, timestamp: i64) {
    at(store, timestamp);
    let change = |count: &mut Option<ValueAndTimestamp<i64>>| {
        let old = count.take().map_or(0, |count| count.value);
        *count = Some(ValueAndTimestamp::new(old + 1, timestamp));
    };
    store.update(&key.to_owned(), change).unwrap();
}

fn stamped(value: i64, timestamp: i64) -> Option<ValueAndTimestamp<i64>> {
    Some(ValueAndTimestamp::new(value, timestamp))
}

#[test]
fn held_back_changes_are_one_per_key_in_the_order_of_the_latest() {
    let mut store = counts().caching(true).keep_old_values(true).open(memory()).unwrap();
    for (key, timestamp) in [("a", 1), ("b", 2), ("a", 3)] {
        add(&mut store, key, timestamp);
    }
    assert!(changelog(&mut store).is_empty(), "nothing is written before a flush");
    let first = store.next_change().unwrap().unwrap();
    assert_eq!((first.key.as_str(), first.old, first.new), ("b", None, stamped(1, 2)));
    let second = store.next_change().unwrap().unwrap();
    assert_eq!((second.key.as_str(), second.old, second.new), ("a", None, stamped(2, 3)));
    assert_eq!(store.next_change().unwrap(), None);
    add(&mut store, "a", 5);
    add(&mut store, "a", 4);
    let third = store.next_change().unwrap().unwrap();
    assert_eq!((third.old, third.new), (stamped(2, 3), stamped(4, 4)));
    assert_eq!(third.timestamp, Timestamp::from_millis(4));
    assert_eq!(changelog(&mut store).len(), 3);
}

#[test]
fn what_comes_and_goes_between_flushes_leaves_no_trace() {
    let mut store = counts().caching(true).open(memory()).unwrap();
    let key = "a".to_owned();
    add(&mut store, "a", 1);
    store.put(&key, None).unwrap();
    assert_eq!(store.next_change().unwrap(), None);
    assert_eq!(commit(&mut store), []);
    add(&mut store, "a", 2);
    commit(&mut store);
    at(&mut store, 9);
    store.put(&key, None).unwrap();
    let change = store.next_change().unwrap().unwrap();
    assert_eq!((change.old, change.new, change.timestamp), (None, None, Timestamp::from_millis(9)));
    assert_eq!(store.get(&key).unwrap(), None);
}

#[test]
fn the_changelog_carries_the_bare_value_and_its_time() {
    let mut store = counts().open(memory()).unwrap();
    at(&mut store, 50);
    store.put(&"a".to_owned(), stamped(7, 40)).unwrap();
    store.put(&"a".to_owned(), None).unwrap();
    let logged = |value: Option<i64>, timestamp| Logged {
        key: b"a".to_vec(),
        value: value.map(|value| value.to_be_bytes().to_vec()),
        timestamp: Some(Timestamp::from_millis(timestamp)),
        headers: Headers::new(),
    };
    assert_eq!(changelog(&mut store), [logged(Some(7), 40), logged(None, 50)]);
}

#[test]
fn the_database_holds_the_time_in_front_of_the_value() {
    let mut store = counts().open(memory()).unwrap();
    store.put(&"k".to_owned(), stamped(1, 123_456_789)).unwrap();
    commit(&mut store);
    let keyspace = store.database().keyspace("counts").unwrap();
    let mut bytes = Vec::new();
    assert!(store.database().get(keyspace, b"k", &mut |value| bytes = value.to_vec()).unwrap());
    assert_eq!(bytes, [0, 0, 0, 0, 0x07, 0x5b, 0xcd, 0x15, 0, 0, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn a_prefix_finds_its_keys_alone() {
    let mut store =
        Stores::key_value("s", Arc::new(Utf8), Arc::new(BigEndian)).caching(true).open(memory()).unwrap();
    for (number, key) in ["a", "ab", "abc", "b", "ac"].iter().enumerate() {
        store.put(&(*key).to_owned(), Some(number as i64)).unwrap();
        if number == 2 {
            commit(&mut store);
        }
    }
    let found: Vec<_> = store.prefix_scan(b"ab").unwrap().map(Result::unwrap).collect();
    assert_eq!(found, [("ab".to_owned(), 1), ("abc".to_owned(), 2)]);
    let all = store.reverse_all().unwrap().map(|entry| entry.unwrap().1).collect::<Vec<_>>();
    assert_eq!(all, [3, 4, 2, 1, 0]);
}

#[test]
fn a_full_cache_asks_for_a_flush_and_stays_within_its_bound() {
    const BOUND: usize = 20_000;
    let mut store = counts().caching(true).cache_bytes(BOUND).open(memory()).unwrap();
    for number in 0..10_000i64 {
        add(&mut store, &format!("key-{number}"), number);
        if store.needs_flush() {
            store.flush().unwrap();
        }
        assert!(store.cache_bytes() <= BOUND + BOUND / 8, "{} bytes", store.cache_bytes());
    }
    commit(&mut store);
    for number in [0, 17, 9_999] {
        assert_eq!(store.get(&format!("key-{number}")).unwrap(), stamped(1, number));
    }
}

#[test]
fn a_view_sees_what_is_committed_and_nothing_else() {
    let database = memory();
    let mut store = counts().caching(true).open(Arc::clone(&database)).unwrap();
    let mut view = counts().caching(true).view(database).unwrap();
    add(&mut store, "a", 1);
    assert_eq!(view.get(&"a".to_owned()).unwrap(), None);
    commit(&mut store);
    add(&mut store, "a", 2);
    assert_eq!(view.get(&"a".to_owned()).unwrap(), stamped(1, 1));
    commit(&mut store);
    assert_eq!(view.all().unwrap().map(Result::unwrap).collect::<Vec<_>>().len(), 1);
    assert_eq!(view.get(&"a".to_owned()).unwrap(), stamped(2, 2));
}

#[test]
fn a_value_that_stands_for_null_deletes() {
    for caching in [false, true] {
        let values = Arc::new(streams_core::serdes::Nullable(BigEndian));
        let builder = Stores::key_value::<String, Option<i64>>("s", Arc::new(Utf8), values);
        let mut store = builder.caching(caching).open(memory()).unwrap();
        let key = "a".to_owned();
        store.put(&key, Some(Some(1))).unwrap();
        commit(&mut store);
        store.put(&key, Some(None)).unwrap();
        store.flush().unwrap();
        assert_eq!(store.get(&key).unwrap(), None);
        assert_eq!(changelog(&mut store)[0].value, None);
        commit(&mut store);
        assert_eq!(store.all().unwrap().count(), 0);
    }
}

#[test]
fn two_epochs_cannot_be_sealed_at_once() {
    let mut store = counts().open(memory()).unwrap();
    store.seal().unwrap();
    let error = store.seal().unwrap_err();
    assert!(matches!(error, StoreError::Misuse { .. }), "{error}");
}

#[test]
fn bytes_of_another_type_are_an_error_that_names_the_store() {
    let database = memory();
    let texts = Stores::key_value::<String, String>("s", Arc::new(Utf8), Arc::new(Utf8));
    let mut texts = texts.open(Arc::clone(&database)).unwrap();
    texts.put(&"a".to_owned(), Some("text".to_owned())).unwrap();
    commit(&mut texts);
    let numbers = Stores::key_value::<String, i64>("s", Arc::new(Utf8), Arc::new(BigEndian));
    let error = numbers.open(database).unwrap().get(&"a".to_owned()).unwrap_err();
    assert!(error.to_string().starts_with("store s holds bytes that cannot be read: 4 bytes"), "{error}");
}

#[derive(Debug, Clone)]
enum Step {
    Put(String, Option<i64>),
    Add(String, i64),
    Get(String),
    Range(String, String, bool),
    Flush,
    Seal,
    Commit,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (keys(), prop::option::of(0i64..9)).prop_map(|(key, value)| Step::Put(key, value)),
        6 => (keys(), 1i64..9).prop_map(|(key, by)| Step::Add(key, by)),
        4 => keys().prop_map(Step::Get),
        3 => (keys(), keys(), any::<bool>()).prop_map(|(from, to, forward)| Step::Range(from, to, forward)),
        1 => Just(Step::Flush),
        1 => Just(Step::Seal),
        2 => Just(Step::Commit),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

type Model = BTreeMap<String, i64>;

/// Runs the steps on a store and on a map; the changelog's copy must equal what was committed.
fn run(setup: Setup, database: Arc<dyn TaskDatabase>, steps: Vec<Step>) {
    let builder = Stores::key_value::<String, i64>("s", Arc::new(Utf8), Arc::new(BigEndian))
        .caching(setup.caching)
        .cache_bytes(setup.cache_bytes);
    let mut store = builder.open(Arc::clone(&database)).unwrap();
    let mut copy = builder.open(memory()).unwrap();
    let (mut now, mut sealed, mut committed) = (Model::new(), None, Model::new());
    let mut records = Vec::new();
    for step in steps {
        match step {
            Step::Put(key, value) => {
                store.put(&key, value).unwrap();
                match value {
                    Some(value) => now.insert(key, value),
                    None => now.remove(&key),
                };
            }
            Step::Add(key, by) => {
                store.update(&key, |value| *value = Some(value.unwrap_or(0) + by)).unwrap();
                *now.entry(key).or_default() += by;
            }
            Step::Get(key) => assert_eq!(store.get(&key).unwrap(), now.get(&key).copied()),
            Step::Range(from, to, forward) => check_range(&mut store, &now, &from, &to, forward),
            Step::Flush => store.flush().unwrap(),
            Step::Seal if sealed.is_none() => {
                store.flush().unwrap();
                records = changelog(&mut store);
                store.seal().unwrap();
                sealed = Some(now.clone());
            }
            Step::Seal | Step::Commit => {
                if let Some(sealed) = sealed.take() {
                    write_sealed(&mut store);
                    committed = sealed;
                } else {
                    records = commit(&mut store);
                    committed = now.clone();
                }
                restore(&mut copy, &records);
                let all: Model = copy.all().unwrap().map(Result::unwrap).collect();
                assert_eq!(all, committed);
            }
            Step::Restart => {
                store = builder.open(Arc::clone(&database)).unwrap();
                sealed = None;
                now = committed.clone();
            }
        }
    }
    let all: Vec<_> = store.all().unwrap().map(Result::unwrap).collect();
    assert_eq!(all, now.into_iter().collect::<Vec<_>>());
}

fn check_range(store: &mut KeyValueStore<String, i64>, now: &Model, from: &str, to: &str, forward: bool) {
    let (from, to) = (from.to_owned(), to.to_owned());
    let mut expected: Vec<_> = match from <= to {
        true => now.range(from.clone()..=to.clone()).map(|(key, value)| (key.clone(), *value)).collect(),
        false => Vec::new(),
    };
    let found: Vec<_> = match forward {
        true => store.range(from..=to).unwrap().map(Result::unwrap).collect(),
        false => store.reverse_range(from..=to).unwrap().map(Result::unwrap).collect(),
    };
    if !forward {
        expected.reverse();
    }
    assert_eq!(found, expected);
}

proptest! {
    #[test]
    fn it_is_a_map_that_restarts_where_it_was_committed(setup in setups(), steps in steps()) {
        run(setup, memory(), steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn it_is_one_on_rocksdb_as_well(setup in setups(), steps in steps()) {
        let (_folder, database) = rocks();
        run(setup, database, steps);
    }
}
