//! A worker: one consumer, one producer, and the tasks whose records go through them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::commit::{Committed, Committer, PreparedEpoch};
use super::open_task::{OpenedTask, TaskOpener};
use super::purge::RepartitionPurge;
use super::record_collector::RecordCollector;
use super::status_board::StatusBoard;
use super::task_runner::{TaskMessage, TaskRunner};
use crate::client::{ClientError, DataConsumer, FetchAssignment, FetchFrom};
use crate::config::{ProcessingGuarantee, ResetPolicy};
use crate::error::Error;
use crate::membership::{AssignedTask, OffsetToCommit, Progress};
use crate::processor::PartitionCounts;
use crate::record::TopicPartition;
use crate::topology::TaskId;

/// How often a worker without work shows that it lives.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// What an instance asks of a worker.
#[derive(Debug)]
pub(super) enum WorkerCommand {
    /// Open these tasks: restore them, then process.
    Open(Vec<AssignedTask>),
    /// Close these tasks: cleanly, so committed, or as they are.
    Close { tasks: Vec<TaskId>, clean: bool, done: oneshot::Sender<()> },
    /// Commit now, and then not by the clock until [`WorkerCommand::ResumeCommits`]: a rebalance is about to begin.
    CommitAndHold(oneshot::Sender<()>),
    /// The rebalance is over.
    ResumeCommits,
}

/// What tasks tell their worker.
#[derive(Debug)]
pub(super) enum TaskReport {
    /// Restored: to be run.
    Opened(Box<OpenedTask>),
    /// A processor, or the amount of uncommitted state, asks for a commit before its time.
    CommitWanted,
    /// The next offset to fetch is not there any more.
    OutOfRange { partition: TopicPartition, fault: ClientError },
    /// The task has ended by an error.
    Failed { task: TaskId, error: Error },
}

/// What a worker tells its instance.
#[derive(Debug)]
pub(super) enum WorkerReport {
    /// A task was opened: the instance's state may change.
    TaskRuns,
    /// An error that ends the application.
    Failed(Error),
}

/// What a worker is made of.
#[derive(Debug)]
pub(super) struct WorkerParts {
    pub(super) index: usize,
    pub(super) consumer: DataConsumer,
    pub(super) committer: Committer,
    pub(super) opener: Arc<TaskOpener>,
    pub(super) partition_counts: PartitionCounts,
    pub(super) status: StatusBoard,
    pub(super) progress: Progress,
    pub(super) commit_interval: Duration,
    pub(super) purge: RepartitionPurge,
    pub(super) offset_reset: ResetPolicy,
    pub(super) reports: mpsc::UnboundedSender<WorkerReport>,
}

#[derive(Debug)]
enum TaskHandle {
    Opening(JoinHandle<()>),
    Running {
        mailbox: mpsc::UnboundedSender<TaskMessage>,
        inputs: Vec<TopicPartition>,
        runner: JoinHandle<()>,
    },
}

#[derive(Debug)]
pub(super) struct Worker {
    parts: WorkerParts,
    tasks: BTreeMap<TaskId, TaskHandle>,
    from_tasks: mpsc::UnboundedReceiver<TaskReport>,
    to_worker: mpsc::UnboundedSender<TaskReport>,
    commits_held: bool,
    next_commit: Instant,
    // A task has failed: a transaction that holds its records must not be committed.
    failed: bool,
}

impl Worker {
    pub(super) fn new(parts: WorkerParts) -> Self {
        let (to_worker, from_tasks) = mpsc::unbounded_channel();
        let next_commit = Instant::now() + parts.commit_interval;
        Worker {
            parts,
            tasks: BTreeMap::new(),
            from_tasks,
            to_worker,
            commits_held: false,
            next_commit,
            failed: false,
        }
    }

    /// Serves until the instance drops its end of `commands`.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<WorkerCommand>) {
        loop {
            self.parts.progress.touch();
            let idle = Instant::now() + PROGRESS_INTERVAL;
            let wake = if self.commits_held { idle } else { self.next_commit.min(idle) };
            let outcome = tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => return,
                },
                Some(report) = self.from_tasks.recv() => self.note(report).await,
                () = tokio::time::sleep_until(wake) => self.commit_by_the_clock().await,
            };
            if let Err(error) = outcome {
                self.fail(error);
            }
        }
    }

    async fn obey(&mut self, command: WorkerCommand) -> Result<(), Error> {
        match command {
            WorkerCommand::Open(tasks) => {
                tasks.into_iter().for_each(|task| self.open(task));
                Ok(())
            }
            WorkerCommand::Close { tasks, clean, done } => {
                let outcome = self.close(&tasks, clean).await;
                let _ = done.send(());
                outcome
            }
            WorkerCommand::CommitAndHold(done) => {
                let outcome = self.commit().await;
                self.commits_held = true;
                let _ = done.send(());
                outcome
            }
            WorkerCommand::ResumeCommits => {
                self.commits_held = false;
                Ok(())
            }
        }
    }

    async fn note(&mut self, report: TaskReport) -> Result<(), Error> {
        match report {
            TaskReport::Opened(opened) => self.start(*opened).await,
            TaskReport::CommitWanted if self.commits_held => Ok(()),
            TaskReport::CommitWanted => self.commit().await,
            TaskReport::OutOfRange { partition, fault } => self.reset_offset(partition, fault).await,
            TaskReport::Failed { task, error } => {
                tracing::error!(%task, %error, "task failed");
                self.failed = true;
                self.close(&[task], false).await?;
                Err(error)
            }
        }
    }

    fn open(&mut self, task: AssignedTask) {
        let (opener, reports) = (Arc::clone(&self.parts.opener), self.to_worker.clone());
        let id = task.id;
        self.parts.status.add(id, self.parts.index);
        let opening = tokio::spawn(async move {
            let report = match opener.open(task).await {
                Ok(opened) => TaskReport::Opened(Box::new(opened)),
                Err(error) => TaskReport::Failed { task: id, error },
            };
            // The worker is gone when the application is.
            let _ = reports.send(report);
        });
        self.tasks.insert(id, TaskHandle::Opening(opening));
    }

    /// Lets an opened task process: its partitions are fetched from where the group has committed.
    async fn start(&mut self, opened: OpenedTask) -> Result<(), Error> {
        let id = opened.task.id();
        if !matches!(self.tasks.get(&id), Some(TaskHandle::Opening(_))) {
            return Ok(());
        }
        let (mailbox, received) = mpsc::unbounded_channel();
        let assignments: Vec<FetchAssignment> = opened
            .inputs
            .iter()
            .enumerate()
            .map(|(input, (partition, from))| {
                let mailbox = mailbox.clone();
                FetchAssignment {
                    partition: partition.clone(),
                    from: *from,
                    sink: Box::new(move |event| drop(mailbox.send(TaskMessage::Fetched { input, event }))),
                }
            })
            .collect();
        let inputs: Vec<TopicPartition> =
            opened.inputs.iter().map(|(partition, _)| partition.clone()).collect();
        let Committer { producer, wire, patience, .. } = &self.parts.committer;
        let collector = RecordCollector::new(
            Arc::clone(producer),
            wire.clone(),
            self.parts.partition_counts.clone(),
            *patience,
        );
        let runner = TaskRunner::new(
            opened,
            collector,
            self.exactly_once(),
            self.parts.status.clone(),
            self.to_worker.clone(),
        );
        let runner = tokio::spawn(runner.run(received));
        self.tasks.insert(id, TaskHandle::Running { mailbox, inputs, runner });
        self.parts.consumer.assign(assignments).await?;
        self.parts.status.update(id, |status| status.running = true);
        let _ = self.parts.reports.send(WorkerReport::TaskRuns);
        Ok(())
    }

    async fn commit_by_the_clock(&mut self) -> Result<(), Error> {
        if let Some(fault) = self.parts.consumer.take_fault() {
            tracing::warn!(%fault, "the consumer is in trouble");
        }
        if self.commits_held || Instant::now() < self.next_commit {
            return Ok(());
        }
        self.commit().await
    }

    /// Commits all running tasks: each hands its epoch over at its next safe point and waits for the end.
    async fn commit(&mut self) -> Result<(), Error> {
        let running: Vec<TaskId> = self.tasks.keys().copied().collect();
        let outcome = self.commit_tasks(&running, false).await;
        self.next_commit = Instant::now() + self.parts.commit_interval;
        outcome
    }

    /// Commits these tasks; after their `last` commit they process nothing more. A transaction holds what all tasks
    /// have produced, so with exactly-once all others are committed as well.
    async fn commit_tasks(&mut self, tasks: &[TaskId], last: bool) -> Result<(), Error> {
        let mut asked = Vec::new();
        for (id, handle) in &self.tasks {
            let TaskHandle::Running { mailbox, .. } = handle else { continue };
            let named = tasks.contains(id);
            if !named && !self.exactly_once() {
                continue;
            }
            let (reply, epoch) = oneshot::channel();
            if mailbox.send(TaskMessage::Prepare { last: last && named, reply }).is_ok() {
                asked.push(epoch);
            }
        }
        let mut epochs: Vec<PreparedEpoch> = Vec::with_capacity(asked.len());
        for epoch in asked {
            // A task that failed meanwhile says so by its own report.
            epochs.extend(epoch.await.ok());
        }
        let offsets: Vec<OffsetToCommit> =
            epochs.iter().flat_map(|epoch| epoch.offsets.iter().cloned()).collect();
        match self.parts.committer.commit(epochs).await? {
            Committed::Yes => self.parts.purge.note(offsets.iter()),
            // The membership tells which tasks are lost, and they are closed then.
            Committed::Lost => {}
        }
        self.parts.purge.run_if_due();
        Ok(())
    }

    async fn close(&mut self, tasks: &[TaskId], clean: bool) -> Result<(), Error> {
        let clean = clean && !(self.failed && self.exactly_once());
        let committed = if clean { self.commit_tasks(tasks, true).await } else { Ok(()) };
        let mut partitions = Vec::new();
        let mut ended = Vec::new();
        for id in tasks {
            match self.tasks.remove(id) {
                Some(TaskHandle::Opening(opening)) => {
                    opening.abort();
                    ended.push(opening);
                }
                Some(TaskHandle::Running { mailbox, inputs, runner }) => {
                    partitions.extend(inputs);
                    let _ = mailbox.send(TaskMessage::Close);
                    ended.push(runner);
                }
                None => {}
            }
            self.parts.status.remove(*id);
        }
        if !partitions.is_empty() {
            self.parts.consumer.unassign(partitions).await?;
        }
        for task in ended {
            // An aborted opening answers with an error, which is what was asked for.
            let _ = task.await;
        }
        if !clean {
            self.parts.committer.roll_back().await?;
        }
        committed
    }

    fn exactly_once(&self) -> bool {
        self.parts.committer.guarantee == ProcessingGuarantee::ExactlyOnce
    }

    async fn reset_offset(&mut self, partition: TopicPartition, fault: ClientError) -> Result<(), Error> {
        let from = match self.parts.offset_reset {
            ResetPolicy::Earliest => FetchFrom::Beginning,
            ResetPolicy::Latest => FetchFrom::End,
            ResetPolicy::None => return Err(fault.into()),
        };
        tracing::warn!(%partition, ?from, %fault, "the offset is reset by auto.offset.reset");
        Ok(self.parts.consumer.seek(vec![(partition, from)]).await?)
    }

    fn fail(&mut self, error: Error) {
        // The instance is gone when nobody listens.
        let _ = self.parts.reports.send(WorkerReport::Failed(error));
    }
}
