//! From an assigned task to one that can run: lock, open, restore, find the offsets to begin from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::changelog_keeper::ChangelogKeeper;
use super::pauses::Pauses;
use super::restore::Restorer;
use super::restore_progress::RestoreRole;
use super::retention_check::{RetentionCheck, Retentions};
use super::state_directory::{StateDirectory, TaskDirectory};
use super::status_board::StatusBoard;
use super::task_runner::{offset_sum, task_error, wall_clock};
use crate::client::wire::{CommittedOffset as Fetched, Isolation, OffsetSpec, WireClient};
use crate::client::{FetchFrom, FetchedMessage};
use crate::config::ResetPolicy;
use crate::error::Error;
use crate::membership::{AssignedTask, Lease, MembershipHandle, OffsetToCommit};
use crate::processor::PartitionCounts;
use crate::query::StoreHost;
use crate::record::TopicPartition;
use crate::state::ReadOnlyStores;
use crate::task::{CommittedOffset, StreamTask, TaskConfig, TaskSetup, Tried, TriedStep};
use crate::time::Timestamp;
use crate::topology::{ApplicationTopology, OffsetReset, TaskId};

/// Between two tries to lock a directory that another process still has.
const LOCK_RETRY: Duration = Duration::from_millis(100);

/// Longest wait for openings that were given up, and the time between two looks.
const SETTLE_MAX: Duration = Duration::from_secs(30);
const SETTLE_LOOK: Duration = Duration::from_millis(5);

/// Opens the tasks of an instance.
#[derive(Debug)]
pub(super) struct TaskOpener {
    pub(super) application: Arc<ApplicationTopology>,
    pub(super) directory: Arc<StateDirectory>,
    pub(super) membership: MembershipHandle,
    pub(super) wire: WireClient,
    pub(super) restorer: Arc<Restorer>,
    pub(super) partition_counts: PartitionCounts,
    pub(super) retentions: Retentions,
    pub(super) changelog_keeper: ChangelogKeeper,
    pub(super) globals: ReadOnlyStores,
    pub(super) config: TaskConfig,
    /// Whether stores tell how long their operations take.
    pub(super) measures_stores: bool,
    pub(super) offset_reset: ResetPolicy,
    pub(super) status: StatusBoard,
    /// Opens stores to queries.
    pub(super) host: StoreHost,
    /// How long another process may hold a task's directory.
    pub(super) lock_patience: Duration,
    /// Tasks whose state was found damaged while they ran.
    pub(super) distrusted: Mutex<BTreeSet<TaskId>>,
    pub(super) pauses: Pauses,
    /// Where tasks are opened and restored.
    pub(super) threads: Handle,
    /// One more than the openings that are under way, given up or not.
    pub(super) openings: Arc<()>,
    /// What tasks tried before they began again from their last commit.
    pub(super) tried: Mutex<BTreeMap<TaskId, Tried>>,
}

/// A task that is restored and ready to process.
#[derive(Debug)]
pub(super) struct OpenedTask {
    pub(super) task: StreamTask<FetchedMessage>,
    pub(super) directory: Arc<TaskDirectory>,
    pub(super) inputs: Vec<(TopicPartition, FetchFrom)>,
    pub(super) retention: RetentionCheck,
    /// Of the membership that the task was assigned to.
    pub(super) lease: Lease,
    /// One of its offsets as the group has it.
    pub(super) fence: Option<OffsetToCommit>,
}

impl TaskOpener {
    pub(super) async fn open(&self, assigned: AssignedTask) -> Result<OpenedTask, Error> {
        let id = assigned.id;
        let lease = self.membership.lease();
        let directory = self.lock(id).await?;
        if self.distrusted.lock().unwrap_or_else(PoisonError::into_inner).remove(&id) {
            wipe(&directory)?;
        }
        let committed = self.membership.fetch_committed(&assigned.partitions, true).await?;
        let mut task = self.open_restored(&assigned, &directory, &committed, RestoreRole::Active).await?;
        if let Some(sum) = offset_sum(task.changelogs()) {
            directory.note_offset_sum(sum);
        }
        let known: Vec<Option<CommittedOffset>> = task
            .inputs()
            .iter()
            .map(|input| {
                committed.get(input).map(|fetched| CommittedOffset {
                    offset: fetched.offset,
                    leader_epoch: fetched.leader_epoch,
                    metadata: fetched.metadata.clone(),
                })
            })
            .collect();
        task.start(wall_clock(), &known).map_err(task_error(id))?;
        self.hand_over_tries(id);
        let mut inputs = Vec::with_capacity(assigned.partitions.len());
        for partition in task.inputs().to_vec() {
            let from = match committed.get(&partition) {
                Some(committed) => FetchFrom::Offset(committed.offset),
                None => self.without_commit(id, &partition).await?,
            };
            inputs.push((partition, from));
        }
        let fence = committed.iter().next().map(|(partition, committed)| OffsetToCommit {
            partition: partition.clone(),
            offset: committed.offset,
            leader_epoch: committed.leader_epoch,
            metadata: committed.metadata.clone(),
        });
        let retention =
            RetentionCheck::new(Arc::clone(&self.retentions), Some(self.changelog_keeper.clone()));
        Ok(OpenedTask { task, directory, inputs, retention, lease, fence })
    }

    /// Opens the stores and restores them; state that does not fit its changelog is deleted, once, and restored from
    /// the changelog's start.
    pub(super) async fn open_restored(
        &self,
        assigned: &AssignedTask,
        directory: &Arc<TaskDirectory>,
        committed: &BTreeMap<TopicPartition, Fetched>,
        role: RestoreRole,
    ) -> Result<StreamTask<FetchedMessage>, Error> {
        let mut wiped = false;
        loop {
            let setup = TaskSetup {
                id: assigned.id,
                application: Arc::clone(&self.application),
                inputs: assigned.partitions.clone(),
                state_dir: directory.path().to_owned(),
                globals: self.globals.clone(),
                partition_counts: self.partition_counts.clone(),
                config: TaskConfig { tried: self.tried_by(assigned.id), ..self.config.clone() },
            };
            // Whoever gives this opening up cannot stop it: the directory stays locked until the databases are closed again.
            let held = (Arc::clone(directory), Arc::clone(&self.openings));
            let opened = tokio::task::spawn_blocking(move || (StreamTask::open(setup), held))
                .await
                .map_err(|fault| Error::Runtime { reason: fault.to_string() })?;
            let fault = match opened.0 {
                Ok(mut task) => {
                    if self.measures_stores {
                        task.measure_stores();
                    }
                    match self.restorer.restore(&mut task, committed, role).await? {
                        Ok(()) => return Ok(task),
                        Err(fault) => fault,
                    }
                }
                Err(fault) => fault,
            };
            if wiped || !fault.needs_wipe() {
                return Err(task_error(assigned.id)(fault));
            }
            tracing::warn!(task = %assigned.id, %fault, "the task's state is deleted and restored from its changelogs");
            wipe(directory)?;
            wiped = true;
        }
    }

    /// Lets the state of a task be deleted and restored from its changelogs when it is opened next.
    pub(super) fn distrust(&self, task: TaskId) {
        self.distrusted.lock().unwrap_or_else(PoisonError::into_inner).insert(task);
    }

    /// Waits until openings that were given up have ended: a process that exits while a database is being opened crashes.
    pub(super) async fn settle(&self) {
        let begun = Instant::now();
        while Arc::strong_count(&self.openings) > 1 && begun.elapsed() < SETTLE_MAX {
            tokio::time::sleep(SETTLE_LOOK).await;
        }
    }

    /// Notes what a task is to try again, and how often that has failed.
    pub(super) fn note_tried(&self, task: TaskId, tried: Tried) {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).insert(task, tried);
    }

    /// From here on the task itself counts how often a punctuation was tried: unlike a record's offset, the next one's name is
    /// the same. A record's count does no harm.
    fn hand_over_tries(&self, task: TaskId) {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if tried.get(&task).is_some_and(|tried| matches!(tried.step, TriedStep::Punctuation { .. })) {
            tried.remove(&task);
        }
    }

    fn tried_by(&self, task: TaskId) -> Option<Tried> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).get(&task).cloned()
    }

    pub(super) async fn lock(&self, task: TaskId) -> Result<Arc<TaskDirectory>, Error> {
        let begun = Instant::now();
        loop {
            if let Some(directory) = self.directory.lock_task(task)? {
                return Ok(Arc::new(directory));
            }
            if begun.elapsed() >= self.lock_patience {
                let path = self.directory.task_path(task);
                return Err(Error::StateLocked { task, path, waited: begun.elapsed() });
            }
            tokio::time::sleep(LOCK_RETRY).await;
        }
    }

    /// Where an input begins for which the group has committed nothing.
    async fn without_commit(&self, task: TaskId, partition: &TopicPartition) -> Result<FetchFrom, Error> {
        let own = self
            .application
            .sub_topology(task.sub_topology)
            .and_then(|sub_topology| self.application.source_of(sub_topology, &partition.topic))
            .and_then(|(_, source)| source.reset);
        let internal = self.application.full_names().any(|(_, full_name)| *full_name == partition.topic);
        let reset = match (own, self.offset_reset) {
            // What was written to a repartition topic is to be processed, whatever the rule for the inputs.
            _ if internal => OffsetReset::Earliest,
            (Some(own), _) => own,
            (None, ResetPolicy::Earliest) => OffsetReset::Earliest,
            (None, ResetPolicy::Latest) => OffsetReset::Latest,
            (None, ResetPolicy::None) => OffsetReset::None,
        };
        match reset {
            OffsetReset::Earliest => Ok(FetchFrom::Beginning),
            OffsetReset::Latest => Ok(FetchFrom::End),
            OffsetReset::None => Err(Error::NoOffset { partition: partition.clone() }),
            OffsetReset::ByDuration(age) => {
                let since: Timestamp = wall_clock() - age;
                let asked = std::slice::from_ref(partition);
                let spec = OffsetSpec::AtOrAfter(since.as_millis());
                let listed = self.wire.list_offsets(asked, spec, Isolation::ReadUncommitted).await?;
                let offset = listed.get(partition).map(|listed| listed.offset).filter(|offset| *offset >= 0);
                Ok(offset.map_or(FetchFrom::End, FetchFrom::Offset))
            }
        }
    }
}

fn wipe(directory: &TaskDirectory) -> Result<(), Error> {
    directory.wipe().map_err(|source| Error::StateDirectory {
        path: directory.path().to_owned(),
        reason: source.to_string(),
    })
}
