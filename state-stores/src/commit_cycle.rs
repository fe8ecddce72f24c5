//! What a task does with its stores around a commit, for the tests of all of them.

use std::sync::Arc;

use proptest::prelude::*;
use streams_core::processor::RecordArena;
use streams_core::state::{ChangelogRecord, StateBackend, StateStore, TaskDatabase, WriteBatch};
use streams_core::{Headers, Timestamp};
use tempfile::TempDir;

use crate::backend::{InMemory, RocksDb};

/// A changelog record that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) headers: Headers,
}

/// A database in memory.
pub(crate) fn memory() -> Arc<dyn TaskDatabase> {
    InMemory.open("unused".as_ref()).unwrap()
}

/// A RocksDB database, gone with the folder.
pub(crate) fn rocks() -> (TempDir, Arc<dyn TaskDatabase>) {
    let folder = TempDir::new().unwrap();
    let database = RocksDb::of_process().open(folder.path()).unwrap();
    (folder, database)
}

/// The changelog records gathered so far.
pub(crate) fn changelog(store: &mut dyn StateStore) -> Vec<Logged> {
    let mut arena = RecordArena::default();
    store.take_changelog(&mut arena);
    let records = arena.iter().map(|(key, value, record)| Logged {
        key: key.unwrap().to_vec(),
        value: value.map(<[u8]>::to_vec),
        timestamp: record.timestamp,
        headers: record.headers.clone(),
    });
    records.collect()
}

/// Flushes, seals, and writes the epoch.
pub(crate) fn commit(store: &mut dyn StateStore) -> Vec<Logged> {
    store.flush().unwrap();
    let records = changelog(store);
    store.seal().unwrap();
    write_sealed(store);
    records
}

/// Writes the sealed epoch.
pub(crate) fn write_sealed(store: &mut dyn StateStore) {
    let mut batch = WriteBatch::default();
    store.stage(&mut batch).unwrap();
    store.database().write(&batch).unwrap();
    store.retire().unwrap();
}

/// Restores records as a task does: in batches, which are written after each.
pub(crate) fn restore(store: &mut dyn StateStore, records: &[Logged]) {
    for records in records.chunks(7) {
        let mut batch = WriteBatch::default();
        let mut records = records.iter().map(|record| ChangelogRecord {
            key: &record.key,
            value: record.value.as_deref(),
            timestamp: record.timestamp.unwrap_or(Timestamp::ZERO),
            headers: &record.headers,
        });
        store.restore(&mut records, &mut batch).unwrap();
        store.database().write(&batch).unwrap();
    }
}

/// How a store is set up in a property test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) caching: bool,
    pub(crate) cache_bytes: usize,
}

/// Caching or not, with no cache, a small one, a large one.
pub(crate) fn setups() -> impl Strategy<Value = Setup> {
    (any::<bool>(), prop::sample::select(vec![0usize, 600, 1 << 20]))
        .prop_map(|(caching, cache_bytes)| Setup { caching, cache_bytes })
}

/// Keys of several lengths, some of them another's beginning.
pub(crate) fn keys() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "a\0", "aa", "ab", "b", "ba\u{7f}", "c", "zz"]).prop_map(str::to_owned)
}
