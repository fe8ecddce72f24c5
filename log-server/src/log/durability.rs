//! How a log gets to the disk: group commit, waiting for it, closing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::partition_log::{PartitionLog, lock};
use super::producer_snapshot;
use crate::config::FsyncPolicy;
use crate::error::Error;
use crate::protocol::ErrorCode;

impl PartitionLog {
    /// Asks for a sync of what has been appended, unless the policy leaves it to the operating system.
    pub(crate) fn request_sync(self: &Arc<Self>) {
        if self.options.fsync != FsyncPolicy::Never && !self.sync_requested.swap(true, Ordering::AcqRel) {
            self.options.syncer.request(Arc::clone(self));
        }
    }

    /// Waits until everything before `end_offset` is as durable as the policy promises.
    ///
    /// # Errors
    /// A storage error if the disk failed.
    pub(crate) async fn wait_durable(&self, end_offset: i64) -> Result<(), ErrorCode> {
        let mut watermarks = self.watermarks.subscribe();
        let marks = watermarks.wait_for(|marks| marks.failed || marks.high >= end_offset).await;
        match marks {
            Ok(marks) if marks.high >= end_offset => Ok(()),
            _ => Err(ErrorCode::KafkaStorageError),
        }
    }

    /// Forces everything that has been appended to the disk, then makes it visible. An error stops the
    /// partition: after a failed sync nobody knows what the pages hold, and trying again may claim success.
    pub(crate) fn sync(&self) {
        self.sync_requested.store(false, Ordering::Release);
        let (marks, active, closed) = {
            let mut writer = lock(&self.writer);
            (self.marks_of(&writer), Arc::clone(&writer.active), std::mem::take(&mut writer.unsynced))
        };
        if self.watermarks().failed {
            return;
        }
        let synced = closed.iter().try_for_each(|segment| segment.sync()).and_then(|()| active.sync());
        let synced = synced.and_then(|()| {
            // A new segment's name must be durable as well.
            if closed.is_empty() { Ok(()) } else { self.options.disk.sync_directory(&self.directory) }
        });
        match synced {
            Ok(()) => {
                if !closed.is_empty() {
                    *lock(&self.recovery_point) = active.base_offset;
                }
                self.publish(&marks);
            }
            Err(error) => {
                let _ = self.storage_error("sync", &error);
                self.fail();
            }
        }
    }

    /// Syncs if segments were closed since the last time, where no policy does it: recovery then begins after them.
    pub(crate) fn sync_closed_segments(&self) {
        let waiting = !lock(&self.writer).unsynced.is_empty();
        if waiting && self.options.fsync == FsyncPolicy::Never {
            self.sync();
        }
    }

    /// Stops the partition until a restart has recovered it.
    pub(super) fn fail(&self) {
        self.watermarks.send_modify(|marks| marks.failed = true);
        self.wake_fetches();
    }

    /// Syncs everything and writes the indexes and the producers, so that the next start need not scan.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) fn close(&self) -> Result<(), Error> {
        self.sync();
        if self.watermarks().failed {
            let source = std::io::Error::other("an earlier write or sync failed");
            return Err(Error::Storage { action: "close", path: self.directory.clone(), source });
        }
        let writer = lock(&self.writer);
        let snapshot = producer_snapshot::path(&self.directory, writer.next_offset);
        let disk = self.options.disk.as_ref();
        if disk.exists(&snapshot) && disk.exists(&writer.active.path("index")) {
            // Nothing was appended since the last time.
            return Ok(());
        }
        writer.active.store_indexes().map_err(Error::storage("write", writer.active.path("index")))?;
        producer_snapshot::write(disk, &self.directory, writer.next_offset, &writer.producers)
    }
}
