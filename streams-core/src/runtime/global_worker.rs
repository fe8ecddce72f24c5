//! Keeps the global stores: reads their topics whole before any task starts, then follows them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::data_clients::ProducerMaker;
use super::record_collector::RecordCollector;
use super::task_runner::wall_clock;
use super::worker::WorkerReport;
use crate::client::wire::{Isolation, OffsetSpec, WireClient};
use crate::client::{
    ClientError, ClientProperties, DataConsumer, DataProducer, FetchAssignment, FetchEvent, FetchFrom,
    FetchedBatch,
};
use crate::error::Error;
use crate::processor::{Output, PartitionCounts, ProductionPolicy};
use crate::record::{FetchedRecord, TopicPartition};
use crate::state::ReadOnlyStores;
use crate::task::{GlobalTask, GlobalTaskSetup, TaskConfig, TaskError};
use crate::topology::ApplicationTopology;

/// Records of global topics fetched and not yet processed.
const BUFFER_BYTES: usize = 8 << 20;

/// What the global stores need.
#[derive(Debug)]
pub(super) struct GlobalSetup {
    pub(super) application: Arc<ApplicationTopology>,
    /// All partitions of their topics.
    pub(super) inputs: Vec<TopicPartition>,
    /// A directory of this process's own.
    pub(super) dir: PathBuf,
    pub(super) config: TaskConfig,
    pub(super) properties: ClientProperties,
    pub(super) wire: WireClient,
    pub(super) isolation: Isolation,
    pub(super) commit_interval: Duration,
    /// Longest wait without any record while some are missing at the start.
    pub(super) patience: Duration,
    /// Makes the producer of dead letters, once there are any.
    pub(super) producers: ProducerMaker,
}

/// The one task of the global stores and the consumer that feeds it.
#[derive(Debug)]
pub(super) struct GlobalWorker {
    task: GlobalTask,
    // Keeps the fetching alive.
    _consumer: DataConsumer,
    events: mpsc::UnboundedReceiver<(usize, FetchEvent)>,
    commit_interval: Duration,
    dead_letters: DeadLetters,
}

/// The way of dead letters to their topic.
#[derive(Debug)]
struct DeadLetters {
    producers: ProducerMaker,
    wire: WireClient,
    patience: Duration,
    collector: Option<(Arc<DataProducer>, RecordCollector)>,
    spare: Output,
}

impl DeadLetters {
    /// Sends what the task has gathered and waits until it is acknowledged.
    async fn send(&mut self, task: &mut GlobalTask) -> Result<(), Error> {
        let mut output = task.take_dead_letters(std::mem::take(&mut self.spare));
        if !output.is_empty() {
            if self.collector.is_none() {
                let producer = self.producers.make().await?;
                let counts = PartitionCounts::default();
                let (wire, policy) = (self.wire.clone(), ProductionPolicy::Fail);
                let collector =
                    RecordCollector::new(Arc::clone(&producer), wire, counts, self.patience, (None, policy));
                self.collector = Some((producer, collector));
            }
            if let Some((producer, collector)) = &mut self.collector {
                collector.send(&mut output).await?;
                producer.flush(self.patience).await?;
            }
        }
        self.spare = output;
        Ok(())
    }
}

impl GlobalWorker {
    /// Opens the stores and reads their topics up to the ends that they have now.
    pub(super) async fn open(setup: GlobalSetup) -> Result<Self, Error> {
        let GlobalSetup {
            application,
            inputs,
            dir,
            config,
            properties,
            wire,
            isolation,
            commit_interval,
            patience,
            producers,
        } = setup;
        let starts = wire.list_offsets(&inputs, OffsetSpec::Earliest, isolation).await?;
        let ends = wire.list_offsets(&inputs, OffsetSpec::Latest, isolation).await?;
        let bounds: BTreeMap<TopicPartition, (i64, i64)> = starts
            .into_iter()
            .filter_map(|(partition, start)| {
                let end = ends.get(&partition)?.offset;
                Some((partition, (start.offset, end)))
            })
            .collect();
        let task = open_fitting(&application, &inputs, &dir, &config, &bounds)?;
        let consumer = DataConsumer::start(&properties, application.application_id(), BUFFER_BYTES)?;
        let (sender, events) = mpsc::unbounded_channel();
        let mut missing = BTreeMap::new();
        let assignments = task.partitions().iter().enumerate().map(|(input, place)| {
            let (start, end) = bounds.get(&place.partition).copied().unwrap_or_default();
            let from = place.offset.unwrap_or(start);
            if from < end {
                missing.insert(input, end);
            }
            let sender = sender.clone();
            let sink = Box::new(move |event| drop(sender.send((input, event))));
            FetchAssignment { partition: place.partition.clone(), from: FetchFrom::Offset(from), sink }
        });
        let assignments: Vec<FetchAssignment> = assignments.collect();
        consumer.assign(assignments).await?;
        let dead_letters =
            DeadLetters { producers, wire, patience, collector: None, spare: Output::default() };
        let mut worker = GlobalWorker { task, _consumer: consumer, events, commit_interval, dead_letters };
        worker.catch_up(missing, patience).await?;
        worker.task.commit().map_err(global_error)?;
        let (records, dropped) = worker.task.counters();
        tracing::info!(records, dropped, "global stores are read");
        Ok(worker)
    }

    /// The stores, for all tasks to read.
    pub(super) fn stores(&self) -> ReadOnlyStores {
        self.task.stores().clone()
    }

    /// Follows the topics until it is told to stop.
    pub(super) async fn run(
        mut self,
        mut stop: oneshot::Receiver<()>,
        reports: mpsc::UnboundedSender<WorkerReport>,
    ) {
        let outcome = self.follow(&mut stop).await;
        // The instance is gone when nobody listens.
        let closed = self.task.close().map_err(global_error);
        if let Err(error) = outcome.and(closed) {
            let _ = reports.send(WorkerReport::Failed(error));
        }
    }

    async fn follow(&mut self, stop: &mut oneshot::Receiver<()>) -> Result<(), Error> {
        let mut next_commit = Instant::now() + self.commit_interval;
        loop {
            tokio::select! {
                _ = &mut *stop => return Ok(()),
                event = self.events.recv() => match event {
                    Some((input, event)) => drop(self.take(input, event).await?),
                    None => return Err(ClientError::Closed.into()),
                },
                () = tokio::time::sleep_until(next_commit) => {
                    self.task.commit().map_err(global_error)?;
                    next_commit = Instant::now() + self.commit_interval;
                }
            }
        }
    }

    async fn catch_up(&mut self, mut missing: BTreeMap<usize, i64>, patience: Duration) -> Result<(), Error> {
        while !missing.is_empty() {
            match tokio::time::timeout(patience, self.events.recv()).await {
                Ok(Some((input, event))) => {
                    let reached = self.take(input, event).await?;
                    if missing.get(&input).is_some_and(|end| reached >= *end) {
                        missing.remove(&input);
                    }
                }
                Ok(None) => return Err(ClientError::Closed.into()),
                Err(_) => return Err(Error::GlobalStalled { waited: patience }),
            }
        }
        Ok(())
    }

    /// Processes what was fetched; answers the offset behind it.
    async fn take(&mut self, input: usize, event: FetchEvent) -> Result<i64, Error> {
        match event {
            FetchEvent::Records(FetchedBatch { records, permit, .. }) => {
                let next = records.last().map_or(0, |last| last.offset() + 1);
                self.task.process(wall_clock(), input, &records, next).map_err(global_error)?;
                self.dead_letters.send(&mut self.task).await?;
                drop(permit);
                Ok(next)
            }
            FetchEvent::End { offset } => Ok(offset),
            FetchEvent::Fault(fault) => Err(fault.into()),
        }
    }
}

/// Opens the stores; those that are further than their topics, or behind what these still have, are deleted and read
/// anew.
fn open_fitting(
    application: &Arc<ApplicationTopology>,
    inputs: &[TopicPartition],
    dir: &std::path::Path,
    config: &TaskConfig,
    bounds: &BTreeMap<TopicPartition, (i64, i64)>,
) -> Result<GlobalTask, Error> {
    let directory_error =
        |fault: std::io::Error| Error::StateDirectory { path: dir.to_owned(), reason: fault.to_string() };
    let open = || {
        std::fs::create_dir_all(dir).map_err(directory_error)?;
        let setup = GlobalTaskSetup {
            application: Arc::clone(application),
            inputs: inputs.to_vec(),
            state_dir: dir.to_owned(),
            config: config.clone(),
        };
        GlobalTask::open(setup, wall_clock()).map_err(global_error)
    };
    let task = open()?;
    let fits = task.partitions().iter().all(|place| match (place.offset, bounds.get(&place.partition)) {
        (Some(offset), Some((start, end))) => (*start..=*end).contains(&offset),
        _ => true,
    });
    if fits {
        return Ok(task);
    }
    tracing::warn!("the global stores do not fit their topics; they are deleted and read anew");
    drop(task);
    std::fs::remove_dir_all(dir).map_err(directory_error)?;
    open()
}

fn global_error(source: TaskError) -> Error {
    Error::GlobalTask { source: Arc::new(source) }
}
