//! Restore: the record's road backwards, from changelogs into stores.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OnceCell, mpsc};

use super::restore_listener::{StateRestoreListener, StoreRestore};
use super::restore_progress::{RestoreProgress, RestoreRole};
use super::status_board::StatusBoard;
use crate::client::wire::{CommittedOffset, Isolation, OffsetSpec, WireClient};
use crate::client::{
    ClientError, ClientProperties, DataConsumer, FetchAssignment, FetchEvent, FetchFrom, FetchedMessage,
};
use crate::error::Error;
use crate::record::{FetchedRecord, TopicPartition};
use crate::task::{ChangelogPartition, StreamTask, TaskError};

/// Records of changelogs fetched and not yet restored, all tasks of an instance together.
const BUFFER_BYTES: usize = 8 << 20;

/// Restores tasks through one consumer of its own, so that the running tasks' consumer is not disturbed. Tasks are
/// restored side by side.
pub(super) struct Restorer {
    pub(super) properties: ClientProperties,
    pub(super) group_id: String,
    pub(super) wire: WireClient,
    pub(super) isolation: Isolation,
    pub(super) status: StatusBoard,
    /// Told of restores, where the application wants to know.
    pub(super) listener: Option<Arc<dyn StateRestoreListener>>,
    /// Longest wait without any record while some are missing.
    pub(super) patience: Duration,
    pub(super) consumer: OnceCell<Arc<DataConsumer>>,
}

impl std::fmt::Debug for Restorer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restorer").field("isolation", &self.isolation).finish_non_exhaustive()
    }
}

/// A changelog partition that is being read.
#[derive(Debug)]
struct Reading {
    changelog: usize,
    partition: TopicPartition,
    next: i64,
    end: i64,
}

impl Restorer {
    /// Brings the task's stores to the ends of their changelogs. The inner error is the task's.
    pub(super) async fn restore(
        &self,
        task: &mut StreamTask<FetchedMessage>,
        committed: &BTreeMap<TopicPartition, CommittedOffset>,
        role: RestoreRole,
    ) -> Result<Result<(), TaskError>, Error> {
        let bounds = self.bounds(task.changelogs().to_vec(), committed).await?;
        let mut readings = Vec::with_capacity(bounds.len());
        for (changelog, (partition, start, end)) in bounds.into_iter().enumerate() {
            match task.restore_from(changelog, start, end) {
                Ok(next) => readings.push(Reading { changelog, partition, next, end }),
                Err(fault) => return Ok(Err(fault)),
            }
        }
        readings.retain(|reading| reading.next < reading.end);
        if readings.is_empty() {
            return Ok(Ok(()));
        }
        let stores = readings.iter().map(|reading| StoreRestore {
            task: task.id(),
            store: Arc::clone(&task.changelogs()[reading.changelog].store),
            partition: reading.partition.clone(),
            start: reading.next,
            end: reading.end,
            records: 0,
            bytes: 0,
        });
        let listener = self.listener.clone().filter(|_| role == RestoreRole::Active);
        let progress =
            RestoreProgress::begin(task.id(), stores.collect(), role, self.status.clone(), listener);
        let consumer = self.consumer().await?;
        let (sender, events) = mpsc::unbounded_channel();
        let assignments = readings.iter().map(|reading| {
            let (sender, changelog) = (sender.clone(), reading.changelog);
            FetchAssignment {
                partition: reading.partition.clone(),
                from: FetchFrom::Offset(reading.next),
                sink: Box::new(move |event| drop(sender.send((changelog, event)))),
            }
        });
        let _assigned = Assigned {
            consumer: Arc::clone(&consumer),
            partitions: readings.iter().map(|reading| reading.partition.clone()).collect(),
        };
        consumer.assign(assignments.collect()).await?;
        drop(sender);
        self.read(task, readings, events, progress).await
    }

    /// The first offset of each changelog, and the one to restore up to.
    async fn bounds(
        &self,
        changelogs: Vec<ChangelogPartition>,
        committed: &BTreeMap<TopicPartition, CommittedOffset>,
    ) -> Result<Vec<(TopicPartition, i64, i64)>, Error> {
        let partitions: Vec<TopicPartition> =
            changelogs.iter().map(|changelog| changelog.partition.clone()).collect();
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let starts = self.wire.list_offsets(&partitions, OffsetSpec::Earliest, self.isolation).await?;
        let ends = self.wire.list_offsets(&partitions, OffsetSpec::Latest, self.isolation).await?;
        let bound = |changelog: ChangelogPartition| {
            let start = starts.get(&changelog.partition).map_or(0, |listed| listed.offset);
            let mut end = ends.get(&changelog.partition).map_or(0, |listed| listed.offset);
            if changelog.is_source {
                // What the group has not committed will come in as input.
                let processed =
                    committed.get(&changelog.partition).map_or(start, |committed| committed.offset);
                end = end.min(processed);
            }
            (changelog.partition, start, end)
        };
        Ok(changelogs.into_iter().map(bound).collect())
    }

    async fn read(
        &self,
        task: &mut StreamTask<FetchedMessage>,
        mut readings: Vec<Reading>,
        mut events: mpsc::UnboundedReceiver<(usize, FetchEvent)>,
        mut progress: RestoreProgress,
    ) -> Result<Result<(), TaskError>, Error> {
        while !readings.is_empty() {
            let Ok(event) = tokio::time::timeout(self.patience, events.recv()).await else {
                return Err(Error::RestoreStalled { task: task.id(), waited: self.patience });
            };
            let Some((changelog, event)) = event else { return Err(ClientError::Closed.into()) };
            let Some(place) = readings.iter().position(|reading| reading.changelog == changelog) else {
                continue;
            };
            let reading = &mut readings[place];
            let mut read = (0, 0);
            let outcome = match event {
                FetchEvent::Records(batch) => {
                    // Behind the end lie records of the next owner's future, or of an input not yet committed.
                    let wanted = batch.records.partition_point(|record| record.offset() < reading.end);
                    let records = &batch.records[..wanted];
                    let behind = batch.records.last().map_or(reading.next, |last| last.offset() + 1);
                    reading.next = behind.min(reading.end);
                    read = (records.len() as u64, records.iter().map(size).sum());
                    task.restore(changelog, records, reading.next)
                }
                FetchEvent::End { offset } if offset >= reading.end && offset > reading.next => {
                    // Only control records were left.
                    reading.next = reading.end;
                    task.restore::<FetchedMessage>(changelog, &[], reading.next)
                }
                FetchEvent::End { offset } => {
                    if offset >= reading.end {
                        reading.next = reading.end;
                    }
                    Ok(())
                }
                FetchEvent::Fault(ClientError::OffsetOutOfRange { partition, .. }) => {
                    // The changelog was cleaned behind our back: its bounds are to be asked for again.
                    return Err(Error::ChangelogMoved { partition });
                }
                FetchEvent::Fault(fault) => return Err(fault.into()),
            };
            if let Err(fault) = outcome {
                return Ok(Err(fault));
            }
            progress.note(&reading.partition, reading.next, read);
            if reading.next >= reading.end {
                readings.swap_remove(place);
            }
            // Tasks that are restored share their threads.
            tokio::task::yield_now().await;
        }
        Ok(Ok(()))
    }

    async fn consumer(&self) -> Result<Arc<DataConsumer>, Error> {
        let start =
            async || DataConsumer::start(&self.properties, &self.group_id, BUFFER_BYTES).map(Arc::new);
        Ok(Arc::clone(self.consumer.get_or_try_init(start).await?))
    }
}

/// Takes partitions off the restore consumer, also when the restore is given up half-way.
struct Assigned {
    consumer: Arc<DataConsumer>,
    partitions: Vec<TopicPartition>,
}

impl Drop for Assigned {
    fn drop(&mut self) {
        self.consumer.unassign_later(std::mem::take(&mut self.partitions));
    }
}

fn size(record: &FetchedMessage) -> u64 {
    (record.key().map_or(0, <[u8]>::len) + record.value().map_or(0, <[u8]>::len)) as u64
}
