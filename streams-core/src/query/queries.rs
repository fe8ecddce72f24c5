//! The engine of queries: finds a partition's store, reads it, and says what the answer stands for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::Instant;

use super::error::QueryError;
use super::hosting::{Hosted, StoreHost};
use super::metadata::{KeyMetadata, StoreMetadata};
use super::options::{Answer, Consistency, QueryOptions};
use crate::membership::InstanceMetadata;
use crate::processor::panic_message;
use crate::processor::{PartitionCounts, partition_for_key};
use crate::runtime::{StatusBoard, StreamsState};
use crate::state::{Position, ReadOnlyStores, StateStore, StoreBuilder};
use crate::task::committed_position;
use crate::topology::{ApplicationTopology, NodeKind, TaskId};

/// Reads that may be under way at a time, in one instance.
const READS_MAX: usize = 1_024;
/// Between two looks whether a task has reached a position that is not committed yet.
const LATEST_RETRY: std::time::Duration = std::time::Duration::from_millis(5);

/// What queries of an instance work with.
pub(crate) struct Queries {
    pub(crate) application: Arc<ApplicationTopology>,
    pub(crate) partition_counts: PartitionCounts,
    pub(crate) host: StoreHost,
    pub(crate) status: StatusBoard,
    pub(crate) state: watch::Receiver<StreamsState>,
    pub(crate) globals: ReadOnlyStores,
    pub(crate) process_id: uuid::Uuid,
    reads: Semaphore,
}

/// A store and where its partitions are.
#[derive(Debug, Clone)]
pub(crate) enum StorePlace {
    Task { sub_topology: u32, builder: Arc<dyn StoreBuilder> },
    Global { builder: Arc<dyn StoreBuilder> },
}

impl StorePlace {
    pub(crate) fn builder(&self) -> &Arc<dyn StoreBuilder> {
        match self {
            StorePlace::Task { builder, .. } | StorePlace::Global { builder } => builder,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.builder().name()
    }
}

/// Parts of an instance that its queries need.
pub(crate) struct QueryParts {
    pub(crate) application: Arc<ApplicationTopology>,
    pub(crate) partition_counts: PartitionCounts,
    pub(crate) host: StoreHost,
    pub(crate) status: StatusBoard,
    pub(crate) state: watch::Receiver<StreamsState>,
    pub(crate) globals: ReadOnlyStores,
    pub(crate) process_id: uuid::Uuid,
}

impl Queries {
    pub(crate) fn new(parts: QueryParts) -> Self {
        let QueryParts { application, partition_counts, host, status, state, globals, process_id } = parts;
        let reads = Semaphore::new(READS_MAX);
        Queries { application, partition_counts, host, status, state, globals, process_id, reads }
    }

    /// The store of this name.
    pub(crate) fn place(&self, store: &str) -> Result<StorePlace, QueryError> {
        let places = self.places();
        let known = || places.iter().map(|place| place.name().to_owned()).collect();
        let found = places.iter().find(|place| place.name() == store).cloned();
        found.ok_or_else(|| QueryError::UnknownStore { store: store.to_owned(), known: known() })
    }

    /// All stores of the topology.
    pub(crate) fn stores(&self) -> Vec<StoreMetadata> {
        let metadata = |place: &StorePlace| StoreMetadata {
            name: place.name().to_owned(),
            sub_topology: match place {
                StorePlace::Task { sub_topology, .. } => Some(*sub_topology),
                StorePlace::Global { .. } => None,
            },
            partitions: self.partitions(place).ok(),
            global: matches!(place, StorePlace::Global { .. }),
            backend: place.builder().backend().name(),
        };
        self.places().iter().map(metadata).collect()
    }

    fn places(&self) -> Vec<StorePlace> {
        let topology = self.application.topology();
        let in_tasks = self.application.sub_topologies().iter().flat_map(|part| {
            part.stores.iter().map(|&store| StorePlace::Task {
                sub_topology: part.id,
                builder: Arc::clone(&topology.stores()[store].builder),
            })
        });
        let global = topology.globals().iter();
        let global = global.map(|global| StorePlace::Global { builder: Arc::clone(&global.builder) });
        in_tasks.chain(global).collect()
    }

    /// How many partitions a store has: as many as the largest of its task's inputs.
    pub(crate) fn partitions(&self, place: &StorePlace) -> Result<u32, QueryError> {
        let StorePlace::Task { sub_topology, .. } = place else { return Ok(1) };
        let part = self.application.sub_topology(*sub_topology);
        let sources = part.iter().flat_map(|part| &part.nodes).filter_map(|&node| {
            match &self.application.topology().nodes()[node].kind {
                NodeKind::Source(source) => Some(source),
                _ => None,
            }
        });
        let counts = sources.filter_map(|source| {
            self.partition_counts.largest(|topic| self.application.reads(source, topic))
        });
        let counted = counts.max().and_then(|count| u32::try_from(count).ok());
        counted.ok_or_else(|| QueryError::NotRunning { state: *self.state.borrow() })
    }

    /// The partition of a key, given by its bytes.
    pub(crate) fn partition_of(&self, place: &StorePlace, key: &[u8]) -> Result<u32, QueryError> {
        let partitions = self.partitions(place)?;
        let count = i32::try_from(partitions).unwrap_or(i32::MAX);
        Ok(partition_for_key(key, count).unsigned_abs())
    }

    /// Who has a partition of a store, as far as the group's leader has told.
    pub(crate) fn owners(&self, place: &StorePlace, partition: u32) -> KeyMetadata {
        let instances = self.status.instances();
        match place {
            StorePlace::Task { sub_topology, .. } => {
                let task = TaskId::new(*sub_topology, partition);
                let has = |tasks: &[TaskId]| tasks.binary_search(&task).is_ok();
                KeyMetadata {
                    partition,
                    active: instances.iter().find(|instance| has(&instance.active)).cloned(),
                    standbys: instances.iter().filter(|instance| has(&instance.standby)).cloned().collect(),
                }
            }
            StorePlace::Global { .. } => {
                let own = instances.iter().find(|instance| instance.process_id == self.process_id).cloned();
                KeyMetadata {
                    partition: 0,
                    active: own.or_else(|| Some(self.own_metadata())),
                    standbys: Vec::new(),
                }
            }
        }
    }

    /// The partitions of a store that are here.
    pub(crate) fn local_partitions(&self, place: &StorePlace, standbys: bool) -> Vec<u32> {
        let StorePlace::Task { sub_topology, .. } = place else { return vec![0] };
        let status = self.status.snapshot();
        let copies = status.standbys.keys().filter(|_| standbys);
        let mut partitions: Vec<u32> = status
            .tasks
            .keys()
            .chain(copies)
            .filter(|task| task.sub_topology == *sub_topology)
            .map(|task| task.partition)
            .collect();
        partitions.sort_unstable();
        partitions.dedup();
        partitions
    }

    /// Reads one partition of a store.
    pub(crate) async fn read<R: Send + 'static>(
        &self,
        place: &StorePlace,
        partition: u32,
        options: &QueryOptions,
        read: impl FnOnce(&mut dyn StateStore) -> Result<R, QueryError> + Send + 'static,
    ) -> Result<Answer<R>, QueryError> {
        let permit = self.reads.try_acquire().map_err(|_| QueryError::Busy { limit: READS_MAX })?;
        let answer = match place {
            StorePlace::Global { builder } => self.read_global(builder.name(), read).await,
            StorePlace::Task { sub_topology, builder } => {
                let reading = Reading {
                    queries: self,
                    builder,
                    task: TaskId::new(*sub_topology, partition),
                    options,
                    until: Instant::now() + options.patience,
                };
                reading.check_partition(place)?;
                reading.check_position()?;
                reading.run(read).await
            }
        };
        drop(permit);
        answer
    }

    async fn read_global<R: Send + 'static>(
        &self,
        store: &str,
        read: impl FnOnce(&mut dyn StateStore) -> Result<R, QueryError> + Send + 'static,
    ) -> Result<Answer<R>, QueryError> {
        let not_open = || QueryError::NotRunning { state: *self.state.borrow() };
        let store = self.globals.get(store).ok_or_else(not_open)?;
        let value = apart(move || {
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            read(store.as_mut())
        });
        Ok(Answer { value: value.await?, partition: 0, position: Position::default(), standby: false })
    }

    fn own_metadata(&self) -> InstanceMetadata {
        InstanceMetadata { process_id: self.process_id, ..InstanceMetadata::default() }
    }
}

impl std::fmt::Debug for Queries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queries").field("host", &self.host).finish_non_exhaustive()
    }
}

/// One read of one partition.
struct Reading<'a> {
    queries: &'a Queries,
    builder: &'a Arc<dyn StoreBuilder>,
    task: TaskId,
    options: &'a QueryOptions,
    until: Instant,
}

impl Reading<'_> {
    fn store(&self) -> String {
        self.builder.name().to_owned()
    }

    fn check_partition(&self, place: &StorePlace) -> Result<(), QueryError> {
        let (partition, partitions) = (self.task.partition, self.queries.partitions(place)?);
        if partition < partitions {
            return Ok(());
        }
        Err(QueryError::UnknownPartition { store: self.store(), partition, partitions })
    }

    /// A topic that the task does not read would never be reached.
    fn check_position(&self) -> Result<(), QueryError> {
        let application = &self.queries.application;
        let Some(part) = application.sub_topology(self.task.sub_topology) else { return Ok(()) };
        for (partition, _) in self.options.at_least.iter() {
            if application.source_of(part, &partition.topic).is_none() {
                let sources =
                    part.nodes.iter().filter_map(|&node| match &application.topology().nodes()[node].kind {
                        NodeKind::Source(source) => Some(source),
                        _ => None,
                    });
                let names = sources.flat_map(|source| source.topics.names());
                return Err(QueryError::ForeignPosition {
                    store: self.store(),
                    topic: partition.topic.to_string(),
                    inputs: names.map(|name| application.topic(name).to_string()).collect(),
                });
            }
        }
        Ok(())
    }

    async fn run<R: Send + 'static>(
        &self,
        read: impl FnOnce(&mut dyn StateStore) -> Result<R, QueryError> + Send + 'static,
    ) -> Result<Answer<R>, QueryError> {
        let hosted = self.find()?;
        let (value, position) = match (self.options.consistency, &hosted.active) {
            (Consistency::Latest, Some(_)) => self.read_latest(&hosted, read).await?,
            _ => self.read_committed(&hosted, read).await?,
        };
        // Asked after the read: what was this instance's after it was so during it.
        if hosted.active.as_ref().is_some_and(|(_, lease)| !lease.covers(std::time::Duration::ZERO)) {
            return Err(QueryError::Unconfirmed { store: self.store(), partition: self.task.partition });
        }
        let standby = hosted.active.is_none();
        Ok(Answer { value, partition: self.task.partition, position, standby })
    }

    /// The task, where it runs here, or its copy, where that will do.
    fn find(&self) -> Result<Hosted, QueryError> {
        let hosted = self.queries.host.find(self.task);
        hosted
            .filter(|hosted| hosted.active.is_some() || self.options.standbys)
            .ok_or_else(|| self.elsewhere())
    }

    fn elsewhere(&self) -> QueryError {
        let (store, partition) = (self.store(), self.task.partition);
        let state = *self.queries.state.borrow();
        if matches!(state, StreamsState::Created | StreamsState::NotRunning | StreamsState::Failed) {
            return QueryError::NotRunning { state };
        }
        let restoring = self.queries.status.restoring();
        if let Some(remaining) = restoring.get(&self.task) {
            return QueryError::Restoring { store, partition, remaining: *remaining };
        }
        let place =
            StorePlace::Task { sub_topology: self.task.sub_topology, builder: Arc::clone(self.builder) };
        let owner = self.queries.owners(&place, partition).active;
        match owner.filter(|owner| owner.process_id != self.queries.process_id) {
            Some(owner) => {
                let InstanceMetadata { application_server, process_id, .. } = owner;
                let owner = application_server.unwrap_or_else(|| format!("process {process_id}"));
                QueryError::Moved { store, partition, owner }
            }
            None => QueryError::Moving { store, partition },
        }
    }

    /// Reads what is committed, from the database beside the task.
    async fn read_committed<R: Send + 'static>(
        &self,
        hosted: &Hosted,
        read: impl FnOnce(&mut dyn StateStore) -> Result<R, QueryError> + Send + 'static,
    ) -> Result<(R, Position), QueryError> {
        let database =
            hosted.database(self.builder.name()).map(Arc::clone).ok_or_else(|| self.elsewhere())?;
        if !self.options.at_least.is_empty() {
            self.wait_until_committed(hosted).await?;
        }
        // The lease on the directory goes along, so that nobody opens the database while it is read.
        let (hosted, builder) = (hosted.clone(), Arc::clone(self.builder));
        apart(move || {
            // First the position, so that the data are at least as new.
            let mut position = committed_position(database.as_ref(), &hosted.inputs)?;
            position.merge(&hosted.floor());
            let mut store = builder.view(Arc::clone(&database))?;
            let value = read(store.as_mut())?;
            drop((store, database));
            drop(hosted);
            Ok((value, position))
        })
        .await
    }

    async fn wait_until_committed(&self, hosted: &Hosted) -> Result<(), QueryError> {
        loop {
            let moved = self.queries.host.moved().notified();
            tokio::pin!(moved);
            // From here on nothing that is notified is missed.
            moved.as_mut().enable();
            let Some(database) = hosted.database(self.builder.name()) else { return Err(self.elsewhere()) };
            let mut position = committed_position(database.as_ref(), &hosted.inputs)?;
            position.merge(&hosted.floor());
            let Some(behind) = self.behind(&position) else { return Ok(()) };
            if tokio::time::timeout_at(self.until, moved).await.is_err() {
                return Err(behind);
            }
        }
    }

    /// Lets the task itself read, between two slices of its work.
    async fn read_latest<R: Send + 'static>(
        &self,
        hosted: &Hosted,
        read: impl FnOnce(&mut dyn StateStore) -> Result<R, QueryError> + Send + 'static,
    ) -> Result<(R, Position), QueryError> {
        let mut read = Some(read);
        loop {
            let floor = hosted.floor();
            // Looked at first, where a position is wanted: the read itself can be done once only.
            let position = self.ask(hosted, |task| Ok(task.position())).await?;
            let mut position: Position = position;
            position.merge(&floor);
            if let Some(behind) = self.behind(&position) {
                if Instant::now() >= self.until {
                    return Err(behind);
                }
                tokio::time::sleep(LATEST_RETRY).await;
                continue;
            }
            let Some(read) = read.take() else { return Err(self.elsewhere()) };
            let store = self.builder.name().to_owned();
            let value = self.ask(hosted, move |task| {
                let found = task.stores_mut().iter_mut().find(|known| known.name() == store);
                let missing = || QueryError::UnknownStore { store: store.clone(), known: Vec::new() };
                read(found.ok_or_else(missing)?.as_mut())
            });
            return Ok((value.await?, position));
        }
    }

    async fn ask<R: Send + 'static>(
        &self,
        hosted: &Hosted,
        call: impl FnOnce(&mut crate::task::StreamTask<crate::client::FetchedMessage>) -> Result<R, QueryError>
        + Send
        + 'static,
    ) -> Result<R, QueryError> {
        let Some((mailbox, _)) = &hosted.active else { return Err(self.elsewhere()) };
        let (reply, answer) = oneshot::channel();
        let query = Box::new(move |task: &mut _| {
            let called = catch_unwind(AssertUnwindSafe(|| call(task)));
            // Whoever asked may have given up.
            let _ = reply.send(called.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))));
        });
        if !mailbox(query) {
            return Err(self.elsewhere());
        }
        // A task that ends drops what is in its mailbox.
        answer.await.map_err(|_| self.elsewhere())?
    }

    /// What is missing of the position asked for; another partition's offsets do not matter here.
    fn behind(&self, position: &Position) -> Option<QueryError> {
        let own = |partition: i32| u32::try_from(partition) == Ok(self.task.partition);
        let wanted = self.options.at_least.iter().filter(|(input, _)| own(input.partition));
        let mut missing = wanted.filter(|(input, wanted)| position.get(input).is_none_or(|at| at < *wanted));
        let (input, wanted) = missing.next()?;
        Some(QueryError::Behind {
            store: self.store(),
            input: input.clone(),
            reached: position.get(input),
            wanted,
            waited: self.options.patience,
        })
    }
}

/// Runs a read on a thread that may wait for the disk.
async fn apart<R: Send + 'static>(
    read: impl FnOnce() -> Result<R, QueryError> + Send + 'static,
) -> Result<R, QueryError> {
    let outcome = tokio::task::spawn_blocking(move || catch_unwind(AssertUnwindSafe(read))).await;
    match outcome {
        Ok(Ok(answer)) => answer,
        Ok(Err(panic)) => Err(panicked(panic.as_ref())),
        Err(fault) => Err(QueryError::Panicked { message: fault.to_string() }),
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> QueryError {
    QueryError::Panicked { message: panic_message(panic) }
}
