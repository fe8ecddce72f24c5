//! How a log gets to the disk: group commit, waiting for it, closing.

use std::sync::Arc;

use super::partition_log::{PartitionLog, lock};
use super::producer_snapshot;
use super::sync_journal::Unsynced;
use crate::config::FsyncPolicy;
use crate::error::Error;
use crate::protocol::ErrorCode;

/// Where a log is with being synced: at most one thread does it at a time.
#[derive(Debug, Default)]
pub(super) struct SyncTurn {
    /// Something was appended since the last sync began.
    is_wanted: bool,
    is_running: bool,
}

impl PartitionLog {
    /// Asks for a sync of what has been appended, unless the policy leaves it to the operating system.
    pub(crate) fn request_sync(self: &Arc<Self>) {
        if self.options.fsync == FsyncPolicy::Never {
            return;
        }
        let is_asked_for = {
            let mut turn = lock(&self.sync_turn);
            // Whoever syncs now has it synced again.
            let is_asked_for = turn.is_wanted || turn.is_running;
            turn.is_wanted = true;
            is_asked_for
        };
        if !is_asked_for {
            self.options.syncer.request(Arc::clone(self));
        }
    }

    /// Asks for a sync of what nobody has waited for, if there is something.
    pub(crate) fn sync_what_was_left(self: &Arc<Self>) {
        if self.watermarks().high < lock(&self.writer).next_offset {
            self.request_sync();
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

    /// Syncs the log by itself, unless that is under way: then it is done once more afterwards.
    pub(crate) fn sync(self: &Arc<Self>) {
        if self.begin_sync() {
            self.force();
            self.end_sync();
        }
    }

    /// Takes the log's turn to be synced. When another has it, the log is asked for again at its end.
    pub(super) fn begin_sync(&self) -> bool {
        let mut turn = lock(&self.sync_turn);
        if turn.is_running {
            turn.is_wanted = true;
            return false;
        }
        *turn = SyncTurn { is_wanted: false, is_running: true };
        true
    }

    /// Ends the turn.
    pub(super) fn end_sync(self: &Arc<Self>) {
        let is_wanted = {
            let mut turn = lock(&self.sync_turn);
            turn.is_running = false;
            turn.is_wanted
        };
        if is_wanted {
            // Behind the other logs that wait.
            self.options.syncer.request(Arc::clone(self));
        }
    }

    /// What was appended to the active segment since the last sync; none if more than that must be synced, or the
    /// partition has failed.
    pub(super) fn unsynced(self: &Arc<Self>) -> Option<Unsynced> {
        let (marks, segment, has_closed) = {
            let writer = lock(&self.writer);
            (self.marks_of(&writer), Arc::clone(&writer.active), !writer.unsynced.is_empty())
        };
        let durable = self.watermarks();
        if has_closed || durable.failed || durable.high_segment != segment.base_offset {
            return None;
        }
        let (from, to) = (durable.high_position, marks.high_position);
        Some(Unsynced { log: Arc::clone(self), marks, segment, from, to })
    }

    /// Forces everything that has been appended to the disk, then makes it visible. An error stops the
    /// partition: after a failed sync nobody knows what the pages hold, and trying again may claim success.
    pub(super) fn force(&self) {
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
            self.force();
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
        self.force();
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
