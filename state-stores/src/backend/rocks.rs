//! Databases on RocksDB: one per task, a column family per keyspace.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock, PoisonError, RwLock};

use rocksdb::{
    BoundColumnFamily, ColumnFamilyDescriptor, DBWithThreadMode, ErrorKind, IteratorMode, MultiThreaded,
    ReadOptions, WriteBufferManager,
};
use streams_core::state::{
    Direction, KeyValueIter, KeyspaceId, StateBackend, StorageFigure, StoreError, TaskDatabase, WriteBatch,
    WriteOp,
};

use super::memory::is_empty;
use super::rocks_figures;
use super::rocks_load::{self, LoadFolder};
use super::rocks_options::{DEFAULT_BUDGET_BYTES, SharedOptions};

const BACKEND: &str = "rocksdb";
/// A memtable that is smaller than this is not worth a file, however short memory is: others hold it.
const FLUSH_BYTES_MIN: u64 = 1 << 20;

type Db = DBWithThreadMode<MultiThreaded>;

/// Keeps a task's stores in one RocksDB database, with its write-ahead log on: a commit is one atomic write, and
/// what was committed survives the end of the process.
///
/// All databases opened through one `RocksDb` share a block cache and a limit on memtables.
pub struct RocksDb {
    budget_bytes: AtomicUsize,
    count_operations: AtomicBool,
    /// Made when the first database is opened.
    shared: OnceLock<SharedOptions>,
}

static OF_PROCESS: LazyLock<Arc<RocksDb>> =
    LazyLock::new(|| Arc::new(RocksDb::with_budget(DEFAULT_BUDGET_BYTES)));

impl RocksDb {
    /// Databases that may together use about `bytes` of memory for block cache and memtables.
    pub fn with_budget(bytes: usize) -> Self {
        RocksDb {
            budget_bytes: AtomicUsize::new(bytes),
            count_operations: AtomicBool::new(false),
            shared: OnceLock::new(),
        }
    }

    /// The databases of this process, with 128 MiB until the configuration says otherwise; stores use them unless
    /// another backend is named.
    pub fn of_process() -> Arc<RocksDb> {
        Arc::clone(&OF_PROCESS)
    }

    /// How many bytes block cache and memtables use now.
    pub fn memory_bytes(&self) -> usize {
        self.shared.get().map_or(0, |shared| shared.cache.get_usage())
    }

    fn shared(&self) -> &SharedOptions {
        self.shared.get_or_init(|| {
            let counts = self.count_operations.load(Ordering::Relaxed);
            SharedOptions::new(self.budget_bytes.load(Ordering::Relaxed), counts)
        })
    }

    fn open_database(&self, dir: &Path) -> Result<RocksDatabase, StoreError> {
        std::fs::create_dir_all(dir).map_err(|fault| storage_error(dir, fault))?;
        let options = &self.shared().options;
        let names = if dir.join("CURRENT").exists() {
            Db::list_cf(options, dir).map_err(|error| store_error(dir, error))?
        } else {
            vec!["default".to_owned()]
        };
        let families = names.iter().map(|name| ColumnFamilyDescriptor::new(name, options.clone()));
        let db = Db::open_cf_descriptors(options, dir, families).map_err(|error| store_error(dir, error))?;
        let mut keyspaces = Keyspaces::default();
        for name in names {
            keyspaces.add(name);
        }
        let shared = self.shared();
        Ok(RocksDatabase {
            db,
            options: shared.options.clone(),
            counts_operations: shared.counts_operations,
            write_buffers: shared.write_buffers.clone(),
            path: dir.to_owned(),
            keyspaces: RwLock::new(keyspaces),
        })
    }
}

impl fmt::Debug for RocksDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksDb").field("budget_bytes", &self.budget_bytes).finish_non_exhaustive()
    }
}

impl StateBackend for RocksDb {
    fn name(&self) -> &'static str {
        BACKEND
    }

    fn persistent(&self) -> bool {
        true
    }

    fn open(&self, dir: &Path) -> Result<Arc<dyn TaskDatabase>, StoreError> {
        Ok(Arc::new(self.open_database(dir)?))
    }

    fn set_memory_budget(&self, bytes: usize) {
        self.budget_bytes.store(bytes, Ordering::Relaxed);
        if let Some(shared) = self.shared.get() {
            shared.set_budget(bytes);
        }
    }

    fn count_operations(&self) {
        self.count_operations.store(true, Ordering::Relaxed);
    }
}

struct RocksDatabase {
    db: Db,
    /// For column families made later.
    options: rocksdb::Options,
    counts_operations: bool,
    /// Counts the memtables of all databases of the process.
    write_buffers: WriteBufferManager,
    path: PathBuf,
    /// A reader holds the lock while it reads, so that a column family is not dropped under it.
    keyspaces: RwLock<Keyspaces>,
}

#[derive(Default)]
struct Keyspaces {
    /// Column families by number; none once dropped.
    names: Vec<Option<String>>,
    numbers: HashMap<String, u32>,
}

impl Keyspaces {
    fn add(&mut self, name: String) -> KeyspaceId {
        let number = self.names.len() as u32;
        self.numbers.insert(name.clone(), number);
        self.names.push(Some(name));
        KeyspaceId(number)
    }
}

impl RocksDatabase {
    /// The column family of a keyspace, unless it was dropped.
    fn family(&self, keyspaces: &Keyspaces, keyspace: KeyspaceId) -> Option<Arc<BoundColumnFamily<'_>>> {
        self.db.cf_handle(keyspaces.names.get(keyspace.0 as usize)?.as_deref()?)
    }

    /// Where memtables take more than their part of the budget, those that this batch went to are written to disk, and
    /// waited for: RocksDB itself begins to write them, but goes on filling new ones meanwhile.
    fn bound_memtables(&self, keyspaces: &Keyspaces, batch: &WriteBatch) -> Result<(), StoreError> {
        if self.write_buffers.get_usage() <= self.write_buffers.get_buffer_size() {
            return Ok(());
        }
        let written: BTreeSet<u32> = batch.iter().map(|(keyspace, _)| keyspace.0).collect();
        for keyspace in written {
            let Some(family) = self.family(keyspaces, KeyspaceId(keyspace)) else { continue };
            let size = self.db.property_int_value_cf(&family, "rocksdb.cur-size-all-mem-tables");
            if size.ok().flatten().is_some_and(|size| size >= FLUSH_BYTES_MIN) {
                self.db.flush_cf(&family).map_err(|error| self.error(error))?;
            }
        }
        Ok(())
    }

    fn error(&self, error: rocksdb::Error) -> StoreError {
        store_error(&self.path, error)
    }
}

impl TaskDatabase for RocksDatabase {
    fn keyspace(&self, name: &str) -> Result<KeyspaceId, StoreError> {
        let mut keyspaces = self.keyspaces.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(&number) = keyspaces.numbers.get(name) {
            return Ok(KeyspaceId(number));
        }
        self.db.create_cf(name, &self.options).map_err(|error| self.error(error))?;
        Ok(keyspaces.add(name.to_owned()))
    }

    fn keyspaces(&self) -> Vec<String> {
        self.keyspaces.read().unwrap_or_else(PoisonError::into_inner).numbers.keys().cloned().collect()
    }

    fn drop_keyspace(&self, name: &str) -> Result<(), StoreError> {
        let mut keyspaces = self.keyspaces.write().unwrap_or_else(PoisonError::into_inner);
        let Some(&number) = keyspaces.numbers.get(name) else { return Ok(()) };
        self.db.drop_cf(name).map_err(|error| self.error(error))?;
        keyspaces.numbers.remove(name);
        keyspaces.names[number as usize] = None;
        Ok(())
    }

    fn get(&self, keyspace: KeyspaceId, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool, StoreError> {
        let keyspaces = self.keyspaces.read().unwrap_or_else(PoisonError::into_inner);
        let Some(family) = self.family(&keyspaces, keyspace) else { return Ok(false) };
        let value = self.db.get_pinned_cf(&family, key).map_err(|error| self.error(error))?;
        if let Some(value) = &value {
            read(value);
        }
        Ok(value.is_some())
    }

    fn scan(
        &self,
        keyspace: KeyspaceId,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
    ) -> Result<KeyValueIter<'_>, StoreError> {
        let keyspaces = self.keyspaces.read().unwrap_or_else(PoisonError::into_inner);
        let Some(family) = self.family(&keyspaces, keyspace).filter(|_| !is_empty(range)) else {
            return Ok(Box::new(std::iter::empty()));
        };
        let mut options = ReadOptions::default();
        match range.0 {
            Bound::Included(key) => options.set_iterate_lower_bound(key),
            Bound::Excluded(key) => options.set_iterate_lower_bound(successor(key)),
            Bound::Unbounded => {}
        }
        match range.1 {
            Bound::Included(key) => options.set_iterate_upper_bound(successor(key)),
            Bound::Excluded(key) => options.set_iterate_upper_bound(key),
            Bound::Unbounded => {}
        }
        let mode = match direction {
            Direction::Forward => IteratorMode::Start,
            Direction::Backward => IteratorMode::End,
        };
        let entries = self.db.iterator_cf_opt(&family, options, mode);
        Ok(Box::new(entries.map(|entry| entry.map_err(|error| self.error(error)))))
    }

    fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        let keyspaces = self.keyspaces.read().unwrap_or_else(PoisonError::into_inner);
        // RocksDB's own form of a write is no longer than ours, where keys and values are short.
        let mut writes = rocksdb::WriteBatch::with_capacity_bytes(batch.byte_len());
        let mut current = None;
        for (keyspace, op) in batch.iter() {
            if current.as_ref().is_none_or(|(number, _)| *number != keyspace) {
                current = Some((keyspace, self.family(&keyspaces, keyspace)));
            }
            // A keyspace that was dropped since takes its writes with it.
            let Some((_, Some(family))) = &current else { continue };
            match op {
                WriteOp::Put(key, value) => writes.put_cf(family, key, value),
                WriteOp::Delete(key) => writes.delete_cf(family, key),
            }
        }
        self.db.write(writes).map_err(|error| self.error(error))?;
        self.bound_memtables(&keyspaces, batch)
    }

    fn load(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        let keyspaces = self.keyspaces.read().unwrap_or_else(PoisonError::into_inner);
        let folder = LoadFolder::new(&self.path).map_err(|fault| storage_error(&self.path, fault))?;
        let mut few = WriteBatch::default();
        for run in rocks_load::runs(batch) {
            if !run.is_large() {
                run.ops.iter().for_each(|op| few.push(run.keyspace, *op));
                continue;
            }
            // A keyspace that was dropped since takes its writes with it.
            let Some(family) = self.family(&keyspaces, run.keyspace) else { continue };
            let file = run.write(&self.options, &folder).map_err(|error| self.error(error))?;
            let taken = self.db.ingest_external_file_cf_opts(&family, &rocks_load::take_over(), vec![file]);
            taken.map_err(|error| self.error(error))?;
        }
        drop(keyspaces);
        match few.is_empty() {
            true => Ok(()),
            false => self.write(&few),
        }
    }

    fn approximate_len(&self, keyspace: KeyspaceId) -> u64 {
        let keyspaces = self.keyspaces.read().unwrap_or_else(PoisonError::into_inner);
        let Some(family) = self.family(&keyspaces, keyspace) else { return 0 };
        self.db.property_int_value_cf(&family, "rocksdb.estimate-num-keys").ok().flatten().unwrap_or(0)
    }

    fn figures(&self, keyspace: KeyspaceId) -> Vec<StorageFigure> {
        let keyspaces = self.keyspaces.read().unwrap_or_else(PoisonError::into_inner);
        let Some(family) = self.family(&keyspaces, keyspace) else { return Vec::new() };
        rocks_figures::of_keyspace(|property| self.db.property_int_value_cf(&family, property).ok().flatten())
    }

    fn shared_figures(&self) -> Vec<StorageFigure> {
        rocks_figures::of_process(&self.options, self.counts_operations, |property| {
            self.db.property_int_value(property).ok().flatten()
        })
    }
}

impl fmt::Debug for RocksDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksDatabase").field("path", &self.path).finish_non_exhaustive()
    }
}

fn storage_error(path: &Path, fault: std::io::Error) -> StoreError {
    StoreError::Storage { backend: BACKEND, path: path.to_owned(), source: Box::new(fault) }
}

/// The smallest key behind `key`.
fn successor(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

fn store_error(path: &Path, error: rocksdb::Error) -> StoreError {
    let path = path.to_owned();
    let message = error.to_string();
    if error.kind() == ErrorKind::Corruption {
        return StoreError::Corrupted { backend: BACKEND, path, message };
    }
    // RocksDB has no kind of its own for this; the text is that of its lock file's error.
    if error.kind() == ErrorKind::IOError && message.contains("lock") && message.contains("LOCK") {
        return StoreError::Locked { path };
    }
    StoreError::Storage { backend: BACKEND, path, source: Box::new(error) }
}
