//! The way back: from the changelogs into the stores.

use super::error::TaskError;
use super::state_manager::ChangelogPartition;
use super::stream_task::{Phase, StreamTask};
use crate::record::FetchedRecord;
use crate::state::StoreSensors;

impl<M: FetchedRecord> StreamTask<M> {
    /// The changelogs of its stores and how far each is restored; other methods name them by their place here.
    pub fn changelogs(&self) -> &[ChangelogPartition] {
        self.state.changelogs()
    }

    /// Lets each store tell how long its operations take.
    pub fn measure_stores(&mut self) {
        let task = self.id.to_string();
        for store in self.graph.shared.stores_mut() {
            let sensors = StoreSensors::new(&task, store.name());
            store.measure(sensors);
        }
    }

    /// Where restoring has to begin, given the changelog's first offset and its end; [`StreamTask::restore`] is to be
    /// called until it has come to that end.
    ///
    /// # Errors
    /// [`TaskError::ChangelogOutOfRange`] when the store's offset lies outside: its directory is to be deleted.
    pub fn restore_from(&mut self, changelog: usize, start: i64, end: i64) -> Result<i64, TaskError> {
        let next = self.next_to_restore(changelog, start, end)?;
        let run_bytes = self.config.max_load_bytes;
        self.state.begin_restore(self.graph.shared.stores(), changelog, (next, end), run_bytes);
        Ok(next)
    }

    fn next_to_restore(&self, changelog: usize, start: i64, end: i64) -> Result<i64, TaskError> {
        let ChangelogPartition { store, partition, offset, .. } = &self.changelogs()[changelog];
        match *offset {
            None => Ok(start),
            Some(offset) if (start..=end).contains(&offset) => Ok(offset),
            Some(offset) => Err(TaskError::ChangelogOutOfRange {
                task: self.name(),
                store: store.clone(),
                changelog: partition.clone(),
                offset,
                start,
                end,
            }),
        }
    }

    /// Puts a batch of changelog records into their store, in one write with `next_offset`, the offset behind
    /// everything that this batch has seen (control records included).
    ///
    /// # Errors
    /// When the store cannot understand a record or cannot write.
    pub fn restore<R: FetchedRecord>(
        &mut self,
        changelog: usize,
        records: &[R],
        next_offset: i64,
    ) -> Result<(), TaskError> {
        self.expect(Phase::Restoring, "be restored")?;
        let failed = self.store_error();
        self.guarded(|task| {
            let stores = task.graph.shared.stores_mut();
            task.state.restore(stores, changelog, records, next_offset).map_err(failed)
        })
    }
}
