//! What an application may be told of restores.

use std::sync::Arc;

use crate::record::TopicPartition;
use crate::topology::TaskId;

/// Is told how restores go on (Kafka's `StateRestoreListener`). Called on the threads that restore, so it is to be quick;
/// a panic in it is logged and changes nothing.
pub trait StateRestoreListener: Send + Sync {
    /// A store begins to be restored.
    fn on_restore_start(&self, _restore: &StoreRestore) {}

    /// A batch of `records` has been restored.
    fn on_batch_restored(&self, _restore: &StoreRestore, _records: u64) {}

    /// A store is restored.
    fn on_restore_end(&self, _restore: &StoreRestore) {}

    /// A restore was given up half-way: the task is another instance's now, or has failed.
    fn on_restore_suspended(&self, _restore: &StoreRestore) {}
}

/// A store that is being restored, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRestore {
    /// The task.
    pub task: TaskId,
    /// The store.
    pub store: Arc<str>,
    /// The changelog's partition.
    pub partition: TopicPartition,
    /// The offset that restoring began at.
    pub start: i64,
    /// The offset up to which it goes.
    pub end: i64,
    /// Records restored so far.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}
