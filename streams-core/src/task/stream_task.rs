//! A task: one sub-topology on one partition.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use super::commit::Sealed;
use super::commit_metadata::CommitMetadata;
use super::config::TaskConfig;
use super::epoch::CommittedOffset;
use super::error::{TaskError, TaskName};
use super::partition_group::PartitionGroup;
use super::record_queue::{Flow, QueueLimits, RecordQueue};
use super::retry::Retry;
use super::state_manager::{StateManager, StorePlan, expired_records};
use crate::processor::{PartitionCounts, ProcessorGraph, Shared, panic_message};
use crate::record::{FetchedRecord, TopicPartition};
use crate::state::{Position, ReadOnlyStores, StateStore, StoreError};
use crate::time::Timestamp;
use crate::topology::{ApplicationTopology, SubTopology, TaskId};

/// What a task is made of.
#[derive(Debug)]
pub struct TaskSetup {
    /// Which task it is.
    pub id: TaskId,
    /// The topology.
    pub application: Arc<ApplicationTopology>,
    /// The partitions it reads, as in [`crate::topology::TopicPlan::tasks`].
    pub inputs: Vec<TopicPartition>,
    /// Its own directory, which exists and is locked by the caller; unused where no store is persistent.
    pub state_dir: PathBuf,
    /// The global stores of the process.
    pub globals: ReadOnlyStores,
    /// Partition counts of the topics that it writes to.
    pub partition_counts: PartitionCounts,
    /// Its settings.
    pub config: TaskConfig,
}

/// What a task has counted since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskCounters {
    /// Records taken from the queues and processed.
    pub processed: u64,
    /// Records dropped: not readable, without a valid time, null keys, too late (`dropped-records-total`).
    pub dropped: u64,
    /// Changelog records restored.
    pub restored: u64,
    /// Punctuations fired.
    pub punctuations: u64,
    /// Times that records were processed although a partition had none (`enforced-processing-total`).
    pub enforced: u64,
}

/// Where a task stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Restoring,
    Running,
    Failed,
}

impl Phase {
    pub(super) fn name(self) -> &'static str {
        match self {
            Phase::Restoring => "being restored",
            Phase::Running => "running",
            Phase::Failed => "failed",
        }
    }
}

/// One sub-topology on one partition: queues, nodes, stores. See the [module](super) for its life.
pub struct StreamTask<M> {
    pub(super) id: TaskId,
    pub(super) config: TaskConfig,
    pub(super) graph: ProcessorGraph,
    pub(super) group: PartitionGroup<M>,
    pub(super) state: StateManager,
    pub(super) phase: Phase,
    /// The queue whose record the graph's record context names.
    pub(super) context_of: Option<usize>,
    /// Input and event time of the record that was processed last.
    pub(super) last_processed: Option<(usize, Timestamp)>,
    /// The offset that the group has committed last, by input.
    pub(super) committed: Vec<Option<i64>>,
    pub(super) epoch: u64,
    pub(super) sealed: Option<Sealed>,
    /// Whether anything was processed since the last epoch was closed.
    pub(super) touched: bool,
    pub(super) counters: TaskCounters,
    /// The record that is to be tried again, and when.
    pub(super) retry: Option<Retry>,
    application: Arc<ApplicationTopology>,
    inputs: Vec<TopicPartition>,
}

impl<M> std::fmt::Debug for StreamTask<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamTask")
            .field("id", &self.id)
            .field("phase", &self.phase)
            .field("inputs", &self.inputs)
            .finish_non_exhaustive()
    }
}

/// Life.
impl<M: FetchedRecord> StreamTask<M> {
    /// Opens the task's databases and stores; it may then be restored.
    ///
    /// # Errors
    /// When there is no such task, it does not read one of the inputs, or a store cannot be opened.
    pub fn open(setup: TaskSetup) -> Result<Self, TaskError> {
        let TaskSetup { id, application, inputs, state_dir, globals, partition_counts, config } = setup;
        let task = TaskName(Some(id));
        let sub_topology = application
            .sub_topology(id.sub_topology)
            .filter(|sub_topology| sub_topology.global.is_none())
            .ok_or(TaskError::UnknownTask { task })?;
        let queues = inputs
            .iter()
            .map(|input| queue(&application, sub_topology, input, &config))
            .collect::<Option<Vec<_>>>();
        let Some(queues) = queues else {
            let unknown =
                inputs.iter().find(|input| application.source_of(sub_topology, &input.topic).is_none());
            let partition = unknown.cloned().unwrap_or_else(|| TopicPartition::new("", 0));
            return Err(TaskError::UnknownInput { task, partition });
        };
        let plans = store_plans(&application, sub_topology, id);
        // Store builders may be the application's own code.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            StateManager::open(&state_dir, &plans, config.max_cache_bytes)
                .map_err(|source| TaskError::Store { task, source })
        }));
        let (state, stores) = opened.unwrap_or_else(|panic| {
            Err(TaskError::Panicked { task, record: None, message: panic_message(panic.as_ref()) })
        })?;
        let mut shared = Shared::new(stores, globals, partition_counts);
        shared.emit_interval = config.emit_interval;
        config.apply_policies(&mut shared);
        shared.partition = id.partition as i32;
        application.full_names().for_each(|(name, full_name)| shared.output.rename(name, full_name));
        Ok(StreamTask {
            id,
            graph: ProcessorGraph::unbuilt(shared),
            group: PartitionGroup::new(queues, config.max_task_idle),
            state,
            phase: Phase::Restoring,
            context_of: None,
            last_processed: None,
            committed: vec![None; inputs.len()],
            epoch: 0,
            sealed: None,
            touched: false,
            counters: TaskCounters::default(),
            retry: None,
            config,
            application,
            inputs,
        })
    }

    /// Makes the nodes, now that the stores are restored, and takes up event time where the last owner left it.
    /// `committed` has what the group has committed for each of [`StreamTask::inputs`].
    ///
    /// # Errors
    /// When the factory of a node fails.
    pub fn start(&mut self, now: Timestamp, committed: &[Option<CommittedOffset>]) -> Result<(), TaskError> {
        self.expect(Phase::Restoring, "be started")?;
        self.guarded(|task| task.start_nodes(now, committed))
    }

    fn start_nodes(
        &mut self,
        now: Timestamp,
        committed: &[Option<CommittedOffset>],
    ) -> Result<(), TaskError> {
        let nothing = Shared::new(Vec::new(), ReadOnlyStores::default(), PartitionCounts::default());
        let mut shared = std::mem::replace(&mut self.graph, ProcessorGraph::unbuilt(nothing)).shared;
        shared.wall_clock = now;
        for (input, committed) in committed.iter().enumerate().take(self.inputs.len()) {
            let Some(committed) = committed else { continue };
            self.committed[input] = Some(committed.offset);
            let Some(metadata) = CommitMetadata::decode(&committed.metadata) else { continue };
            self.group.queues_mut()[input].partition_time = metadata.partition_time;
            shared.stream_time = shared.stream_time.max(metadata.partition_time);
            for (key, value) in metadata.processors {
                let known = shared.processor_metadata.entry(key).or_insert(value);
                *known = value.max(*known);
            }
        }
        let topology = self.application.topology();
        let places = self
            .application
            .sub_topology(self.id.sub_topology)
            .map_or(&[][..], |sub_topology| &sub_topology.nodes[..]);
        self.graph = ProcessorGraph::build(topology, places, shared).map_err(|source| TaskError::Step {
            task: self.name(),
            step: "making the nodes",
            source,
        })?;
        self.phase = Phase::Running;
        Ok(())
    }

    /// Releases what the nodes hold outside the task. What was not committed is lost, and done again by whoever
    /// opens the task next.
    pub fn close(mut self) {
        // A panic in the application's code must not take the closing of other tasks along; there is nobody to tell.
        let _ = catch_unwind(AssertUnwindSafe(|| self.graph.close()));
    }

    /// Runs `call`; an error or a panic in the application's code ends the task.
    pub(super) fn guarded<T>(
        &mut self,
        call: impl FnOnce(&mut Self) -> Result<T, TaskError>,
    ) -> Result<T, TaskError> {
        let result = catch_unwind(AssertUnwindSafe(|| call(self)));
        let result = result.unwrap_or_else(|panic| {
            let record = self.graph.shared.record_context().map(|context| {
                (TopicPartition::new(Arc::clone(&context.topic), context.partition), context.offset)
            });
            Err(TaskError::Panicked { task: self.name(), record, message: panic_message(panic.as_ref()) })
        });
        if result.is_err() {
            self.phase = Phase::Failed;
        }
        result
    }

    pub(super) fn expect(&self, phase: Phase, call: &'static str) -> Result<(), TaskError> {
        if self.phase == phase {
            return Ok(());
        }
        Err(TaskError::OutOfTurn { task: self.name(), state: self.phase.name(), call })
    }

    pub(super) fn name(&self) -> TaskName {
        TaskName(Some(self.id))
    }

    pub(super) fn store_error(&self) -> impl Fn(StoreError) -> TaskError + use<M> {
        let task = self.name();
        move |source| TaskError::Store { task, source }
    }
}

/// Input and state.
impl<M: FetchedRecord> StreamTask<M> {
    /// Which task it is.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// The partitions it reads; other methods name them by their place here.
    pub fn inputs(&self) -> &[TopicPartition] {
        &self.inputs
    }

    /// Queues fetched records of an input, in the order of their offsets.
    pub fn add_records(&mut self, input: usize, records: impl IntoIterator<Item = M>) {
        self.group.add(input, records);
    }

    /// Notes that everything before `position` has been fetched and handed over, and how many records the broker
    /// has beyond it (none where that is not known): whether records of other inputs may go first depends on it.
    pub fn note_fetched(&mut self, input: usize, position: i64, lag: Option<i64>) {
        self.group.queues_mut()[input].note_fetched(position, lag);
    }

    /// Which inputs are to be paused, for enough of their records wait, or resumed; each change is told once.
    pub fn flow_changes(&mut self) -> impl Iterator<Item = (usize, Flow)> + '_ {
        self.group
            .queues_mut()
            .iter_mut()
            .enumerate()
            .filter_map(|(input, queue)| Some((input, queue.flow_change()?)))
    }

    /// What the stores stand for, uncommitted writes included: of each input the offset of the next record to process.
    pub fn position(&self) -> Position {
        let mut position = Position::default();
        for queue in self.group.queues() {
            if let Some(offset) = queue.offset_to_commit() {
                position.advance(&queue.partition, offset);
            }
        }
        position
    }

    /// How many records wait in the queues.
    pub fn buffered_records(&self) -> usize {
        self.group.queues().iter().map(RecordQueue::len).sum()
    }

    /// How many records wait in the queue of one input.
    pub fn buffered_records_of(&self, input: usize) -> usize {
        self.group.queues().get(input).map_or(0, RecordQueue::len)
    }

    /// How many bytes wait in the queues.
    pub fn buffered_bytes(&self) -> usize {
        self.group.queues().iter().map(RecordQueue::bytes).sum()
    }

    /// The largest event time that was processed.
    pub fn stream_time(&self) -> Timestamp {
        self.graph.shared.stream_time
    }

    /// Input and event time of the record that was processed last, so that its way can be timed.
    pub fn last_processed(&self) -> Option<(usize, Timestamp)> {
        self.last_processed
    }

    /// What was counted so far.
    pub fn counters(&self) -> TaskCounters {
        TaskCounters {
            dropped: self.graph.shared.dropped_records + expired_records(self.graph.shared.stores()),
            restored: self.changelogs().iter().map(|changelog| changelog.restored).sum(),
            enforced: self.group.enforced(),
            ..self.counters
        }
    }

    /// The stores, in the order of the topology.
    pub fn stores(&self) -> &[Box<dyn StateStore>] {
        self.graph.shared.stores()
    }

    /// The stores, in the order of the topology.
    pub fn stores_mut(&mut self) -> &mut [Box<dyn StateStore>] {
        self.graph.shared.stores_mut()
    }

    /// The store of this name and type.
    pub fn store_mut<S: StateStore>(&mut self, name: &str) -> Option<&mut S> {
        let store = self.graph.shared.stores_mut().iter_mut().find(|store| store.name() == name)?;
        (store.as_mut() as &mut dyn Any).downcast_mut()
    }
}

fn queue<M: FetchedRecord>(
    application: &ApplicationTopology,
    sub_topology: &SubTopology,
    input: &TopicPartition,
    config: &TaskConfig,
) -> Option<RecordQueue<M>> {
    let (place, source) = application.source_of(sub_topology, &input.topic)?;
    let node = sub_topology.nodes.iter().position(|&node| node == place)?;
    let limits = QueueLimits {
        records: config.buffered_records_per_partition,
        bytes: config.buffered_bytes_per_partition,
    };
    Some(RecordQueue::new(input.clone(), node as u32, Arc::clone(&source.decoder), limits))
}

fn store_plans<'a>(
    application: &'a ApplicationTopology,
    sub_topology: &SubTopology,
    id: TaskId,
) -> Vec<StorePlan<'a>> {
    let partition = i32::try_from(id.partition).unwrap_or(i32::MAX);
    let plan = |&store: &usize| {
        let spec = &application.topology().stores()[store];
        let changelog = application.changelog_topic(store);
        StorePlan {
            builder: spec.builder.as_ref(),
            changelog: changelog
                .map(|topic| (TopicPartition::new(topic, partition), spec.source_topic.is_some())),
        }
    };
    sub_topology.stores.iter().map(plan).collect()
}

#[cfg(test)]
mod tests;
