//! Drives one task: an async task that works in slices, and sleeps while it has nothing to do.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

use super::commit::{ChangelogEnds, PreparedEpoch};
use super::open_task::OpenedTask;
use super::pauses::Pauses;
use super::record_collector::RecordCollector;
use super::retention_check::RetentionCheck;
use super::state_directory::TaskDirectory;
use super::status_board::StatusBoard;
use super::task_metrics::TaskMetrics;
use super::worker::TaskReport;
use crate::client::{ClientError, FetchEvent, FetchPermit, FetchedBatch, FetchedMessage};
use crate::error::Error;
use crate::membership::{Lease, OffsetToCommit};
use crate::query::{Hosting, TaskQuery};
use crate::record::{FetchedRecord, TopicPartition};
use crate::task::{ChangelogPartition, Gathered, Stopped, StreamTask, TaskError};
use crate::time::Timestamp;
use crate::topology::TaskId;

/// A slice of work is to take about this long: short enough for heartbeats and the other tasks of the worker.
const SLICE: Duration = Duration::from_millis(2);
const SLICE_RECORDS_MIN: usize = 32;
const SLICE_RECORDS_MAX: usize = 4096;
/// Records processed while a commit is under way, at most: their changelog records wait in memory until it has ended, as their
/// outputs do, which have a bound of their own.
const HELD_RECORDS_MAX: usize = 8_192;
/// Between two requests for a commit, where the first is not answered.
const COMMIT_REQUEST_INTERVAL: Duration = Duration::from_millis(100);
/// How often a busy task notes its progress for others to see.
const STATUS_INTERVAL: Duration = Duration::from_millis(250);
/// Between two looks whether a paused task may go on.
const PAUSE_LOOK: Duration = Duration::from_millis(50);
/// How often a task notes how far its changelogs are in its state, at most.
const OFFSET_SUM_INTERVAL: Duration = Duration::from_secs(2);
/// Between two looks whether the tasks are surely still this member's.
const LEASE_RETRY: Duration = Duration::from_millis(20);
/// How long a task sleeps at most, so that what it shows does not get old.
const IDLE_MAX: Duration = Duration::from_secs(1);

/// What reaches a task.
pub(super) enum TaskMessage {
    /// Something happened in an input partition, given by its place among the task's inputs.
    Fetched { input: usize, event: FetchEvent },
    /// Hand your epoch over for a commit; after the `last` one nothing more is processed.
    Prepare { last: bool, reply: oneshot::Sender<PreparedEpoch> },
    /// A query reads the task's stores.
    Query(TaskQuery),
    /// End. What is not committed is processed again by the next owner.
    Close,
}

impl std::fmt::Debug for TaskMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TaskMessage::Fetched { .. } => "Fetched",
            TaskMessage::Prepare { .. } => "Prepare",
            TaskMessage::Query(_) => "Query",
            TaskMessage::Close => "Close",
        })
    }
}

#[derive(Debug)]
struct Input {
    partition: TopicPartition,
    // What the queued records take of the consumer's budget: records of each batch, and its permit.
    permits: VecDeque<(usize, FetchPermit)>,
    permitted: usize,
    position: i64,
    lag: Option<i64>,
}

#[derive(Debug)]
pub(super) struct TaskRunner {
    // Before the task: no query finds its stores any more when it closes.
    hosting: Hosting,
    id: TaskId,
    task: StreamTask<FetchedMessage>,
    inputs: Vec<Input>,
    collector: RecordCollector,
    retention: RetentionCheck,
    spare: Gathered,
    // Which changelogs were produced to since the last commit.
    produced: Vec<bool>,
    // Set while an epoch is being committed: then nothing is produced.
    committing: Option<oneshot::Receiver<ChangelogEnds>>,
    held_records: usize,
    // When the worker was last asked for a commit before its time.
    commit_asked: Option<Instant>,
    slice_records: usize,
    exactly_once: bool,
    // No more records: the last commit is prepared.
    finished: bool,
    status: StatusBoard,
    status_at: Instant,
    lease: Lease,
    // An offset as it is committed already.
    fence: Option<OffsetToCommit>,
    metrics: TaskMetrics,
    reports: mpsc::UnboundedSender<TaskReport>,
    offset_sum_at: Instant,
    pauses: Pauses,
    // Behind the task: its databases close before the directory is unlocked.
    directory: Arc<TaskDirectory>,
}

impl TaskRunner {
    pub(super) fn new(
        opened: OpenedTask,
        (hosting, metrics): (Hosting, TaskMetrics),
        collector: RecordCollector,
        exactly_once: bool,
        (status, pauses): (StatusBoard, Pauses),
        reports: mpsc::UnboundedSender<TaskReport>,
    ) -> Self {
        let OpenedTask { task, directory, inputs, retention, lease, fence } = opened;
        let input = |(partition, _)| Input {
            partition,
            permits: VecDeque::new(),
            permitted: 0,
            position: -1,
            lag: None,
        };
        TaskRunner {
            hosting,
            id: task.id(),
            inputs: inputs.into_iter().map(input).collect(),
            produced: vec![false; task.changelogs().len()],
            task,
            collector,
            retention,
            spare: Gathered::default(),
            committing: None,
            held_records: 0,
            commit_asked: None,
            slice_records: SLICE_RECORDS_MIN,
            exactly_once,
            finished: false,
            status,
            status_at: Instant::now(),
            lease,
            fence,
            metrics,
            reports,
            offset_sum_at: Instant::now(),
            pauses,
            directory,
        }
    }

    pub(super) async fn run(mut self, mut mailbox: mpsc::UnboundedReceiver<TaskMessage>) {
        if let Err(error) = self.serve(&mut mailbox).await {
            // The worker is gone when the application is.
            let _ = self.reports.send(TaskReport::Failed { task: self.id, error });
        }
        self.note_offset_sum();
        self.task.close();
    }

    async fn serve(&mut self, mailbox: &mut mpsc::UnboundedReceiver<TaskMessage>) -> Result<(), Error> {
        loop {
            while let Ok(message) = mailbox.try_recv() {
                if self.take(message).await?.is_break() {
                    return Ok(());
                }
            }
            self.end_commit_if_answered()?;
            let idle = self.work().await?;
            self.note_status(idle.is_some());
            let Some(idle) = idle else {
                tokio::task::yield_now().await;
                continue;
            };
            let message = match &mut self.committing {
                Some(answer) => tokio::select! {
                    message = mailbox.recv() => message,
                    ends = answer => {
                        self.end_commit(ends)?;
                        continue;
                    }
                },
                None => match tokio::time::timeout(idle, mailbox.recv()).await {
                    Ok(message) => message,
                    Err(_) => continue,
                },
            };
            // A mailbox without senders belongs to a worker that is gone.
            let Some(message) = message else { return Ok(()) };
            if self.take(message).await?.is_break() {
                return Ok(());
            }
        }
    }

    /// One slice of work; answers how long there is nothing to do, unless a message comes.
    async fn work(&mut self) -> Result<Option<Duration>, Error> {
        if self.finished || (self.committing.is_some() && self.held_records >= HELD_RECORDS_MAX) {
            return Ok(Some(IDLE_MAX));
        }
        self.collector.check()?;
        if self.pauses.hold(self.id) {
            return Ok(Some(PAUSE_LOOK));
        }
        if !self.collector.may_send() {
            return Ok(Some(LEASE_RETRY));
        }
        let now = wall_clock();
        if self.task.next_punctuation().is_some_and(|due| due <= now) {
            self.task.punctuate(now).map_err(task_error(self.id))?;
        }
        let begun = Instant::now();
        let span = tracing::trace_span!("process", task = %self.id);
        let processed =
            span.in_scope(|| self.task.process(now, self.slice_records)).map_err(task_error(self.id))?;
        if processed.records > 0 {
            self.metrics.note_slice(begun.elapsed(), self.task.last_processed(), now);
        }
        if processed.records == self.slice_records {
            let took = begun.elapsed();
            if took < SLICE / 2 {
                self.slice_records = (self.slice_records * 2).min(SLICE_RECORDS_MAX);
            } else if took > SLICE * 2 {
                self.slice_records = (self.slice_records / 2).max(SLICE_RECORDS_MIN);
            }
        }
        if self.committing.is_some() {
            self.held_records += processed.records;
        } else {
            self.produce().await?;
        }
        self.release_permits();
        let until_punctuation = |now: Timestamp| {
            let due = self.task.next_punctuation().unwrap_or(Timestamp::MAX);
            millis(due.as_millis().saturating_sub(now.as_millis())).min(IDLE_MAX)
        };
        Ok(match processed.stopped {
            Stopped::Limit => None,
            Stopped::OutputFull if self.committing.is_none() => None,
            Stopped::OutputFull => Some(IDLE_MAX),
            Stopped::CommitRequested => {
                self.ask_for_commit();
                Some(SLICE)
            }
            Stopped::Empty | Stopped::AwaitingFetch => Some(until_punctuation(now)),
            Stopped::IdleUntil(time) => {
                let idle = millis(time.as_millis().saturating_sub(now.as_millis()));
                Some(until_punctuation(now).min(idle).max(Duration::from_millis(1)))
            }
        })
    }

    /// Asks the worker for a commit, unless one is under way or was asked for just now: each request makes the worker
    /// commit all its tasks.
    fn ask_for_commit(&mut self) {
        let just_asked = self.commit_asked.is_some_and(|asked| asked.elapsed() < COMMIT_REQUEST_INTERVAL);
        if self.committing.is_none() && !just_asked {
            self.commit_asked = Some(Instant::now());
            let _ = self.reports.send(TaskReport::CommitWanted);
        }
    }

    async fn take(&mut self, message: TaskMessage) -> Result<std::ops::ControlFlow<()>, Error> {
        match message {
            TaskMessage::Fetched { input, event } => self.note_fetched(input, event)?,
            TaskMessage::Prepare { last, reply } => {
                // The answer to the commit before may have come in the same moment.
                self.end_commit_if_answered()?;
                self.finished |= last;
                self.prepare(reply).await?;
            }
            TaskMessage::Query(query) => query(&mut self.task),
            TaskMessage::Close => {
                // So may the answer to the last commit: its writes belong into the stores.
                self.end_commit_if_answered()?;
                return Ok(std::ops::ControlFlow::Break(()));
            }
        }
        Ok(std::ops::ControlFlow::Continue(()))
    }

    fn note_fetched(&mut self, place: usize, event: FetchEvent) -> Result<(), Error> {
        let input = &mut self.inputs[place];
        match event {
            FetchEvent::Records(FetchedBatch { records, permit, high_watermark }) => {
                let Some((first, last)) = records.first().zip(records.last()) else { return Ok(()) };
                self.retention.look(place, &input.partition, first.timestamp(), wall_clock());
                self.metrics.note_fetched(place, records.len(), permit.bytes());
                input.position = last.offset() + 1;
                input.lag = high_watermark.map(|high| (high - input.position).max(0));
                input.permitted += records.len();
                input.permits.push_back((records.len(), permit));
                let _queue =
                    tracing::trace_span!("queue", task = %self.id, records = records.len()).entered();
                self.task.add_records(place, records);
            }
            FetchEvent::End { offset } => (input.position, input.lag) = (offset, Some(0)),
            FetchEvent::Fault(fault @ ClientError::OffsetOutOfRange { .. }) => {
                let report = TaskReport::OutOfRange { partition: input.partition.clone(), fault };
                let _ = self.reports.send(report);
                return Ok(());
            }
            FetchEvent::Fault(fault) => return Err(fault.into()),
        }
        self.task.note_fetched(place, input.position, input.lag);
        Ok(())
    }

    /// Hands what the task has gathered to the producer.
    async fn produce(&mut self) -> Result<(), Error> {
        let gathered = tracing::trace_span!("gather", task = %self.id)
            .in_scope(|| self.task.gather(std::mem::take(&mut self.spare)));
        let span = tracing::trace_span!("produce", task = %self.id);
        self.spare = self.hand_over(gathered).instrument(span).await?;
        Ok(())
    }

    async fn hand_over(&mut self, mut gathered: Gathered) -> Result<Gathered, Error> {
        self.collector.send(&mut gathered.records).await?;
        for (changelog, records) in gathered.changelogs.iter_mut().enumerate() {
            if !records.is_empty() {
                self.produced[changelog] = true;
                let partition = &self.task.changelogs()[changelog].partition;
                self.retention.look_at_changelog(changelog, partition, records);
                self.collector.send_changelog(partition, records).await?;
            }
        }
        Ok(gathered)
    }

    async fn prepare(&mut self, reply: oneshot::Sender<PreparedEpoch>) -> Result<(), Error> {
        // The answer to the last commit may lie unread: the worker gives it before it asks again.
        self.end_commit_if_answered()?;
        // A commit that failed left its epoch sealed; the task is about to be closed then.
        let has_work = self.task.needs_commit();
        // In a transaction a task without work must stand still as well: what it produced would belong to it.
        if self.task.is_sealed() || !(has_work || self.exactly_once) {
            return Ok(());
        }
        let epoch = self.task.seal(std::mem::take(&mut self.spare)).map_err(task_error(self.id))?;
        self.spare = self.hand_over(epoch.gathered).await?;
        let offset = |(partition, offset): (TopicPartition, crate::task::CommittedOffset)| OffsetToCommit {
            partition,
            offset: offset.offset,
            leader_epoch: offset.leader_epoch,
            metadata: offset.metadata,
        };
        let produced = self.task.changelogs().iter().zip(&self.produced).filter(|(_, produced)| **produced);
        let (committed, answer) = oneshot::channel();
        self.committing = Some(answer);
        self.held_records = 0;
        self.commit_asked = None;
        let mut offsets: Vec<OffsetToCommit> = epoch.offsets.into_iter().map(offset).collect();
        if let Some(latest) = offsets.first() {
            self.fence = Some(latest.clone());
        } else if has_work && self.exactly_once {
            // Only with an offset does the coordinator look whether the task is still this member's.
            offsets.extend(self.fence.clone());
        }
        let prepared = PreparedEpoch {
            offsets,
            has_work,
            changelogs: produced.map(|(changelog, _)| changelog.partition.clone()).collect(),
            lease: self.lease.clone(),
            committed,
        };
        // A worker that does not wait any more has failed, and closes its tasks.
        let _ = reply.send(prepared);
        Ok(())
    }

    fn end_commit_if_answered(&mut self) -> Result<(), Error> {
        let Some(answer) = &mut self.committing else { return Ok(()) };
        match answer.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => Ok(()),
            Ok(ends) => self.end_commit(Ok(ends)),
            Err(oneshot::error::TryRecvError::Closed) => {
                self.committing = None;
                self.finished = true;
                Ok(())
            }
        }
    }

    /// The epoch is committed: its writes become durable. Or it is not: then nothing more is done, for the task is
    /// about to be closed, and begun again from the last commit.
    fn end_commit(&mut self, ends: Result<ChangelogEnds, oneshot::error::RecvError>) -> Result<(), Error> {
        self.committing = None;
        let Ok(ends) = ends else {
            self.finished = true;
            return Ok(());
        };
        let offsets: Vec<Option<i64>> = self
            .task
            .changelogs()
            .iter()
            .zip(&self.produced)
            .map(|(changelog, produced)| ends.get(&changelog.partition).copied().filter(|_| *produced))
            .collect();
        self.task.commit_stores(&offsets).map_err(task_error(self.id))?;
        self.hosting.note_commit();
        self.metrics.note_commit();
        self.produced.fill(false);
        if self.offset_sum_at.elapsed() > OFFSET_SUM_INTERVAL {
            self.offset_sum_at = Instant::now();
            self.note_offset_sum();
        }
        Ok(())
    }

    /// After a restart the assignor is told how far the state here is.
    fn note_offset_sum(&self) {
        if let Some(sum) = offset_sum(self.task.changelogs()) {
            self.directory.note_offset_sum(sum);
        }
    }

    /// Gives the budget back for records that left the queues.
    fn release_permits(&mut self) {
        for (place, input) in self.inputs.iter_mut().enumerate() {
            let queued = self.task.buffered_records_of(place);
            while let Some((records, _)) = input.permits.front() {
                if input.permitted - records < queued {
                    break;
                }
                input.permitted -= records;
                input.permits.pop_front();
            }
        }
    }

    fn note_status(&mut self, idle: bool) {
        if !idle && self.status_at.elapsed() < STATUS_INTERVAL {
            return;
        }
        self.status_at = Instant::now();
        let mut counters = self.task.counters();
        counters.dropped += self.collector.refused();
        self.metrics.note_counters(counters, &self.task);
        let task = &self.task;
        let lag = |(place, input): (usize, &Input)| Some(input.lag? + task.buffered_records_of(place) as i64);
        self.metrics.note_lags(self.inputs.iter().enumerate().map(lag));
        self.status.update(self.id, |status| {
            status.processed_records = counters.processed;
            status.dropped_records = counters.dropped;
            status.restored_records = counters.restored;
            for (place, input) in self.inputs.iter().enumerate().filter(|(_, input)| input.position >= 0) {
                let queued = self.task.buffered_records_of(place) as i64;
                let lag = input.lag.map(|lag| lag + queued);
                status.inputs.insert(input.partition.clone(), (input.position - queued, lag));
            }
        });
    }
}

/// The sum of the changelog offsets that a task's state stands for; none where it has no changelog.
pub(super) fn offset_sum(changelogs: &[ChangelogPartition]) -> Option<i64> {
    (!changelogs.is_empty()).then(|| changelogs.iter().filter_map(|changelog| changelog.offset).sum())
}

/// Milliseconds since 1970 by the machine's clock.
pub(super) fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

pub(super) fn task_error(task: TaskId) -> impl Fn(TaskError) -> Error {
    move |source| Error::Task { task, source: std::sync::Arc::new(source) }
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
