//! The task of the global stores: every instance reads all partitions of their topics into full copies.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::absent_store::AbsentStore;
use super::config::TaskConfig;
use super::error::{TaskError, TaskName};
use super::refusal;
use super::state_manager::{StateManager, StorePlan, store_bytes};
use crate::processor::{
    Output, PartitionCounts, ProcessorGraph, Shared, SourceDecoder, SourceError, panic_message,
};
use crate::record::{FetchedRecord, RecordContext, TopicPartition};
use crate::state::{ReadOnlyStores, StateStore, StoreError};
use crate::time::Timestamp;
use crate::topology::ApplicationTopology;

const TASK: TaskName = TaskName(None);

/// What the global task is made of.
#[derive(Debug)]
pub struct GlobalTaskSetup {
    /// The topology.
    pub application: Arc<ApplicationTopology>,
    /// All partitions of the topics of global stores, as in [`crate::topology::TopicPlan::global`].
    pub inputs: Vec<TopicPartition>,
    /// Its own directory, which exists and is locked by the caller; unused where no store is persistent.
    pub state_dir: PathBuf,
    /// Policies and bounds.
    pub config: TaskConfig,
}

/// A partition that feeds a global store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalPartition {
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset to read; none begins at the partition's start.
    pub offset: Option<i64>,
}

/// Keeps the global stores up to date: the same nodes as elsewhere, but no output, no changelog (the topic is its
/// own) and no group offsets. Read the partitions to their ends before other tasks start, then follow them.
#[derive(Debug)]
pub struct GlobalTask {
    config: TaskConfig,
    graph: ProcessorGraph,
    /// The stores; while no batch runs they lie here, for all tasks to read.
    stores: Vec<Arc<Mutex<Box<dyn StateStore>>>>,
    readers: ReadOnlyStores,
    state: StateManager,
    partitions: Vec<GlobalPartition>,
    inputs: Vec<Input>,
    processed: u64,
    /// A batch was left half-way: its writes have no offset to stand for, so they are never committed.
    failed: bool,
}

#[derive(Debug)]
struct Input {
    source: u32,
    store: usize,
    decoder: Arc<dyn SourceDecoder>,
    partition_time: Timestamp,
}

impl GlobalTask {
    /// Opens the global stores and makes their processors.
    ///
    /// # Errors
    /// When a store cannot be opened, a processor cannot be made, or no global store reads one of the inputs.
    pub fn open(setup: GlobalTaskSetup, now: Timestamp) -> Result<Self, TaskError> {
        let GlobalTaskSetup { application, inputs: partitions, state_dir, config } = setup;
        let topology = application.topology();
        let plans: Vec<StorePlan<'_>> = topology
            .globals()
            .iter()
            .map(|global| StorePlan { builder: global.builder.as_ref(), changelog: None })
            .collect();
        let (state, stores) =
            StateManager::open(&state_dir, &plans, config.max_cache_bytes).map_err(store_error)?;
        let places: Vec<usize> = application
            .sub_topologies()
            .iter()
            .filter(|sub_topology| sub_topology.global.is_some())
            .flat_map(|sub_topology| sub_topology.nodes.iter().copied())
            .collect();
        let mut readers = ReadOnlyStores::default();
        let absent: Vec<Box<dyn StateStore>> =
            stores.iter().map(|store| AbsentStore::of(store.as_ref())).collect();
        let mut shared = Shared::new(stores, ReadOnlyStores::default(), PartitionCounts::default());
        // Nothing is tried again: readers wait for the store meanwhile.
        config.apply_policies(&mut shared);
        shared.retries.max = Some(0);
        shared.wall_clock = now;
        let built = catch_unwind(AssertUnwindSafe(|| ProcessorGraph::build(topology, &places, shared)));
        let mut graph = built
            .map_err(|panic| panicked(None, panic.as_ref()))?
            .map_err(|source| TaskError::Step { task: TASK, step: "making the nodes", source })?;
        // The nodes have their handles; between batches the stores are where all tasks can read them.
        let stores = graph
            .shared
            .stores_mut()
            .iter_mut()
            .zip(absent)
            .map(|(store, absent)| readers.insert(std::mem::replace(store, absent)))
            .collect();
        let mut task = GlobalTask {
            config,
            graph,
            stores,
            readers,
            state,
            partitions: Vec::new(),
            inputs: Vec::new(),
            processed: 0,
            failed: false,
        };
        partitions.into_iter().try_for_each(|partition| task.add_input(&application, &places, partition))?;
        Ok(task)
    }

    fn add_input(
        &mut self,
        application: &ApplicationTopology,
        places: &[usize],
        partition: TopicPartition,
    ) -> Result<(), TaskError> {
        let found = application.sub_topologies().iter().find_map(|sub_topology| {
            let store = sub_topology.global?;
            let (place, source) = application.source_of(sub_topology, &partition.topic)?;
            Some((store, places.iter().position(|&node| node == place)?, source))
        });
        let Some((store, source, spec)) = found else {
            return Err(TaskError::UnknownInput { task: TASK, partition });
        };
        let offset = self.state.position(store, &partition).map_err(store_error)?;
        self.partitions.push(GlobalPartition { partition, offset });
        let decoder = Arc::clone(&spec.decoder);
        self.inputs.push(Input { source: source as u32, store, decoder, partition_time: Timestamp::UNKNOWN });
        Ok(())
    }

    /// The partitions it reads and how far it is; [`GlobalTask::process`] names them by their place here.
    pub fn partitions(&self) -> &[GlobalPartition] {
        &self.partitions
    }

    /// Takes out the dead letters, to be sent before what follows them is committed. `spare` may be what an earlier call returned.
    pub fn take_dead_letters(&mut self, spare: Output) -> Output {
        self.graph.shared.output.take(spare)
    }

    /// The stores, for the setups of the other tasks.
    pub fn stores(&self) -> &ReadOnlyStores {
        &self.readers
    }

    /// How many records were processed and how many dropped.
    pub fn counters(&self) -> (u64, u64) {
        let expired: u64 = self.stores.iter().map(|store| lock(store).expired_records()).sum();
        (self.processed, self.graph.shared.dropped_records + expired)
    }

    /// Processes a batch of one partition, in the order of offsets; `next_offset` is the offset behind everything
    /// that the batch has seen. Readers of the store wait until the batch is done.
    ///
    /// # Errors
    /// As [`crate::task::StreamTask::process`]; the task is then to be dropped and opened again.
    pub fn process<R: FetchedRecord>(
        &mut self,
        now: Timestamp,
        input: usize,
        records: &[R],
        next_offset: i64,
    ) -> Result<(), TaskError> {
        self.expect_sound("process records")?;
        self.graph.shared.wall_clock = now;
        let store = self.inputs[input].store;
        let lent = Arc::clone(&self.stores[store]);
        let mut place = lock(&lent);
        std::mem::swap(&mut *place, &mut self.graph.shared.stores_mut()[store]);
        let result = catch_unwind(AssertUnwindSafe(|| self.process_records(input, records)));
        std::mem::swap(&mut *place, &mut self.graph.shared.stores_mut()[store]);
        drop(place);
        let record = || self.graph.shared.record_context().cloned();
        self.failed = !matches!(result, Ok(Ok(())));
        result.unwrap_or_else(|panic| Err(panicked(record(), panic.as_ref())))?;
        self.partitions[input].offset = Some(next_offset);
        self.processed += records.len() as u64;
        let uncommitted: usize = self.stores.iter().map(|store| lock(store).uncommitted_bytes()).sum();
        if uncommitted > self.config.max_uncommitted_bytes && self.graph.shared.output.is_empty() {
            self.commit()?;
        }
        Ok(())
    }

    fn process_records<R: FetchedRecord>(&mut self, input: usize, records: &[R]) -> Result<(), TaskError> {
        let partition = &self.partitions[input].partition;
        let Input { source, decoder, partition_time, .. } = &mut self.inputs[input];
        let context = RecordContext {
            topic: Arc::clone(&partition.topic),
            partition: partition.partition,
            offset: records.first().map_or(0, FetchedRecord::offset),
        };
        self.graph.shared.set_record_context(Some(context));
        for record in records {
            self.graph.shared.set_offset(record.offset());
            let now = self.graph.shared.wall_clock;
            let processed = match decoder.time(record, *partition_time, now) {
                Ok(timed) if timed.timestamp < Timestamp::ZERO => {
                    self.graph.shared.dropped_records += 1;
                    continue;
                }
                Ok(timed) => {
                    *partition_time = timed.timestamp.max(*partition_time);
                    self.graph.shared.stream_time = self.graph.shared.stream_time.max(timed.timestamp);
                    self.graph.feed(*source, |context| decoder.process(record, timed, context))
                }
                Err(error) => Err(error),
            };
            let shared = &mut self.graph.shared;
            match processed {
                Ok(()) => {}
                Err(SourceError::Process(source)) => {
                    let (partition, offset) = (partition.clone(), record.offset());
                    return Err(TaskError::Process { task: TASK, partition, offset, source });
                }
                Err(error) => {
                    refusal::refuse(TASK, &self.config.deserialization, shared, partition, record, error)?;
                }
            }
            // The output has nothing but dead letters: global stores have no sinks.
            if !shared.dead_letters.is_empty() {
                refusal::send_dead_letters(TASK, shared, partition, record);
            }
        }
        Ok(())
    }

    /// Writes what was processed, with the offsets behind it.
    ///
    /// # Errors
    /// When the storage fails, or a batch has failed before: what that has written is to be forgotten.
    pub fn commit(&mut self) -> Result<(), TaskError> {
        self.expect_sound("commit")?;
        let lent = self.stores.clone();
        let mut places: Vec<_> = lent.iter().map(|store| lock(store)).collect();
        let positions: Vec<(TopicPartition, i64)> = self
            .partitions
            .iter()
            .filter_map(|input| Some((input.partition.clone(), input.offset?)))
            .collect();
        let stores = self.graph.shared.stores_mut();
        stores.iter_mut().zip(&mut places).for_each(|(store, place)| std::mem::swap(store, &mut **place));
        let mut write = || {
            stores.iter_mut().try_for_each(|store| store.flush().and_then(|()| store.seal()))?;
            self.state.commit(stores, &[], &positions)
        };
        let written = write();
        stores.iter_mut().zip(&mut places).for_each(|(store, place)| std::mem::swap(store, &mut **place));
        written.map_err(store_error)
    }

    fn expect_sound(&self, call: &'static str) -> Result<(), TaskError> {
        if self.failed {
            return Err(TaskError::OutOfTurn { task: TASK, state: "failed", call });
        }
        Ok(())
    }

    /// Bytes that are not committed yet, and bytes of caches.
    pub fn store_bytes(&self) -> (usize, usize) {
        self.stores.iter().fold((0, 0), |(uncommitted, cached), store| {
            let store = lock(store);
            let (more, more_cached) = store_bytes(std::slice::from_ref(&*store));
            (uncommitted + more, cached + more_cached)
        })
    }

    /// Writes what was processed, unless a batch has failed, and releases what the nodes hold.
    ///
    /// # Errors
    /// As [`GlobalTask::commit`].
    pub fn close(mut self) -> Result<(), TaskError> {
        let written = if self.failed { Ok(()) } else { self.commit() };
        // A panic in the application's code must not hide what the write said.
        let _ = catch_unwind(AssertUnwindSafe(|| self.graph.close()));
        written
    }
}

fn lock(store: &Mutex<Box<dyn StateStore>>) -> MutexGuard<'_, Box<dyn StateStore>> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

fn store_error(source: StoreError) -> TaskError {
    TaskError::Store { task: TASK, source }
}

fn panicked(record: Option<RecordContext>, panic: &(dyn std::any::Any + Send)) -> TaskError {
    let record = record.map(|record| (TopicPartition::new(record.topic, record.partition), record.offset));
    TaskError::Panicked { task: TASK, record, message: panic_message(panic) }
}

#[cfg(test)]
mod tests;
