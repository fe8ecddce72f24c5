use std::fs;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn write(database: &Arc<dyn TaskDatabase>, keyspace: KeyspaceId, entries: &[(&[u8], &[u8])]) {
    let mut batch = WriteBatch::default();
    entries.iter().for_each(|(key, value)| batch.put(keyspace, key, value));
    database.write(&batch).unwrap();
}

fn value(database: &Arc<dyn TaskDatabase>, keyspace: KeyspaceId, key: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    database.get(keyspace, key, &mut |bytes| found = Some(bytes.to_vec())).unwrap();
    found
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let backend = RocksDb::with_budget(8 << 20);
    let database = backend.open(&folder.path().join("new")).unwrap();
    let (one, two) = (database.keyspace("one").unwrap(), database.keyspace("two").unwrap());
    write(&database, one, &[(b"k", b"1")]);
    write(&database, two, &[(b"k", b"2")]);
    drop(database);
    let database = backend.open(&folder.path().join("new")).unwrap();
    assert_eq!(value(&database, database.keyspace("one").unwrap(), b"k"), Some(b"1".to_vec()));
    assert_eq!(value(&database, database.keyspace("two").unwrap(), b"k"), Some(b"2".to_vec()));
    assert!(backend.memory_bytes() > 0, "memtables are charged to the shared cache");
}

#[test]
fn a_budget_that_is_lowered_late_is_kept() {
    const BUDGET: usize = 6 << 20;
    let folder = TempDir::new().unwrap();
    let backend = RocksDb::with_budget(64 << 20);
    let database = backend.open(folder.path()).unwrap();
    let keyspace = database.keyspace("s").unwrap();
    backend.set_memory_budget(BUDGET);
    for number in 0..40_000u32 {
        let key = number.wrapping_mul(2_654_435_761).to_be_bytes();
        write(&database, keyspace, &[(&key, &[7; 1_000])]);
    }
    // Memtables stay until they are on disk; their flush was due long before the last of these 40 MB.
    let deadline = Instant::now() + Duration::from_secs(30);
    while backend.memory_bytes() > BUDGET {
        assert!(Instant::now() < deadline, "{} bytes", backend.memory_bytes());
        // Spinning would keep the flushes from the processor.
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(value(&database, keyspace, &0u32.to_be_bytes()), Some(vec![7; 1_000]));
}

#[test]
fn a_dropped_keyspace_is_gone_and_takes_late_writes_with_it() {
    let folder = TempDir::new().unwrap();
    let database = RocksDb::of_process().open(folder.path()).unwrap();
    let old = database.keyspace("s").unwrap();
    write(&database, old, &[(b"k", b"1")]);
    database.drop_keyspace("s").unwrap();
    database.drop_keyspace("s").unwrap();
    write(&database, old, &[(b"k", b"2")]);
    assert_eq!(value(&database, old, b"k"), None);
    let new = database.keyspace("s").unwrap();
    assert_eq!(value(&database, new, b"k"), None);
    assert_eq!(database.keyspaces().iter().filter(|name| *name == "s").count(), 1);
}

#[test]
fn bounds_are_kept_in_both_directions() {
    let folder = TempDir::new().unwrap();
    let database = RocksDb::of_process().open(folder.path()).unwrap();
    let keyspace = database.keyspace("s").unwrap();
    write(&database, keyspace, &[(b"a", b""), (b"b", b""), (b"b\0", b""), (b"c", b"")]);
    let scan = |lower, upper, direction| {
        let entries = database.scan(keyspace, (lower, upper), direction).unwrap();
        entries.map(|entry| String::from_utf8(entry.unwrap().0.into()).unwrap()).collect::<Vec<_>>()
    };
    let (a, b, c) = (&b"a"[..], &b"b"[..], &b"c"[..]);
    assert_eq!(scan(Bound::Excluded(a), Bound::Included(b), Direction::Forward), ["b"]);
    assert_eq!(scan(Bound::Included(b), Bound::Excluded(c), Direction::Backward), ["b\0", "b"]);
    assert_eq!(scan(Bound::Unbounded, Bound::Unbounded, Direction::Backward), ["c", "b\0", "b", "a"]);
    assert_eq!(scan(Bound::Included(c), Bound::Included(a), Direction::Forward), [""; 0]);
}

#[test]
fn a_scan_sees_the_database_as_it_was_when_it_began() {
    let folder = TempDir::new().unwrap();
    let database = RocksDb::of_process().open(folder.path()).unwrap();
    let keyspace = database.keyspace("s").unwrap();
    write(&database, keyspace, &[(b"a", b"1"), (b"b", b"1")]);
    let scan = database.scan(keyspace, (Bound::Unbounded, Bound::Unbounded), Direction::Forward).unwrap();
    write(&database, keyspace, &[(b"b", b"2"), (b"c", b"2")]);
    let found: Vec<_> = scan.map(|entry| entry.unwrap().1.to_vec()).collect();
    assert_eq!(found, [b"1", b"1"]);
}

#[test]
fn a_directory_in_use_is_named_with_the_remedy() {
    let folder = TempDir::new().unwrap();
    let _open = RocksDb::of_process().open(folder.path()).unwrap();
    let error = RocksDb::of_process().open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("state.dir"), "{error}");
}

#[test]
fn damage_is_told_from_other_errors() {
    let folder = TempDir::new().unwrap();
    let backend = RocksDb::with_budget(8 << 20);
    drop(backend.open(folder.path()).unwrap());
    let manifest = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let manifest = manifest.into_iter().find(|path| path.to_string_lossy().contains("MANIFEST")).unwrap();
    fs::write(&manifest, [0x5a; 200]).unwrap();
    let error = backend.open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupted { .. }), "{error}");
}

#[test]
fn figures_tell_what_lies_where_and_counts_only_where_asked_for() {
    let figure = |figures: &[StorageFigure], name: &str| {
        figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    };
    for counted in [false, true] {
        let folder = TempDir::new().unwrap();
        let backend = RocksDb::with_budget(8 << 20);
        if counted {
            backend.count_operations();
        }
        let database = backend.open(folder.path()).unwrap();
        let (one, two) = (database.keyspace("one").unwrap(), database.keyspace("two").unwrap());
        write(&database, one, &[(b"k", b"1"), (b"l", b"2")]);
        value(&database, one, b"k");
        value(&database, one, b"absent");
        assert_eq!(figure(&database.figures(one), "num_entries_active_mem_table"), Some(2.0));
        assert_eq!(figure(&database.figures(two), "num_entries_active_mem_table"), Some(0.0));
        let shared = database.shared_figures();
        assert_eq!(figure(&shared, "block_cache_capacity"), Some(f64::from(8 << 20)));
        assert!(figure(&shared, "block_cache_usage") > Some(0.0));
        let ratio = figure(&shared, "memtable_hit_ratio");
        assert_eq!(ratio.is_some(), counted, "{ratio:?}");
        assert!(!counted || (ratio > Some(0.0) && ratio < Some(1.0)), "{ratio:?}");
        database.drop_keyspace("two").unwrap();
        assert_eq!(database.figures(two), []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Batches of which some are loaded: the database is as if all of them had been written one by one.
    #[test]
    fn what_is_loaded_is_as_if_it_had_been_written(
        batches in prop::collection::vec((any::<bool>(), prop::collection::vec((0u16..600, 0u8..4, 0usize..9_000), 0..600)), 1..5),
    ) {
        let folder = TempDir::new().unwrap();
        let backend = RocksDb::with_budget(8 << 20);
        let mut model = std::collections::BTreeMap::new();
        let database = backend.open(folder.path()).unwrap();
        let keyspaces = [database.keyspace("one").unwrap(), database.keyspace("two").unwrap()];
        let gone = database.keyspace("gone").unwrap();
        database.drop_keyspace("gone").unwrap();
        for (number, (load, ops)) in batches.iter().enumerate() {
            let mut batch = WriteBatch::default();
            for &(key, kind, length) in ops {
                let place = usize::from(kind) % 2;
                let key = key.to_be_bytes();
                if kind < 2 {
                    let value = vec![number as u8; length];
                    batch.put(keyspaces[place], &key, &value);
                    model.insert((place, key.to_vec()), value);
                } else {
                    batch.delete(keyspaces[place], &key);
                    model.remove(&(place, key.to_vec()));
                }
                batch.put(gone, &key, &[0; 5_000]);
            }
            if *load { database.load(&batch).unwrap() } else { database.write(&batch).unwrap() }
        }
        drop(database);
        prop_assert!(!folder.path().join("load").exists());
        let database = backend.open(folder.path()).unwrap();
        for (place, name) in ["one", "two"].into_iter().enumerate() {
            let keyspace = database.keyspace(name).unwrap();
            let found: Vec<_> = database
                .scan(keyspace, (Bound::Unbounded, Bound::Unbounded), Direction::Forward)
                .unwrap()
                .map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap())
                .collect();
            let expected: Vec<_> = model
                .iter()
                .filter(|((of, _), _)| *of == place)
                .map(|((_, key), value)| (key.clone(), value.clone()))
                .collect();
            prop_assert!(found == expected, "{} and {} entries", found.len(), expected.len());
        }
    }
}
