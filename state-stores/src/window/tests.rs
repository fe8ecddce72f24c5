use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use streams_core::Headers;
use streams_core::serdes::{BigEndian, Utf8};

use super::*;
use crate::Stores;
use crate::commit_cycle::{Setup, changelog, commit, keys, memory, restore, rocks, setups, write_sealed};

const SIZE_MS: u64 = 10_000;
const RETENTION_MS: u64 = 150_000;
const INTERVAL_MS: i64 = 75_000;

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn window_store() -> Builder<WindowStore<String, i64>> {
    let (size, retention) = (Duration::from_millis(SIZE_MS), Duration::from_millis(RETENTION_MS));
    Stores::window("w", size, retention, Arc::new(Utf8), Arc::new(BigEndian))
}

fn entries(found: WindowEntries<'_, String, i64>) -> Vec<(i64, String, i64)> {
    let entry = |entry: Result<(Windowed<String>, i64), StoreError>| {
        let (windowed, value) = entry.unwrap();
        assert_eq!(windowed.window.end, windowed.window.start + Duration::from_millis(SIZE_MS));
        (windowed.window.start.as_millis(), windowed.key, value)
    };
    found.map(entry).collect()
}

#[test]
fn old_windows_are_hidden_at_once_and_dropped_with_their_segment() {
    let mut store = window_store().open(memory()).unwrap();
    let key = "a".to_owned();
    assert!(store.put(&key, Some(1), ms(0)).unwrap());
    assert!(store.put(&key, Some(2), ms(80_000)).unwrap());
    commit(&mut store);
    assert_eq!(store.database().keyspaces().len(), 3, "the store's own and two segments");
    assert!(store.put(&key, Some(3), ms(150_000)).unwrap());
    assert_eq!(store.fetch(&key, ms(0)).unwrap(), None, "150 s old");
    assert_eq!(store.fetch(&key, ms(80_000)).unwrap(), Some(2));
    assert!(store.put(&key, Some(4), ms(225_000)).unwrap());
    assert!(!store.put(&key, Some(5), ms(0)).unwrap(), "its segment is no more");
    assert_eq!(store.expired_records(), 1);
    commit(&mut store);
    let mut names = store.database().keyspaces();
    names.sort();
    assert_eq!(names, ["w", "w:75000:150000", "w:75000:225000", "w:75000:75000"]);
}

#[test]
fn what_is_too_old_goes_to_the_changelog_all_the_same() {
    let mut store = window_store().open(memory()).unwrap();
    store.enter(ms(3), &Headers::new());
    store.put(&"a".to_owned(), Some(1), ms(1_000_000)).unwrap();
    store.put(&"a".to_owned(), Some(2), ms(0)).unwrap();
    let records = changelog(&mut store);
    assert_eq!(records.len(), 2);
    assert_eq!(records[1].key, [0x61, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(records[1].timestamp, Some(ms(3)), "the current record's time");
}

#[test]
fn duplicates_stay_in_the_order_in_which_they_were_put() {
    let mut store = window_store().retain_duplicates().open(memory()).unwrap();
    let key = "a".to_owned();
    for value in [3, 1, 2] {
        store.put(&key, Some(value), ms(5)).unwrap();
    }
    store.put(&key, Some(0), ms(4)).unwrap();
    store.put(&key, None, ms(5)).unwrap();
    let found = entries(store.fetch_between(&key, ms(0), ms(9)).unwrap());
    assert_eq!(found.iter().map(|(_, _, value)| *value).collect::<Vec<_>>(), [0, 3, 1, 2]);
    store.put(&"aa".to_owned(), Some(9), ms(5)).unwrap();
    let mut visited = Vec::new();
    store.visit_between(&key, ms(4), ms(5), |start, value| visited.push((start, value))).unwrap();
    assert_eq!(visited, [(ms(4), 0), (ms(5), 3), (ms(5), 1), (ms(5), 2)]);
    // A null is in the changelog with a number of its own, as in Kafka, and changes nothing in the store.
    let records = changelog(&mut store);
    assert_eq!(records[3].key, [0x61, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 4]);
    assert_eq!(records[4].key, [0x61, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 5]);
    assert_eq!(records[4].value, None);
}

#[test]
fn duplicates_that_were_restored_are_not_replaced() {
    let mut store = window_store().retain_duplicates().open(memory()).unwrap();
    let key = "a".to_owned();
    store.put(&key, Some(3), ms(5)).unwrap();
    let records = commit(&mut store);
    let mut copy = window_store().retain_duplicates().open(memory()).unwrap();
    restore(&mut copy, &records);
    copy.put(&key, Some(4), ms(5)).unwrap();
    let found = entries(copy.fetch_between(&key, ms(0), ms(9)).unwrap());
    assert_eq!(found.iter().map(|(_, _, value)| *value).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn updates_of_a_window_are_held_back_as_one_change() {
    let mut store = window_store().caching(true).keep_old_values(true).open(memory()).unwrap();
    let key = "a".to_owned();
    for _ in 0..3 {
        store.update(&key, ms(20_000), |count| *count = Some(count.unwrap_or(0) + 1)).unwrap();
    }
    let change = store.next_change().unwrap().unwrap();
    assert_eq!(change.key, Windowed::new(key.clone(), Window::new(20_000, 30_000)));
    assert_eq!((change.old, change.new), (None, Some(3)));
    store.update(&key, ms(20_000), |count| *count = Some(count.unwrap_or(0) + 1)).unwrap();
    let change = store.next_change().unwrap().unwrap();
    assert_eq!((change.old, change.new), (Some(3), Some(4)));
    assert_eq!(store.next_change().unwrap(), None);
}

#[test]
fn another_retention_keeps_what_is_young_enough_for_it() {
    let database = memory();
    let store = |retention_ms| {
        let (size, retention) = (Duration::from_millis(SIZE_MS), Duration::from_millis(retention_ms));
        let builder =
            Stores::window::<String, i64>("w", size, retention, Arc::new(Utf8), Arc::new(BigEndian));
        builder.open(Arc::clone(&database)).unwrap()
    };
    let mut long = store(600_000);
    for minute in 0..10 {
        long.put(&"a".to_owned(), Some(minute), ms(minute * 60_000)).unwrap();
    }
    commit(&mut long);
    let mut short = store(150_000);
    assert_eq!(entries(short.all().unwrap()).iter().map(|found| found.2).collect::<Vec<_>>(), [7, 8, 9]);
    commit(&mut short);
    let mut long = store(600_000);
    let found: Vec<_> = entries(long.all().unwrap()).iter().map(|found| found.2).collect();
    assert!(found.ends_with(&[7, 8, 9]), "{found:?}");
    assert!(database.keyspaces().iter().all(|name| name == "w" || name.starts_with("w:300000:")));
}

#[test]
fn the_index_by_time_is_made_anew_for_another_retention_and_goes_when_nobody_wants_it() {
    let database = memory();
    let store = |retention_ms, ordered| {
        let (size, retention) = (Duration::from_millis(SIZE_MS), Duration::from_millis(retention_ms));
        let builder =
            Stores::window::<String, i64>("w", size, retention, Arc::new(Utf8), Arc::new(BigEndian));
        builder.time_ordered(ordered).open(Arc::clone(&database)).unwrap()
    };
    let starts = |store: &mut WindowStore<String, i64>| -> Vec<i64> {
        let found = entries(store.kept_between(ms(420_000), ms(540_000)).unwrap());
        found.iter().map(|found| found.0 / 60_000).collect()
    };
    let is_index = |name: &String| name.starts_with("w:index:");
    let mut long = store(600_000, true);
    for minute in (0..10).rev() {
        long.put(&"a".to_owned(), Some(minute), ms(minute * 60_000)).unwrap();
    }
    assert_eq!(starts(&mut long), [7, 8, 9]);
    commit(&mut long);
    assert_eq!(database.keyspaces().iter().filter(|name| is_index(name)).count(), 2);
    assert_eq!(starts(&mut store(600_000, true)), [7, 8, 9]);
    assert_eq!(starts(&mut store(150_000, true)), [7, 8, 9]);
    assert!(database.keyspaces().iter().all(|name| !name.starts_with("w:index:300000")));
    assert_eq!(starts(&mut store(150_000, false)), [7, 8, 9]);
    assert!(!database.keyspaces().iter().any(is_index));
}

#[derive(Debug, Clone)]
enum Step {
    Put(String, i64, Option<i64>),
    Add(String, i64),
    Fetch(String, i64),
    Between(String, i64, i64, bool),
    Range(String, String, i64, i64, bool),
    All(bool),
    Kept(i64, i64),
    Seal,
    Commit,
    Restart,
}

/// Times that now and then leave a segment behind.
fn times() -> impl Strategy<Value = i64> {
    prop_oneof![4 => (0i64..20).prop_map(|n| n * 5_000), 3 => 0i64..400_000, 1 => 300_000i64..700_000]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (keys(), times(), prop::option::weighted(0.8, 0i64..9)).prop_map(|(k, t, v)| Step::Put(k, t, v)),
        5 => (keys(), times()).prop_map(|(key, time)| Step::Add(key, time)),
        3 => (keys(), times()).prop_map(|(key, time)| Step::Fetch(key, time)),
        3 => (keys(), times(), times(), any::<bool>()).prop_map(|(k, f, t, d)| Step::Between(k, f, t, d)),
        3 => (keys(), keys(), times(), times(), any::<bool>())
            .prop_map(|(a, b, f, t, d)| Step::Range(a, b, f, t, d)),
        1 => any::<bool>().prop_map(Step::All),
        3 => (times(), times()).prop_map(|(from, to)| Step::Kept(from, to)),
        1 => Just(Step::Seal),
        2 => Just(Step::Commit),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..50)
}

/// All windows ever put, and the clock; what is too old is left out when it is read.
#[derive(Debug, Clone, Default)]
struct Model {
    windows: BTreeMap<(i64, String), i64>,
    observed: i64,
}

impl Model {
    fn get(&self, key: &str, time: i64) -> Option<i64> {
        let hidden = time <= self.observed - RETENTION_MS as i64;
        self.windows.get(&(time, key.to_owned())).copied().filter(|_| !hidden)
    }

    fn set(&mut self, key: String, time: i64, value: Option<i64>) {
        self.observed = self.observed.max(time);
        match value {
            Some(value) => self.windows.insert((time, key), value),
            None => self.windows.remove(&(time, key)),
        };
    }

    /// In the store's order: by segment, key and time, in memory by time and key.
    fn list(&self, in_memory: bool, admits: impl Fn(&str, i64) -> bool) -> Vec<(i64, String, i64)> {
        let visible = self.windows.iter().filter(|((time, key), _)| self.get(key, *time).is_some());
        let mut found: Vec<_> = visible
            .filter(|((time, key), _)| admits(key, *time))
            .map(|((time, key), value)| (*time, key.clone(), *value))
            .collect();
        if !in_memory {
            let place = |time: i64, key: &str| {
                let mut bytes = key.as_bytes().to_vec();
                key_schema::append_suffix(&mut bytes, time, 0);
                (time / INTERVAL_MS, bytes)
            };
            found.sort_by_key(|(time, key, _)| place(*time, key));
        }
        found
    }
}

fn check(mut expected: Vec<(i64, String, i64)>, forward: bool, found: Vec<(i64, String, i64)>) {
    if !forward {
        expected.reverse();
    }
    assert_eq!(found, expected);
}

fn read(store: &mut WindowStore<String, i64>, model: &Model, by_time: bool, step: Step) {
    match step {
        Step::Fetch(key, time) => assert_eq!(store.fetch(&key, ms(time)).unwrap(), model.get(&key, time)),
        Step::Between(key, from, to, forward) => {
            let found = match forward {
                true => entries(store.fetch_between(&key, ms(from), ms(to)).unwrap()),
                false => entries(store.backward_fetch_between(&key, ms(from), ms(to)).unwrap()),
            };
            check(model.list(true, |it, time| *it == key && time >= from && time <= to), forward, found);
        }
        Step::Range(a, b, from, to, forward) => {
            let keys = a.clone()..=b.clone();
            let found = match forward {
                true => entries(store.fetch_range(keys, ms(from), ms(to)).unwrap()),
                false => entries(store.backward_fetch_range(keys, ms(from), ms(to)).unwrap()),
            };
            let admits = |it: &str, time| it >= &*a && it <= &*b && time >= from && time <= to;
            check(model.list(by_time, admits), forward, found);
        }
        Step::Kept(from, to) => {
            // What is hidden may be shown or not.
            let mut kept = entries(store.kept_between(ms(from), ms(to)).unwrap());
            kept.retain(|(time, ..)| *time > model.observed - RETENTION_MS as i64);
            check(model.list(true, |_, time| time >= from && time <= to), true, kept);
        }
        Step::All(true) => check(model.list(by_time, |_, _| true), true, entries(store.all().unwrap())),
        Step::All(false) => {
            check(model.list(by_time, |_, _| true), false, entries(store.backward_all().unwrap()));
        }
        _ => {}
    }
}

/// `ordered` says of each start of the store in turn whether windows are kept by time.
fn run(setup: Setup, in_memory: bool, ordered: [bool; 2], database: Arc<dyn TaskDatabase>, steps: Vec<Step>) {
    let builder = window_store().caching(setup.caching).cache_bytes(setup.cache_bytes);
    let builder = if in_memory { builder.in_memory() } else { builder };
    let mut ordered = ordered.into_iter().cycle();
    let mut next = || {
        let ordered = ordered.next().unwrap();
        (builder.clone().time_ordered(ordered), in_memory || ordered)
    };
    let (first, copy_by_time) = next();
    let (mut store, mut by_time) = (first.open(Arc::clone(&database)).unwrap(), copy_by_time);
    let mut copy = first.open(memory()).unwrap();
    let (mut now, mut sealed, mut committed) = (Model::default(), None, Model::default());
    let mut records = Vec::new();
    for step in steps {
        match step {
            Step::Put(key, time, value) => {
                store.put(&key, value, ms(time)).unwrap();
                now.set(key, time, value);
            }
            Step::Add(key, time) => {
                store.update(&key, ms(time), |value| *value = Some(value.unwrap_or(0) + 1)).unwrap();
                now.observed = now.observed.max(time);
                let value = now.get(&key, time).unwrap_or(0) + 1;
                now.set(key, time, Some(value));
            }
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
                // Deleting what is not there moves the clock, but not always the copy's.
                let visible =
                    |(time, ..): &(i64, String, i64)| *time > committed.observed - RETENTION_MS as i64;
                let mut all = entries(copy.all().unwrap());
                all.retain(visible);
                assert_eq!(all, committed.list(copy_by_time, |_, _| true));
                let mut kept = entries(copy.kept_between(ms(0), Timestamp::MAX).unwrap());
                kept.retain(visible);
                assert_eq!(kept, committed.list(true, |_, _| true));
            }
            Step::Restart => {
                let (builder, is_by_time) = next();
                (store, by_time) = (builder.open(Arc::clone(&database)).unwrap(), is_by_time);
                sealed = None;
                now = committed.clone();
            }
            step => read(&mut store, &now, by_time, step),
        }
    }
    assert_eq!(entries(store.all().unwrap()), now.list(by_time, |_, _| true));
}

proptest! {
    #[test]
    fn it_holds_the_windows_of_the_retention(
        setup in setups(), in_memory: bool, ordered: [bool; 2], steps in steps(),
    ) {
        run(setup, in_memory, ordered, memory(), steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn it_does_so_on_rocksdb_as_well(setup in setups(), ordered: [bool; 2], steps in steps()) {
        let (_folder, database) = rocks();
        run(setup, false, ordered, database, steps);
    }
}
