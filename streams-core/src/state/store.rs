//! The traits: backend, database, store, store builder.

use std::any::Any;
use std::collections::HashMap;
use std::fmt::Debug;
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::batch::{KeyspaceId, WriteBatch};
use super::changelog::{ChangelogConfig, ChangelogRecord};
use super::error::StoreError;
use super::measure::{StorageFigure, StoreSensors};
use super::scan::StoreScan;
use crate::processor::RecordArena;
use crate::record::Headers;
use crate::serdes::JsonView;
use crate::time::Timestamp;

/// Opens databases of ordered bytes.
pub trait StateBackend: Send + Sync + Debug {
    /// The backend's name; stores of one task with backends of one name share a database.
    fn name(&self) -> &'static str;

    /// Whether what was written is there after a restart.
    fn persistent(&self) -> bool;

    /// Bounds the memory that all its databases use together (block cache, memtables) to about so many bytes. Does
    /// nothing where there is nothing to bound.
    fn set_memory_budget(&self, _bytes: usize) {}

    /// Counts what its databases do, for [`TaskDatabase::shared_figures`], from the first one opened on. It costs a
    /// little with each operation.
    fn count_operations(&self) {}

    /// Opens, or makes, the database of a task in the directory `dir`, which exists and is locked by the caller.
    ///
    /// # Errors
    /// When the files cannot be read; [`StoreError::Corrupted`] when only a wipe helps.
    fn open(&self, dir: &Path) -> Result<Arc<dyn TaskDatabase>, StoreError>;
}

/// Which way a scan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

/// Keys and values of a scan; it owns its data and sees the database as it was when the scan began.
pub type KeyValueIter<'a> = Box<dyn Iterator<Item = Result<(Box<[u8]>, Box<[u8]>), StoreError>> + Send + 'a>;

/// One task's database: keyspaces of ordered bytes, written in atomic batches.
pub trait TaskDatabase: Send + Sync + Debug {
    /// The keyspace of this name, made where there is none yet.
    ///
    /// # Errors
    /// When the storage fails.
    fn keyspace(&self, name: &str) -> Result<KeyspaceId, StoreError>;

    /// Names of all keyspaces, for instance to find a window store's segments.
    fn keyspaces(&self) -> Vec<String>;

    /// Drops a keyspace with all its data at once (expired segments).
    ///
    /// # Errors
    /// When the storage fails.
    fn drop_keyspace(&self, name: &str) -> Result<(), StoreError>;

    /// Looks a key up and hands its value, where there is one, to `read` without copying; says whether there was.
    ///
    /// # Errors
    /// When the storage fails.
    fn get(&self, keyspace: KeyspaceId, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool, StoreError>;

    /// All keys between two bounds.
    ///
    /// # Errors
    /// When the storage fails.
    fn scan(
        &self,
        keyspace: KeyspaceId,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
    ) -> Result<KeyValueIter<'_>, StoreError>;

    /// Writes a batch: all of it or, if the process dies, nothing of it.
    ///
    /// # Errors
    /// When the storage fails.
    fn write(&self, batch: &WriteBatch) -> Result<(), StoreError>;

    /// Writes a batch as fast as the storage can, in any order and not all at once: if the process dies meanwhile, any
    /// part of it may be there. What is written afterwards by [`TaskDatabase::write`] is there only with all of it.
    ///
    /// # Errors
    /// When the storage fails.
    fn load(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.write(batch)
    }

    /// About how many keys a keyspace holds.
    fn approximate_len(&self, keyspace: KeyspaceId) -> u64;

    /// What can be told of a keyspace, to be summed over those of a store: sizes of memtables and files, work that is
    /// pending. Asked for now and then.
    fn figures(&self, _keyspace: KeyspaceId) -> Vec<StorageFigure> {
        Vec::new()
    }

    /// What can be told of all databases of this kind in the process together: block cache, hit ratios.
    fn shared_figures(&self) -> Vec<StorageFigure> {
        Vec::new()
    }
}

/// The databases of one task, by backend name.
#[derive(Debug, Default)]
pub struct TaskDatabases {
    databases: HashMap<&'static str, (Arc<dyn TaskDatabase>, bool)>,
}

impl TaskDatabases {
    /// The database for a backend, opened at its first use below `dir`.
    ///
    /// # Errors
    /// Those of [`StateBackend::open`].
    pub fn get_or_open(
        &mut self,
        backend: &dyn StateBackend,
        dir: &Path,
    ) -> Result<Arc<dyn TaskDatabase>, StoreError> {
        if let Some((database, _)) = self.databases.get(backend.name()) {
            return Ok(Arc::clone(database));
        }
        let path = dir.join(backend.name());
        if backend.persistent() {
            std::fs::create_dir_all(&path).map_err(|error| StoreError::Storage {
                backend: backend.name(),
                path: path.clone(),
                source: error.into(),
            })?;
        }
        let database = backend.open(&path)?;
        self.databases.insert(backend.name(), (Arc::clone(&database), backend.persistent()));
        Ok(database)
    }

    /// All open databases.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn TaskDatabase>> {
        self.databases.values().map(|(database, _)| database)
    }
}

/// A store as the engine sees it.
///
/// The life of a write: the store's own `put` keeps it among the uncommitted writes (or, with caching, in the
/// cache) → [`flush`](StateStore::flush) turns what the cache holds into changelog records and uncommitted writes →
/// [`take_changelog`](StateStore::take_changelog) hands the changelog records to the producer →
/// [`seal`](StateStore::seal) closes the epoch: later writes belong to the next one → once the records are
/// acknowledged and the input offsets committed, [`stage`](StateStore::stage) copies the sealed writes into the
/// commit's one batch, and [`retire`](StateStore::retire) forgets them. Reads see cache, uncommitted and sealed
/// writes, and the database, in this order.
pub trait StateStore: Any + Send + Debug {
    /// The store's name.
    fn name(&self) -> &str;

    /// Tells the time and headers of the record on whose behalf the store is used next.
    fn enter(&mut self, _timestamp: Timestamp, _headers: &Headers) {}

    /// Turns what a cache still holds into changelog records and uncommitted writes, without forwarding it.
    ///
    /// # Errors
    /// When a value cannot be written.
    fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Moves the changelog records gathered so far behind those of `into`; does nothing where logging is off.
    fn take_changelog(&mut self, into: &mut RecordArena);

    /// How many bytes of uncommitted writes and cached changes it holds.
    fn uncommitted_bytes(&self) -> usize;

    /// How many bytes its cache holds, changed and unchanged entries.
    fn cache_bytes(&self) -> usize {
        0
    }

    /// Bounds the cache to about so many bytes, unless the store was given a bound of its own; with 0 nothing is held back and nothing remembered, as
    /// with Kafka's `statestore.cache.max.bytes=0`.
    fn set_cache_limit(&mut self, _bytes: usize) {}

    /// Whether changes that a cache holds back should be flushed now, for they take most of its room.
    fn needs_flush(&self) -> bool {
        false
    }

    /// Closes the epoch: what is uncommitted now is sealed.
    ///
    /// # Errors
    /// [`StoreError::Misuse`] when the previous epoch is sealed still.
    fn seal(&mut self) -> Result<(), StoreError>;

    /// Copies the sealed writes into the batch.
    ///
    /// # Errors
    /// When a keyspace cannot be opened.
    fn stage(&mut self, batch: &mut WriteBatch) -> Result<(), StoreError>;

    /// Forgets the sealed writes, for they are in the database now; drops expired segments.
    ///
    /// # Errors
    /// When the storage fails.
    fn retire(&mut self) -> Result<(), StoreError>;

    /// Puts changelog records into the batch, as they would have been written by the store itself.
    ///
    /// # Errors
    /// When a record cannot be understood or the storage fails.
    fn restore(
        &mut self,
        records: &mut dyn Iterator<Item = ChangelogRecord<'_>>,
        batch: &mut WriteBatch,
    ) -> Result<(), StoreError>;

    /// Whether [`StateStore::restore`] never reads what it has restored before, so that the database need not have it yet.
    fn restores_blindly(&self) -> bool {
        false
    }

    /// Gives it the sensors for how long its operations take.
    fn measure(&mut self, _sensors: StoreSensors) {}

    /// The keyspaces in which its data lies now.
    fn keyspaces(&self) -> Vec<KeyspaceId> {
        Vec::new()
    }

    /// The database below.
    fn database(&self) -> &Arc<dyn TaskDatabase>;

    /// About how many entries it holds.
    fn approximate_len(&self) -> u64 {
        0
    }

    /// How many puts it has left out since it was opened, as they were older than what it keeps: they count among the
    /// task's dropped records.
    fn expired_records(&self) -> u64 {
        0
    }

    /// Shows every live entry, newest writes included, in the store's own order: for browsing a store whose types are
    /// not known.
    ///
    /// # Errors
    /// When the storage fails.
    fn visit_entries(&mut self, visit: &mut dyn FnMut(StoreEntry<'_>)) -> Result<(), StoreError> {
        self.scan_entries(&StoreScan::all(), &mut |entry| {
            visit(entry);
            ControlFlow::Continue(())
        })
    }

    /// Shows the live entries that a scan asks for, newest writes included, in the store's own order, until `visit`
    /// has enough. A store that cannot be browsed shows none.
    ///
    /// # Errors
    /// When the storage fails.
    fn scan_entries(
        &mut self,
        _scan: &StoreScan,
        _visit: &mut dyn FnMut(StoreEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        Ok(())
    }
}

/// An entry of a store, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreEntry<'a> {
    /// The key alone, as its serde writes it.
    pub key: &'a [u8],
    /// Start and end of its window or session, in stores of these.
    pub window: Option<(Timestamp, Timestamp)>,
    /// The value alone, as its serde writes it.
    pub value: &'a [u8],
    /// The value's time, in timestamped stores; the time from which it is valid, in versioned ones.
    pub timestamp: Option<Timestamp>,
    /// The time up to which it is valid, in versioned stores; none where it is the latest.
    pub valid_to: Option<Timestamp>,
}

/// Makes a store for each task.
pub trait StoreBuilder: Send + Sync + Debug {
    /// The store's name.
    fn name(&self) -> &str;

    /// What it asks of its changelog topic; none where logging is off.
    fn changelog(&self) -> Option<ChangelogConfig>;

    /// Where it keeps its data.
    fn backend(&self) -> Arc<dyn StateBackend>;

    /// Makes the store on a task's database.
    ///
    /// # Errors
    /// When the storage fails.
    fn build(&self, database: Arc<dyn TaskDatabase>) -> Result<Box<dyn StateStore>, StoreError>;

    /// Makes the store as of the last commit beside the one that its task uses, for reading only: nothing may be
    /// written to the database through it.
    ///
    /// # Errors
    /// When the storage fails.
    fn view(&self, database: Arc<dyn TaskDatabase>) -> Result<Box<dyn StateStore>, StoreError> {
        self.build(database)
    }

    /// A key's bytes, by which its partition is found; none where the key is of another type than the store's, or the
    /// store does not tell.
    fn key_bytes(&self, _key: &dyn Any) -> Option<Result<Vec<u8>, StoreError>> {
        None
    }

    /// How the bytes of keys and of values look as JSON, where the store tells.
    fn views(&self) -> Option<(JsonView, JsonView)> {
        None
    }
}

/// Global stores by name, shared by the tasks of a process.
#[derive(Debug, Clone, Default)]
pub struct ReadOnlyStores(HashMap<String, Arc<Mutex<Box<dyn StateStore>>>>);

impl ReadOnlyStores {
    /// Adds a store under its own name.
    pub fn insert(&mut self, store: Box<dyn StateStore>) -> Arc<Mutex<Box<dyn StateStore>>> {
        let name = store.name().to_owned();
        let store = Arc::new(Mutex::new(store));
        self.0.insert(name, Arc::clone(&store));
        store
    }

    /// The store of this name.
    pub fn get(&self, name: &str) -> Option<Arc<Mutex<Box<dyn StateStore>>>> {
        self.0.get(name).cloned()
    }
}
