//! Flush, gather, seal, commit: how the work of an epoch leaves the task.

use super::commit_metadata::CommitMetadata;
use super::epoch::{CommittedOffset, Epoch, Gathered};
use super::error::TaskError;
use super::state_manager::store_bytes;
use super::stream_task::{Phase, StreamTask};
use crate::processor::RecordArena;
use crate::record::{FetchedRecord, TopicPartition};

/// An epoch that is being committed, as far as the stores need to know.
#[derive(Debug)]
pub(super) struct Sealed {
    /// Changelog offsets that follow from the committed input offsets: source topics that serve as changelogs.
    source_offsets: Vec<Option<i64>>,
    /// The input offsets that the stores' data then stands for.
    positions: Vec<(TopicPartition, i64)>,
}

impl<M: FetchedRecord> StreamTask<M> {
    /// Takes out what is to be produced, to be sent before a commit or between two of them. `spare` may be what an
    /// earlier call returned, once the producer has copied it: its room is used again.
    pub fn gather(&mut self, mut spare: Gathered) -> Gathered {
        spare.changelogs.iter_mut().for_each(RecordArena::clear);
        spare.changelogs.resize_with(self.state.changelogs().len(), RecordArena::default);
        for (place, store) in self.graph.shared.stores_mut().iter_mut().enumerate() {
            let Some(changelog) = self.state.changelog_of(place) else { continue };
            store.take_changelog(&mut spare.changelogs[changelog]);
            if self.state.changelogs()[changelog].is_source {
                // The records are in the source topic already.
                spare.changelogs[changelog].clear();
            }
        }
        spare.records = self.graph.shared.output.take(spare.records);
        spare
    }

    /// Whether there is anything to commit.
    pub fn needs_commit(&self) -> bool {
        let moved = self.group.queues().iter().zip(&self.committed).any(|(queue, committed)| {
            queue.offset_to_commit().is_some_and(|offset| Some(offset) != *committed)
        });
        moved || self.touched || store_bytes(self.graph.shared.stores()).0 > 0
    }

    /// Whether an epoch was sealed whose stores are not committed yet.
    pub fn is_sealed(&self) -> bool {
        self.sealed.is_some()
    }

    /// Closes the epoch: caches are flushed through the nodes, stores set their uncommitted writes aside. The task
    /// may go on processing; its work belongs to the next epoch.
    ///
    /// # Errors
    /// When the previous epoch is not committed yet, a node or a store fails.
    pub fn seal(&mut self, spare: Gathered) -> Result<Epoch, TaskError> {
        self.expect(Phase::Running, "seal an epoch")?;
        if self.sealed.is_some() {
            let (task, state) = (self.name(), "still committing the previous epoch");
            return Err(TaskError::OutOfTurn { task, state, call: "seal another" });
        }
        self.guarded(|task| task.close_epoch(spare))
    }

    /// Makes the sealed epoch's writes durable, once its records are acknowledged and its offsets committed.
    /// `changelog_offsets` has, for each of [`StreamTask::changelogs`], the offset behind the last record that was
    /// produced to it; none where none was.
    ///
    /// # Errors
    /// When no epoch is sealed or the storage fails.
    pub fn commit_stores(&mut self, changelog_offsets: &[Option<i64>]) -> Result<(), TaskError> {
        self.expect(Phase::Running, "commit")?;
        let Some(sealed) = self.sealed.take() else {
            let (task, state) = (self.name(), "in the middle of an epoch");
            return Err(TaskError::OutOfTurn { task, state, call: "commit one that is not sealed" });
        };
        let given = |changelog: usize| changelog_offsets.get(changelog).copied().flatten();
        let offsets: Vec<Option<i64>> = sealed
            .source_offsets
            .iter()
            .enumerate()
            .map(|(changelog, source)| source.or_else(|| given(changelog)))
            .collect();
        let failed = self.store_error();
        self.guarded(|task| {
            let stores = task.graph.shared.stores_mut();
            task.state.commit(stores, &offsets, &sealed.positions).map_err(failed)
        })
    }

    /// Lets the nodes forward what caches hold back, parents first, and the stores write the rest.
    pub(super) fn flush_caches(&mut self) -> Result<(), TaskError> {
        let (task, failed) = (self.name(), self.store_error());
        self.leave_record(self.graph.shared.stream_time);
        let flushed = self.graph.flush();
        self.graph.shared.dead_letters.clear();
        flushed.map_err(|source| TaskError::Step { task, step: "a flush", source })?;
        self.graph.shared.stores_mut().iter_mut().try_for_each(|store| store.flush()).map_err(failed)
    }

    fn close_epoch(&mut self, spare: Gathered) -> Result<Epoch, TaskError> {
        self.flush_caches()?;
        let gathered = self.gather(spare);
        let failed = self.store_error();
        self.graph.shared.stores_mut().iter_mut().try_for_each(|store| store.seal()).map_err(failed)?;
        let mut offsets = Vec::new();
        let mut positions = Vec::new();
        for (queue, committed) in self.group.queues().iter().zip(&mut self.committed) {
            let Some(offset) = queue.offset_to_commit() else { continue };
            positions.push((queue.partition.clone(), offset));
            if *committed != Some(offset) {
                *committed = Some(offset);
                let metadata =
                    CommitMetadata::encode(queue.partition_time, &self.graph.shared.processor_metadata);
                let committed = CommittedOffset { offset, leader_epoch: queue.leader_epoch, metadata };
                offsets.push((queue.partition.clone(), committed));
            }
        }
        let source_offsets = self.state.changelogs().iter().map(|changelog| {
            let input = positions.iter().find(|(partition, _)| *partition == changelog.partition);
            input.filter(|_| changelog.is_source).map(|(_, offset)| *offset)
        });
        self.sealed = Some(Sealed { source_offsets: source_offsets.collect(), positions });
        self.touched = false;
        self.graph.shared.commit_requested = false;
        let number = self.epoch;
        self.epoch += 1;
        Ok(Epoch { number, offsets, gathered })
    }
}
