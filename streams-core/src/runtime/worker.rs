//! A worker: one consumer, one producer, and the tasks whose records go through them.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument;

use super::commit::{Committed, Committer, PreparedEpoch};
use super::data_clients::ProducerMaker;
use super::open_task::{OpenedTask, TaskOpener};
use super::purge::RepartitionPurge;
use super::record_collector::RecordCollector;
use super::status_board::StatusBoard;
use super::task_metrics::TaskMetrics;
use super::task_runner::{TaskMessage, TaskRunner};
use super::trouble::Trouble;
use crate::client::{ClientError, DataConsumer, FetchAssignment, FetchFrom};
use crate::config::{ErrorHandlers, ProcessingGuarantee, ResetPolicy};
use crate::error::Error;
use crate::membership::{AssignedTask, OffsetToCommit, Progress};
use crate::processor::{PartitionCounts, ProductionPolicy, panic_message};
use crate::query::{Hosting, Mailbox};
use crate::record::TopicPartition;
use crate::state::Position;
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
    /// An error that ends the instance.
    Failed(Error),
    /// An error that ends all instances of the application.
    StopApplication(Error),
}

/// What a worker is made of.
#[derive(Debug)]
pub(super) struct WorkerParts {
    pub(super) index: usize,
    /// Its name in metrics, as Kafka Streams' threads are called.
    pub(super) thread_id: String,
    pub(super) consumer: DataConsumer,
    pub(super) committer: Committer,
    pub(super) producers: ProducerMaker,
    pub(super) opener: Arc<TaskOpener>,
    pub(super) partition_counts: PartitionCounts,
    pub(super) status: StatusBoard,
    pub(super) progress: Progress,
    pub(super) commit_interval: Duration,
    pub(super) purge: RepartitionPurge,
    pub(super) offset_reset: ResetPolicy,
    pub(super) handlers: ErrorHandlers,
    pub(super) production: ProductionPolicy,
    pub(super) reports: mpsc::UnboundedSender<WorkerReport>,
}

/// A task of a worker, as the group has assigned it.
#[derive(Debug)]
pub(super) struct TaskEntry {
    pub(super) assigned: AssignedTask,
    pub(super) handle: TaskHandle,
}

#[derive(Debug)]
pub(super) enum TaskHandle {
    Opening(JoinHandle<()>),
    Running {
        mailbox: mpsc::UnboundedSender<TaskMessage>,
        inputs: Vec<TopicPartition>,
        runner: JoinHandle<()>,
    },
    /// Given up for now: it is opened again when the worker begins anew.
    Waiting,
}

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) parts: WorkerParts,
    pub(super) tasks: BTreeMap<TaskId, TaskEntry>,
    from_tasks: mpsc::UnboundedReceiver<TaskReport>,
    to_worker: mpsc::UnboundedSender<TaskReport>,
    // Since when commits by the clock wait for the end of a rebalance.
    commits_held: Option<Instant>,
    next_commit: Instant,
    pub(super) trouble: Trouble,
    // When tasks that wait are to be opened again.
    pub(super) anew_at: Option<Instant>,
    // The producer holds what must not be sent or committed any more: another is to be made before any task runs.
    pub(super) producer_spoilt: bool,
}

impl Worker {
    pub(super) fn new(parts: WorkerParts) -> Self {
        let (to_worker, from_tasks) = mpsc::unbounded_channel();
        let next_commit = Instant::now() + parts.commit_interval;
        Worker {
            trouble: Trouble::new(parts.committer.patience),
            parts,
            tasks: BTreeMap::new(),
            from_tasks,
            to_worker,
            commits_held: None,
            next_commit,
            anew_at: None,
            producer_spoilt: false,
        }
    }

    /// Serves until the instance drops its end of `commands`.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<WorkerCommand>) {
        loop {
            self.parts.progress.touch();
            let wake = self.next_tick();
            let outcome = tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => return,
                },
                Some(report) = self.from_tasks.recv() => self.note(report).await,
                () = tokio::time::sleep_until(wake) => self.tick().await,
            };
            if let Err(error) = outcome {
                self.recover(None, error).await;
            }
        }
    }

    fn next_tick(&self) -> Instant {
        let idle = Instant::now() + PROGRESS_INTERVAL;
        let commit = if self.commits_held.is_some() { idle } else { self.next_commit };
        self.anew_at.unwrap_or(idle).min(commit).min(idle)
    }

    async fn tick(&mut self) -> Result<(), Error> {
        if self.anew_at.is_some_and(|at| at <= Instant::now()) {
            self.open_waiting().await;
        }
        self.commit_by_the_clock().await
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
                self.commits_held = Some(Instant::now());
                let _ = done.send(());
                outcome
            }
            WorkerCommand::ResumeCommits => {
                self.commits_held = None;
                Ok(())
            }
        }
    }

    async fn note(&mut self, report: TaskReport) -> Result<(), Error> {
        match report {
            TaskReport::Opened(opened) => self.start(*opened).await,
            TaskReport::CommitWanted if self.commits_are_held() => Ok(()),
            TaskReport::CommitWanted => self.commit().await,
            TaskReport::OutOfRange { partition, fault } => self.reset_offset(partition, fault).await,
            TaskReport::Failed { task, error } => {
                self.recover(Some(task), error).await;
                Ok(())
            }
        }
    }

    pub(super) fn open(&mut self, task: AssignedTask) {
        let (opener, reports) = (Arc::clone(&self.parts.opener), self.to_worker.clone());
        let id = task.id;
        self.parts.status.add(id, self.parts.index);
        let assigned = task.clone();
        let threads = opener.threads.clone();
        let opening = threads.spawn(async move {
            let report = match unpanicked(opener.open(task)).await.and_then(|opened| opened) {
                Ok(opened) => TaskReport::Opened(Box::new(opened)),
                Err(error) => TaskReport::Failed { task: id, error },
            };
            // The worker is gone when the application is.
            let _ = reports.send(report);
        });
        self.tasks.insert(id, TaskEntry { assigned, handle: TaskHandle::Opening(opening) });
    }

    /// Lets an opened task process: its partitions are fetched from where the group has committed.
    async fn start(&mut self, opened: OpenedTask) -> Result<(), Error> {
        let id = opened.task.id();
        let spoilt = self.producer_spoilt;
        let entry = self.tasks.get_mut(&id).filter(|entry| matches!(entry.handle, TaskHandle::Opening(_)));
        let Some(entry) = entry else { return Ok(()) };
        if spoilt {
            entry.handle = TaskHandle::Waiting;
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
            (Some(id), self.parts.production.clone()),
        );
        let collector = match self.exactly_once() {
            true => collector,
            false => collector.leased(opened.lease.clone(), self.parts.producers.delivery_limit),
        };
        let hosting = self.open_to_queries(&opened, &mailbox);
        let metrics = self.metrics_of(&opened);
        let runner = TaskRunner::new(
            opened,
            (hosting, metrics),
            collector,
            self.exactly_once(),
            (self.parts.status.clone(), self.parts.opener.pauses.clone()),
            self.to_worker.clone(),
        );
        let reports = self.to_worker.clone();
        let runner = tokio::spawn(async move {
            if let Err(error) = unpanicked(runner.run(received)).await {
                let _ = reports.send(TaskReport::Failed { task: id, error });
            }
        });
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.handle = TaskHandle::Running { mailbox, inputs, runner };
        }
        self.parts.consumer.assign(assignments).await?;
        self.parts.status.update(id, |status| status.running = true);
        let _ = self.parts.reports.send(WorkerReport::TaskRuns);
        Ok(())
    }

    fn metrics_of(&self, opened: &OpenedTask) -> TaskMetrics {
        let application = &self.parts.opener.application;
        let part = application.sub_topology(opened.task.id().sub_topology);
        let source = |input: &TopicPartition| {
            let node = part.and_then(|part| application.source_of(part, &input.topic));
            node.map_or_else(
                || Arc::from(""),
                |(node, _)| Arc::clone(&application.topology().nodes()[node].name),
            )
        };
        let sources: Vec<Arc<str>> = opened.task.inputs().iter().map(source).collect();
        TaskMetrics::new(&self.parts.thread_id, &opened.task, &sources)
    }

    /// Lets queries find the stores of a task. They do not keep its mailbox open: without its worker it ends.
    fn open_to_queries(&self, opened: &OpenedTask, mailbox: &mpsc::UnboundedSender<TaskMessage>) -> Hosting {
        let mailbox = mailbox.downgrade();
        let ask: Mailbox = Arc::new(move |query| {
            mailbox.upgrade().is_some_and(|mailbox| mailbox.send(TaskMessage::Query(query)).is_ok())
        });
        // What the group has committed is in the stores, be it restored or written here.
        let floor: Position = opened
            .inputs
            .iter()
            .filter_map(|(partition, from)| match from {
                FetchFrom::Offset(offset) => Some((partition.clone(), *offset)),
                FetchFrom::Beginning | FetchFrom::End => None,
            })
            .collect();
        let active = Some((ask, opened.lease.clone()));
        self.parts.opener.host.open(&opened.task, active, floor, &opened.directory)
    }

    async fn commit_by_the_clock(&mut self) -> Result<(), Error> {
        if let Some(fault) = self.parts.consumer.take_fault() {
            tracing::warn!(%fault, "the consumer is in trouble");
        }
        if self.commits_are_held() || Instant::now() < self.next_commit {
            return Ok(());
        }
        self.commit().await
    }

    /// Whether commits wait for the end of a rebalance. A transaction cannot wait for ever: near its time-out it is committed all the
    /// same, which the coordinator allows until all members have joined.
    fn commits_are_held(&self) -> bool {
        let patience = self.parts.producers.transaction_limit();
        self.commits_held.is_some_and(|since| patience.is_none_or(|patience| since.elapsed() < patience))
    }

    /// Commits all running tasks: each hands its epoch over at its next safe point and waits for the end.
    async fn commit(&mut self) -> Result<(), Error> {
        let running: Vec<TaskId> = self.tasks.keys().copied().collect();
        let begun = Instant::now();
        let outcome = self.commit_tasks(&running, false).instrument(tracing::debug_span!("commit")).await;
        let thread = || self.parts.thread_id.clone();
        metrics::histogram!("kafka_streams_stream_thread_metrics_commit_latency", "thread_id" => thread())
            .record(begun.elapsed().as_secs_f64() * 1e3);
        metrics::counter!("kafka_streams_stream_thread_metrics_commit_total", "thread_id" => thread())
            .increment(1);
        self.next_commit = Instant::now() + self.parts.commit_interval;
        outcome
    }

    /// Commits these tasks; after their `last` commit they process nothing more. A transaction holds what all tasks
    /// have produced, so with exactly-once all others are committed as well.
    async fn commit_tasks(&mut self, tasks: &[TaskId], last: bool) -> Result<(), Error> {
        let mut asked = Vec::new();
        let mut all_well = true;
        for (id, entry) in &self.tasks {
            let TaskHandle::Running { mailbox, .. } = &entry.handle else { continue };
            let named = tasks.contains(id);
            if !named && !self.exactly_once() {
                continue;
            }
            let (reply, epoch) = oneshot::channel();
            match mailbox.send(TaskMessage::Prepare { last: last && named, reply }) {
                Ok(()) => asked.push(epoch),
                Err(_) => all_well = false,
            }
        }
        let mut epochs: Vec<PreparedEpoch> = Vec::with_capacity(asked.len());
        for epoch in asked {
            // A task that failed meanwhile says so by its own report.
            match epoch.await {
                Ok(epoch) => epochs.push(epoch),
                Err(_) => all_well = false,
            }
        }
        if self.exactly_once() && !all_well {
            // The transaction holds what a task has produced that failed before it could say how far it is.
            return Err(Error::EpochMissing);
        }
        let offsets: Vec<OffsetToCommit> =
            epochs.iter().flat_map(|epoch| epoch.offsets.iter().cloned()).collect();
        match self.parts.committer.commit(epochs).await? {
            Committed::Yes => {
                self.trouble.is_over();
                self.parts.purge.note(offsets.iter());
            }
            // The membership tells which tasks are lost, and they are closed then. Those that are not begin anew.
            Committed::Lost => return Err(Error::SessionOver),
        }
        self.parts.purge.run_if_due();
        Ok(())
    }

    async fn close(&mut self, tasks: &[TaskId], clean: bool) -> Result<(), Error> {
        let committed = if clean { self.commit_tasks(tasks, true).await } else { Ok(()) };
        if !clean || committed.is_err() {
            // Before the tasks can run elsewhere.
            self.spoil_producer();
        }
        let ended = self.end(tasks).await;
        tasks.iter().for_each(|task| {
            self.tasks.remove(task);
            self.parts.status.remove(*task);
        });
        committed.and(ended)
    }

    /// Ends these tasks as they are.
    pub(super) async fn end(&mut self, tasks: &[TaskId]) -> Result<(), Error> {
        let mut partitions = Vec::new();
        let mut ending = Vec::new();
        for id in tasks {
            let Some(entry) = self.tasks.get_mut(id) else { continue };
            match std::mem::replace(&mut entry.handle, TaskHandle::Waiting) {
                TaskHandle::Opening(opening) => {
                    opening.abort();
                    ending.push(opening);
                }
                TaskHandle::Running { mailbox, inputs, runner } => {
                    partitions.extend(inputs);
                    let _ = mailbox.send(TaskMessage::Close);
                    ending.push(runner);
                }
                TaskHandle::Waiting => {}
            }
        }
        let unassigned = match partitions.is_empty() {
            true => Ok(()),
            false => self.parts.consumer.unassign(partitions).await,
        };
        for task in ending {
            // An aborted opening answers with an error, which is what was asked for.
            let _ = task.await;
        }
        Ok(unassigned?)
    }

    pub(super) fn exactly_once(&self) -> bool {
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
}

/// Makes an error of a panic, so that no task vanishes without a word.
async fn unpanicked<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let caught = AssertUnwindSafe(work).catch_unwind().await;
    caught.map_err(|panic| Error::Runtime { reason: format!("a panic: {}", panic_message(panic.as_ref())) })
}
