use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use streams_core::serdes::{BigEndian, Utf8};

use super::*;
use crate::commit_cycle::{Setup, changelog, commit, keys, memory, restore, rocks, setups};
use crate::{Builder, Stores};

const RETENTION_MS: i64 = 130_000;

fn session_store() -> Builder<SessionStore<String, i64>> {
    let retention = Duration::from_millis(RETENTION_MS as u64);
    Stores::session("s", retention, Arc::new(Utf8), Arc::new(BigEndian))
}

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

type Found = Vec<(String, Window, i64)>;

fn entries(found: WindowEntries<'_, String, i64>) -> Found {
    let entry = |entry: Result<(Windowed<String>, i64), StoreError>| {
        let (windowed, value) = entry.unwrap();
        (windowed.key, windowed.window, value)
    };
    found.map(entry).collect()
}

#[test]
fn a_session_is_logged_under_its_key_end_and_start() {
    let mut store = session_store().open(memory()).unwrap();
    store.enter(ms(7), &streams_core::Headers::new());
    store.put(&"a".to_owned(), Window::new(0, 10_000), Some(1)).unwrap();
    store.remove(&"a".to_owned(), Window::new(0, 10_000)).unwrap();
    let records = changelog(&mut store);
    assert_eq!(records[0].key, [0x61, 0, 0, 0, 0, 0, 0, 0x27, 0x10, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((records[0].timestamp, records[1].value.clone()), (Some(ms(7)), None));
}

#[test]
fn held_back_sessions_are_told_with_their_bounds() {
    let mut store = session_store().caching(true).keep_old_values(true).open(memory()).unwrap();
    let (key, session) = ("a".to_owned(), Window::new(5, 10));
    store.put(&key, session, Some(1)).unwrap();
    commit(&mut store);
    store.remove(&key, session).unwrap();
    store.put(&key, Window::new(5, 20), Some(2)).unwrap();
    let removed = store.next_change().unwrap().unwrap();
    assert_eq!((removed.key.window, removed.old, removed.new), (session, Some(1), None));
    let merged = store.next_change().unwrap().unwrap();
    assert_eq!((merged.key.window, merged.old, merged.new), (Window::new(5, 20), None, Some(2)));
    assert_eq!(store.next_change().unwrap(), None);
}

#[derive(Debug, Clone)]
enum Step {
    Put(String, i64, i64, Option<i64>),
    Find(String, i64, i64, bool),
    Session(String, i64, i64),
    Fetch(String),
    Ended(i64, i64),
    Commit,
    Restart,
}

fn times() -> impl Strategy<Value = i64> {
    prop_oneof![4 => (0i64..12).prop_map(|n| n * 10_000), 2 => 0i64..400_000]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lengths = || prop::sample::select(vec![0i64, 1, 10_000, 50_000]);
    let step = prop_oneof![
        6 => (keys(), times(), lengths(), prop::option::weighted(0.7, 0i64..9))
            .prop_map(|(key, start, length, value)| Step::Put(key, start, start + length, value)),
        4 => (keys(), times(), times(), any::<bool>()).prop_map(|(k, end, start, d)| Step::Find(k, end, start, d)),
        2 => (keys(), times(), lengths()).prop_map(|(key, start, length)| Step::Session(key, start, start + length)),
        1 => keys().prop_map(Step::Fetch),
        1 => (times(), times()).prop_map(|(from, to)| Step::Ended(from, to)),
        2 => Just(Step::Commit),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..50)
}

/// All sessions ever put by end, start and key, and the clock.
#[derive(Debug, Clone, Default)]
struct Model {
    sessions: BTreeMap<(Timestamp, Timestamp, String), i64>,
    observed: i64,
}

impl Model {
    fn list(&self, admits: impl Fn(&str, Window) -> bool) -> Found {
        let visible = self.sessions.iter().filter(|((end, ..), _)| *end > ms(self.observed - RETENTION_MS));
        let found =
            visible.map(|((end, start, key), value)| (key.clone(), Window::new(*start, *end), *value));
        found.filter(|(key, session, _)| admits(key, *session)).collect()
    }
}

fn check(mut expected: Found, forward: bool, found: Found) {
    if !forward {
        expected.reverse();
    }
    assert_eq!(found, expected);
}

fn read(store: &mut SessionStore<String, i64>, model: &Model, step: Step) {
    match step {
        Step::Find(key, end, start, forward) => {
            let admits =
                |it: &str, session: Window| it == key && session.end >= ms(end) && session.start <= ms(start);
            let found = match forward {
                true => entries(store.find_sessions(&key, ms(end), ms(start)).unwrap()),
                false => entries(store.backward_find_sessions(&key, ms(end), ms(start)).unwrap()),
            };
            check(model.list(admits), forward, found);
        }
        Step::Session(key, start, end) => {
            let session = Window::new(start, end);
            let expected = model.list(|it, other| it == key && other == session).first().map(|found| found.2);
            assert_eq!(store.fetch_session(&key, session).unwrap(), expected);
        }
        Step::Fetch(key) => check(model.list(|it, _| it == key), true, entries(store.fetch(&key).unwrap())),
        Step::Ended(from, to) => {
            let admits = |_: &str, session: Window| session.end >= ms(from) && session.end <= ms(to);
            check(model.list(admits), true, entries(store.ended_between(ms(from), ms(to)).unwrap()));
            // What is hidden may be shown or not.
            let mut kept = entries(store.kept_between(ms(from), ms(to)).unwrap());
            kept.retain(|(_, session, _)| session.end > ms(model.observed - RETENTION_MS));
            check(model.list(admits), true, kept);
        }
        _ => {}
    }
}

/// `ordered` says of each start of the store in turn whether sessions are kept by time.
fn run(setup: Setup, ordered: [bool; 2], database: Arc<dyn TaskDatabase>, steps: Vec<Step>) {
    let builder = session_store().caching(setup.caching).cache_bytes(setup.cache_bytes);
    let mut ordered = ordered.into_iter().cycle();
    let mut next = || builder.clone().time_ordered(ordered.next().unwrap());
    let builder = next();
    let mut store = builder.open(Arc::clone(&database)).unwrap();
    let mut copy = builder.open(memory()).unwrap();
    let (mut now, mut committed) = (Model::default(), Model::default());
    for step in steps {
        match step {
            Step::Put(key, start, end, value) => {
                store.put(&key, Window::new(start, end), value).unwrap();
                now.observed = now.observed.max(end);
                match value {
                    Some(value) => now.sessions.insert((ms(end), ms(start), key), value),
                    None => now.sessions.remove(&(ms(end), ms(start), key)),
                };
            }
            Step::Commit => {
                restore(&mut copy, &commit(&mut store));
                committed = now.clone();
                // Deleting what is not there moves the clock, but not always the copy's.
                let visible = |_: &str, session: Window| session.end > ms(committed.observed - RETENTION_MS);
                let mut all = entries(copy.ended_between(ms(0), Timestamp::MAX).unwrap());
                all.retain(|(key, session, _)| visible(key, *session));
                assert_eq!(all, committed.list(|_, _| true));
                let mut kept = entries(copy.kept_between(ms(0), Timestamp::MAX).unwrap());
                kept.retain(|(key, session, _)| visible(key, *session));
                assert_eq!(kept, all);
            }
            Step::Restart => {
                store = next().open(Arc::clone(&database)).unwrap();
                now = committed.clone();
            }
            step => read(&mut store, &now, step),
        }
    }
    let mut all = entries(store.fetch_range(..).unwrap());
    all.sort_by_key(|(key, session, _)| (session.end, session.start, key.clone()));
    assert_eq!(all, now.list(|_, _| true));
}

proptest! {
    #[test]
    fn it_finds_the_sessions_of_the_retention(setup in setups(), ordered: [bool; 2], steps in steps()) {
        run(setup, ordered, memory(), steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn it_does_so_on_rocksdb_as_well(setup in setups(), ordered: [bool; 2], steps in steps()) {
        let (_folder, database) = rocks();
        run(setup, ordered, database, steps);
    }
}
