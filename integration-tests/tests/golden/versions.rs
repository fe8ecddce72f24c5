//! Comparing versioned stores: by look-ups, as the reference's entries were found.
//!
//! They are what each key's look-ups answered, at the time of every input record and without a time; how long a version
//! holds they do not say.

use std::collections::BTreeSet;

use serde_json::Value;
use streams_dsl::Timestamp;
use streams_dsl::stores::VersionedKeyValueStore;
use streams_test_driver::TopologyTestDriver;

use crate::case::Case;

/// Key, value, beginning.
type Version = (String, String, i64);

pub(crate) fn compare(
    case: &Case,
    name: &str,
    expected: &[Value],
    driver: &mut TopologyTestDriver,
) -> Result<(), String> {
    let theirs: BTreeSet<Version> = expected.iter().map(version).collect();
    let mut keys: BTreeSet<String> = theirs.iter().map(|(key, ..)| key.clone()).collect();
    driver.visit_store(name, |store| {
        let visited = store.visit_entries(&mut |entry| {
            keys.insert(String::from_utf8_lossy(entry.key).into_owned());
        });
        visited.expect("the store can be read");
    });
    let times: Vec<Timestamp> =
        case.steps.iter().filter_map(|step| Some(Timestamp::from_millis(step.input.as_ref()?.ts))).collect();
    type Texts = VersionedKeyValueStore<String, String>;
    type Nullable = VersionedKeyValueStore<Option<String>, String>;
    let found = driver
        .store(name, |store: &mut Texts| look_up(store, &keys, &times, String::clone))
        .or_else(|_| {
            driver.store(name, |store: &mut Nullable| look_up(store, &keys, &times, |key| Some(key.clone())))
        })
        .map_err(|error| error.to_string())?;
    match found == theirs {
        true => Ok(()),
        false => Err(format!("store {name} holds\n{found:#?}\nbut the reference's holds\n{theirs:#?}")),
    }
}

fn look_up<K: 'static>(
    store: &mut VersionedKeyValueStore<K, String>,
    keys: &BTreeSet<String>,
    times: &[Timestamp],
    key_of: impl Fn(&String) -> K,
) -> BTreeSet<Version> {
    let mut found = BTreeSet::new();
    for key in keys {
        let typed = key_of(key);
        let mut note = |version: Option<streams_dsl::stores::VersionedRecord<String>>| {
            found.extend(version.map(|it| (key.clone(), it.value, it.timestamp.as_millis())));
        };
        note(store.get(&typed).expect("the store can be read"));
        for time in times {
            note(store.get_as_of(&typed, *time).expect("the store can be read"));
        }
    }
    found
}

fn version(entry: &Value) -> Version {
    let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    (text("key"), text("value"), entry["ts"].as_i64().unwrap_or_default())
}
