//! What the nodes of a task share: stores, outputs, clocks, the current record's context.

use std::any::type_name;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::{ProcessorError, ProcessorErrorKind};
use super::failure::{DeadLetter, FailedStep, ProcessingPolicy, Respond, Retries};
use super::output::Output;
use super::partitioner::PartitionCounts;
use super::production::{FailedDelivery, ProductionPolicy};
use super::punctuation::{PunctuationId, PunctuationSchedule, PunctuationType};
use crate::record::{Headers, RecordContext};
use crate::state::{ReadOnlyStores, StateStore};
use crate::time::Timestamp;

/// The shared part of a task's graph.
#[derive(Debug)]
pub struct Shared {
    stores: Vec<Box<dyn StateStore>>,
    globals: ReadOnlyStores,
    /// Records for sinks.
    pub output: Output,
    /// Partition counts of the topics that sinks write to, for custom partitioners.
    pub partition_counts: PartitionCounts,
    /// The partition of the task: that of all records that it reads.
    pub partition: i32,
    /// The task's punctuations.
    pub punctuations: PunctuationSchedule,
    /// The largest event time seen by the task.
    pub stream_time: Timestamp,
    /// The wall clock as of this step; set by whoever drives the task.
    pub wall_clock: Timestamp,
    /// A processor asked for a commit.
    pub commit_requested: bool,
    /// Records dropped by operators: null keys, late records and the like (Kafka's `dropped-records-total`).
    pub dropped_records: u64,
    /// How often, by the wall clock, operators look for results whose time has come.
    pub emit_interval: Duration,
    /// What to do when a node fails.
    pub processing: ProcessingPolicy,
    /// Numbers of the processors' own that are committed with the input offsets and are there again after a restart
    /// or a move of the task (Kafka's `ProcessorMetadata`), for instance the last window that was emitted.
    pub processor_metadata: BTreeMap<String, i64>,
    /// What to do when a record cannot be serialized for a topic.
    pub production: ProductionPolicy,
    pub(crate) retries: Retries,
    /// Whether nodes are called so that a panic is an error of theirs; as the policies say when the graph is built.
    pub(super) guards_panics: bool,
    /// What the current input record is to be sent to topics for as it came.
    pub(crate) dead_letters: Vec<DeadLetter>,
    /// How often stores were reached and records gathered: tells whether anything was done for a record.
    effects: u64,
    record_context: Option<RecordContext>,
    timestamp: Timestamp,
    headers: Headers,
}

/// The time and headers of an outer record, put back when a forward returns.
#[derive(Debug)]
pub struct OuterRecord {
    timestamp: Timestamp,
    headers: Option<Headers>,
}

impl Shared {
    /// The shared part of a task with these stores.
    pub fn new(
        stores: Vec<Box<dyn StateStore>>,
        globals: ReadOnlyStores,
        partition_counts: PartitionCounts,
    ) -> Self {
        Shared {
            stores,
            globals,
            output: Output::default(),
            partition_counts,
            partition: 0,
            punctuations: PunctuationSchedule::default(),
            stream_time: Timestamp::UNKNOWN,
            wall_clock: Timestamp::ZERO,
            commit_requested: false,
            dropped_records: 0,
            emit_interval: Duration::ZERO,
            processing: ProcessingPolicy::default(),
            processor_metadata: BTreeMap::new(),
            production: ProductionPolicy::default(),
            retries: Retries::default(),
            guards_panics: false,
            dead_letters: Vec::new(),
            effects: 0,
            record_context: None,
            timestamp: Timestamp::UNKNOWN,
            headers: Headers::new(),
        }
    }

    /// Sets where the next input record comes from; none before a wall-clock punctuation.
    pub fn set_record_context(&mut self, context: Option<RecordContext>) {
        self.record_context = context;
    }

    /// Notes the input record's offset, its topic and partition staying as they are: the cheap way per record.
    pub fn set_offset(&mut self, offset: i64) {
        if let Some(context) = &mut self.record_context {
            context.offset = offset;
        }
    }

    /// Begins a step on behalf of no record: time and headers are those of a punctuation or a flush.
    pub(crate) fn begin_step(&mut self, time: Timestamp) {
        self.record_context = None;
        self.timestamp = time;
        self.headers = Headers::new();
    }

    /// Decides about a step that failed in the node `node`, unless an inner node's error is passed on, which was
    /// decided upon where it happened.
    ///
    /// # Errors
    /// The error itself where it ends the task.
    #[cold]
    pub(super) fn judge(&mut self, error: ProcessorError, node: &Arc<str>) -> Result<(), ProcessorError> {
        if error.node().is_some() {
            return Err(error);
        }
        let error = error.at(node);
        let may_retry = self.record_context.is_some() || self.retries.at_punctuation;
        if may_retry && self.retries.come_first(&error) {
            self.retries.wanted = true;
            return Err(error);
        }
        match self.respond(&error) {
            Respond::Fail => return Err(error),
            Respond::Retry => {
                self.retries.wanted = may_retry && self.retries.are_left();
                return Err(error);
            }
            Respond::Continue => {}
            Respond::DeadLetter(topic) => self.dead_letters.push(DeadLetter {
                topic,
                exception: error.kind().name(),
                message: error.to_string(),
                node: Some(Arc::clone(node)),
            }),
        }
        self.dropped_records += 1;
        Ok(())
    }

    fn respond(&self, error: &ProcessorError) -> Respond {
        let (record, attempt) = (self.record_context.as_ref(), self.retries.attempt);
        match error.kind() {
            ProcessorErrorKind::Serialize { topic, part, .. } => self.production.respond(&FailedDelivery {
                topic,
                partition: None,
                key: None,
                value: None,
                unserialized: Some(*part),
                error,
                record,
                attempt,
            }),
            _ => self.processing.respond(&FailedStep { error, record, attempt }),
        }
    }

    /// Finds out, once for all records, whether nodes must be called so that a panic is an error of theirs.
    pub(super) fn note_whether_to_guard(&mut self) {
        self.guards_panics = self.processing.may_pass_over() || self.retries.max.is_some_and(|max| max > 0);
    }

    /// A number that grows with everything that is done to stores and the output.
    pub(crate) fn effects(&self) -> u64 {
        self.effects + self.output.len() as u64
    }

    /// Where the input record came from.
    pub fn record_context(&self) -> Option<&RecordContext> {
        self.record_context.as_ref()
    }

    /// The event time of the record that is being processed.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The headers of the record that is being processed.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Whether a record of this time and these headers would be entered for nothing.
    #[inline]
    pub(super) fn is_current(&self, timestamp: Timestamp, headers: &Headers) -> bool {
        self.timestamp == timestamp && self.headers.is_same(headers)
    }

    /// Makes a record the current one; hand the answer to [`Shared::leave_record`].
    #[inline]
    pub fn enter_record(&mut self, timestamp: Timestamp, headers: &Headers) -> OuterRecord {
        let outer = OuterRecord {
            timestamp: self.timestamp,
            headers: (!self.headers.is_same(headers))
                .then(|| std::mem::replace(&mut self.headers, headers.clone())),
        };
        self.timestamp = timestamp;
        outer
    }

    /// Makes the outer record the current one again.
    #[inline]
    pub fn leave_record(&mut self, outer: OuterRecord) {
        self.timestamp = outer.timestamp;
        if let Some(headers) = outer.headers {
            self.headers = headers;
        }
    }

    /// The store behind a handle.
    pub fn store_mut<S: StateStore>(&mut self, handle: StoreHandle<S>) -> &mut S {
        self.effects += 1;
        let store = self.stores[handle.index as usize].as_mut();
        store.enter(self.timestamp, &self.headers);
        (store as &mut dyn std::any::Any)
            .downcast_mut()
            .expect("the type was checked when the handle was made")
    }

    /// All stores of the task, in the order of the topology.
    pub fn stores_mut(&mut self) -> &mut [Box<dyn StateStore>] {
        &mut self.stores
    }

    /// All stores of the task, in the order of the topology.
    pub fn stores(&self) -> &[Box<dyn StateStore>] {
        &self.stores
    }

    /// Asks for a punctuation of a node.
    pub fn schedule(&mut self, node: u32, interval: Duration, kind: PunctuationType) -> PunctuationId {
        self.punctuations.add(node, interval, kind, self.wall_clock)
    }

    /// Ends a punctuation.
    pub fn cancel(&mut self, punctuation: PunctuationId) {
        self.punctuations.cancel(punctuation);
    }

    /// A handle of a store among those that are `connected`.
    ///
    /// # Errors
    /// When it is not among them, or of another type.
    pub fn store_handle<S: StateStore>(
        &self,
        name: &str,
        connected: &[Arc<str>],
    ) -> Result<StoreHandle<S>, ProcessorError> {
        let place = self.stores.iter().position(|store| store.name() == name);
        let fits = |index: &usize| (self.stores[*index].as_ref() as &dyn std::any::Any).is::<S>();
        match place.filter(|_| connected.iter().any(|store| &**store == name)).filter(fits) {
            Some(index) => Ok(StoreHandle { index: index as u32, store: PhantomData }),
            None => Err(no_such_store::<S>(name)),
        }
    }

    /// A global store by name.
    ///
    /// # Errors
    /// When there is none, or it is of another type.
    pub fn global_store<S: StateStore>(&self, name: &str) -> Result<GlobalStore<S>, ProcessorError> {
        GlobalStore::find(&self.globals, name).ok_or_else(|| no_such_store::<S>(name))
    }
}

fn no_such_store<S>(name: &str) -> ProcessorError {
    ProcessorErrorKind::NoSuchStore { store: name.to_owned(), expected: type_name::<S>() }.into()
}

/// Names a store of the task by its place; asked for once, when the processor is made.
pub struct StoreHandle<S> {
    index: u32,
    store: PhantomData<fn() -> S>,
}

impl<S> Clone for StoreHandle<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for StoreHandle<S> {}

impl<S> std::fmt::Debug for StoreHandle<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoreHandle({})", self.index)
    }
}

/// A global store, shared by all tasks of the process; lookups lock it for their own time only.
pub struct GlobalStore<S> {
    store: Arc<Mutex<Box<dyn StateStore>>>,
    kind: PhantomData<fn() -> S>,
}

impl<S: StateStore> GlobalStore<S> {
    /// The store of this name, where there is one and it is an `S`.
    pub fn find(stores: &ReadOnlyStores, name: &str) -> Option<Self> {
        let store = stores.get(name)?;
        let locked = store.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = (locked.as_ref() as &dyn std::any::Any).is::<S>();
        drop(locked);
        fits.then_some(GlobalStore { store, kind: PhantomData })
    }

    /// Runs `read` on the store.
    pub fn with<R>(&self, read: impl FnOnce(&mut S) -> R) -> R {
        let mut store: MutexGuard<'_, Box<dyn StateStore>> =
            self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let store = (store.as_mut() as &mut dyn std::any::Any).downcast_mut();
        read(store.expect("the type was checked when the handle was made"))
    }
}

impl<S> Clone for GlobalStore<S> {
    fn clone(&self) -> Self {
        GlobalStore { store: Arc::clone(&self.store), kind: PhantomData }
    }
}

impl<S> std::fmt::Debug for GlobalStore<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GlobalStore")
    }
}
