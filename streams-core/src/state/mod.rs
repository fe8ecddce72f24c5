//! What the engine asks of state stores and of the storage below them; the stores themselves are in the crate
//! `state-stores`.
//!
//! Three layers: a [`StateStore`] (typed, named, changelogged) writes to keyspaces of its task's [`TaskDatabase`]
//! (ordered bytes; one database per task and backend), which a [`StateBackend`] (RocksDB, memory, yours) opens.
//! A store never writes to the database by itself: it keeps its uncommitted writes, which its reads see, and hands
//! them over as part of one [`WriteBatch`] per commit, which carries the changelog offsets as well.

mod batch;
mod changelog;
mod error;
mod measure;
mod position;
mod scan;
mod store;

pub use batch::{KeyspaceId, WriteBatch, WriteOp};
pub use changelog::{ChangelogConfig, ChangelogRecord, CleanupPolicy};
pub use error::StoreError;
pub(crate) use measure::storage_metric;
pub use measure::{StorageFigure, StoreOperation, StoreSensors};
pub use position::Position;
pub use scan::{EntryPlace, StoreScan};
pub use store::{
    Direction, KeyValueIter, ReadOnlyStores, StateBackend, StateStore, StoreBuilder, StoreEntry,
    TaskDatabase, TaskDatabases,
};
