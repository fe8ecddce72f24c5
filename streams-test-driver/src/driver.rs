//! The driver itself.

use std::any::type_name;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use streams_core::processor::{GlobalStore, PartitionCounts};
use streams_core::serdes::{DefaultSerde, Serde};
use streams_core::state::StateStore;
use streams_core::task::{Gathered, GlobalTask, GlobalTaskSetup, StreamTask, TaskCounters, TaskSetup};
use streams_core::topology::{ApplicationTopology, NodeKind, TaskId, Topics, Topology};
use streams_core::{Headers, OwnedRecord, Timestamp, TopicPartition};
use tempfile::TempDir;

use crate::config::DriverConfig;
use crate::error::DriverError;
use crate::input_topic::TestInputTopic;
use crate::output_topic::TestOutputTopic;
use crate::produced::ProducedRecord;

/// All topics of a driver have one partition, number 0.
const PARTITION: i32 = 0;

/// Runs a topology step by step; see the [crate](crate).
///
/// ```
/// use streams_dsl::prelude::*;
/// use streams_test_driver::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new();
/// builder.stream::<String, i64>("fares").filter(|_, fare| *fare > 100).to("large-fares");
/// let mut driver = TopologyTestDriver::new(builder.build()?)?;
///
/// let fares = driver.input_topic::<String, i64>("fares");
/// let large = driver.output_topic::<String, i64>("large-fares");
/// fares.pipe(&mut driver, "north".to_owned(), 120)?;
/// fares.pipe(&mut driver, "south".to_owned(), 80)?;
/// assert_eq!(large.read_key_values(&mut driver)?, [("north".to_owned(), 120)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TopologyTestDriver {
    task: Option<StreamTask<OwnedRecord>>,
    global: Option<GlobalTask>,
    /// The next offset of each input topic.
    offsets: HashMap<Arc<str>, i64>,
    /// How many records each changelog has got.
    changelog_ends: Vec<i64>,
    produced: HashMap<Arc<str>, VecDeque<ProducedRecord>>,
    /// All records for users' topics, in the order of sending, since they were last taken.
    sent: Vec<ProducedRecord>,
    internal: Vec<ProducedRecord>,
    internal_topics: Vec<Arc<str>>,
    wall_clock: Timestamp,
    spare: Gathered,
    /// Persistent stores lie here; removed with the driver.
    _state: TempDir,
}

impl TopologyTestDriver {
    /// A driver for a topology, with default settings.
    ///
    /// # Errors
    /// When the topology's nodes or stores cannot be made.
    pub fn new(topology: impl Into<Arc<Topology>>) -> Result<Self, DriverError> {
        Self::with_config(topology, DriverConfig::default())
    }

    /// A driver for a topology.
    ///
    /// # Errors
    /// As [`TopologyTestDriver::new`].
    pub fn with_config(
        topology: impl Into<Arc<Topology>>,
        config: DriverConfig,
    ) -> Result<Self, DriverError> {
        let state = tempfile::tempdir()?;
        let topology: Arc<Topology> = topology.into();
        let application =
            Arc::new(ApplicationTopology::in_one_task(Arc::clone(&topology), config.application_id.as_str()));
        let (inputs, global_inputs) = inputs(&topology, &application);
        let global = if global_inputs.is_empty() {
            None
        } else {
            let setup = GlobalTaskSetup {
                application: Arc::clone(&application),
                inputs: global_inputs,
                state_dir: state.path().join("global"),
                config: config.task.clone(),
            };
            Some(GlobalTask::open(setup, config.wall_clock)?)
        };
        let globals = global.as_ref().map(|global| global.stores().clone()).unwrap_or_default();
        let mut driver = TopologyTestDriver {
            task: None,
            global,
            offsets: HashMap::new(),
            changelog_ends: Vec::new(),
            produced: HashMap::new(),
            sent: Vec::new(),
            internal: Vec::new(),
            internal_topics: application.full_names().map(|(_, full)| Arc::clone(full)).collect(),
            wall_clock: config.wall_clock,
            spare: Gathered::default(),
            _state: state,
        };
        if let Some(first) = application.sub_topologies().iter().find(|part| part.global.is_none()) {
            let setup = TaskSetup {
                id: TaskId { sub_topology: first.id, partition: PARTITION as u32 },
                inputs,
                state_dir: driver._state.path().join("task"),
                application: Arc::clone(&application),
                globals,
                partition_counts: PartitionCounts::default(),
                config: config.task,
            };
            let mut task = StreamTask::open(setup)?;
            let nothing_committed = vec![None; task.inputs().len()];
            task.start(driver.wall_clock, &nothing_committed)?;
            driver.changelog_ends = vec![0; task.changelogs().len()];
            driver.task = Some(task);
        }
        Ok(driver)
    }

    /// An input topic whose types have default serdes.
    pub fn input_topic<K: DefaultSerde + 'static, V: DefaultSerde + 'static>(
        &self,
        topic: &str,
    ) -> TestInputTopic<K, V> {
        self.input_topic_with(topic, K::Serde::default(), V::Serde::default())
    }

    /// An input topic with these serdes.
    pub fn input_topic_with<K: 'static, V: 'static>(
        &self,
        topic: &str,
        key_serde: impl Serde<K>,
        value_serde: impl Serde<V>,
    ) -> TestInputTopic<K, V> {
        TestInputTopic::new(topic.into(), Arc::new(key_serde), Arc::new(value_serde))
    }

    /// An output topic whose types have default serdes.
    pub fn output_topic<K: DefaultSerde + 'static, V: DefaultSerde + 'static>(
        &self,
        topic: &str,
    ) -> TestOutputTopic<K, V> {
        self.output_topic_with(topic, K::Serde::default(), V::Serde::default())
    }

    /// An output topic with these serdes.
    pub fn output_topic_with<K: 'static, V: 'static>(
        &self,
        topic: &str,
        key_serde: impl Serde<K>,
        value_serde: impl Serde<V>,
    ) -> TestOutputTopic<K, V> {
        TestOutputTopic::new(topic.into(), Arc::new(key_serde), Arc::new(value_serde))
    }

    /// Sends a record in bytes, and lets the topology finish all that follows from it.
    ///
    /// # Errors
    /// When no source reads the topic, or the topology fails.
    pub fn pipe_bytes(
        &mut self,
        topic: &str,
        key: Option<Bytes>,
        value: Option<Bytes>,
        timestamp: Timestamp,
        headers: Headers,
    ) -> Result<(), DriverError> {
        let record = OwnedRecord { key, value, offset: 0, timestamp, headers };
        if !self.enqueue(topic, record)? {
            return Err(DriverError::UnknownTopic { topic: topic.to_owned(), known: self.known_topics() });
        }
        self.complete()
    }

    /// Moves the wall clock on and fires what is due.
    ///
    /// # Errors
    /// When the topology fails.
    pub fn advance_wall_clock(&mut self, by: Duration) -> Result<(), DriverError> {
        self.wall_clock = self.wall_clock + by;
        if let Some(task) = &mut self.task {
            task.punctuate(self.wall_clock)?;
        }
        self.commit()?;
        self.complete()
    }

    /// Where the wall clock stands.
    pub fn wall_clock(&self) -> Timestamp {
        self.wall_clock
    }

    /// Runs `read` on a store, global stores included.
    ///
    /// # Errors
    /// When there is no such store, or it is of another type.
    pub fn store<S: StateStore, R>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut S) -> R,
    ) -> Result<R, DriverError> {
        if let Some(store) = self.task.as_mut().and_then(|task| task.store_mut::<S>(name)) {
            return Ok(read(store));
        }
        let global: Option<GlobalStore<S>> =
            self.global.as_ref().and_then(|global| GlobalStore::find(global.stores(), name));
        match global {
            Some(store) => Ok(store.with(read)),
            None => Err(DriverError::UnknownStore { store: name.to_owned(), expected: type_name::<S>() }),
        }
    }

    /// Runs `visit` on a store of whatever type; says whether there is one of this name.
    pub fn visit_store(&mut self, name: &str, visit: impl FnOnce(&mut dyn StateStore)) -> bool {
        let stores = self.task.as_mut().map(StreamTask::stores_mut).unwrap_or_default();
        if let Some(store) = stores.iter_mut().find(|store| store.name() == name) {
            visit(store.as_mut());
            return true;
        }
        let Some(store) = self.global.as_ref().and_then(|global| global.stores().get(name)) else {
            return false;
        };
        visit(store.lock().unwrap_or_else(std::sync::PoisonError::into_inner).as_mut());
        true
    }

    /// Takes all records that were sent to users' topics since the last call, in the order of sending over all topics.
    pub fn take_sent(&mut self) -> Vec<ProducedRecord> {
        std::mem::take(&mut self.sent)
    }

    /// Takes all records that were sent to repartition and changelog topics since the last call, in order per topic.
    pub fn take_internal(&mut self) -> Vec<ProducedRecord> {
        std::mem::take(&mut self.internal)
    }

    /// What the task has counted.
    pub fn counters(&self) -> TaskCounters {
        let mut counters = self.task.as_ref().map(StreamTask::counters).unwrap_or_default();
        if let Some(global) = &self.global {
            let (processed, dropped) = global.counters();
            counters.processed += processed;
            counters.dropped += dropped;
        }
        counters
    }

    pub(crate) fn next_produced(&mut self, topic: &str) -> Option<ProducedRecord> {
        self.produced.get_mut(topic)?.pop_front()
    }

    /// Hands a record to whoever reads its topic; says whether anybody does.
    fn enqueue(&mut self, topic: &str, mut record: OwnedRecord) -> Result<bool, DriverError> {
        let offset = self.offsets.entry(topic.into()).or_default();
        record.offset = *offset;
        *offset += 1;
        let next = *offset;
        let is_it = |partition: &TopicPartition| *partition.topic == *topic;
        if let Some(global) = &mut self.global
            && let Some(input) = global.partitions().iter().position(|partition| is_it(&partition.partition))
        {
            global.process(self.wall_clock, input, &[record], next)?;
            global.commit()?;
            return Ok(true);
        }
        let Some(task) = &mut self.task else { return Ok(false) };
        let Some(input) = task.inputs().iter().position(is_it) else { return Ok(false) };
        task.add_records(input, [record]);
        Ok(true)
    }

    /// Processes and commits, record by record, until nothing is left to do.
    fn complete(&mut self) -> Result<(), DriverError> {
        loop {
            let Some(task) = &mut self.task else { return Ok(()) };
            for (input, partition) in task.inputs().to_vec().iter().enumerate() {
                let position = self.offsets.get(&partition.topic).copied().unwrap_or_default();
                task.note_fetched(input, position, Some(0));
            }
            if task.process(self.wall_clock, 1)?.records == 0 {
                return Ok(());
            }
            self.commit()?;
        }
    }

    /// Commits as production does: caches are flushed, records are sent, stores are written.
    fn commit(&mut self) -> Result<(), DriverError> {
        let Some(task) = &mut self.task else { return Ok(()) };
        let changelogs: Vec<Arc<str>> =
            task.changelogs().iter().map(|changelog| Arc::clone(&changelog.partition.topic)).collect();
        let gathered = task.seal(std::mem::take(&mut self.spare))?.gathered;
        let mut offsets = vec![None; changelogs.len()];
        for (place, (topic, arena)) in changelogs.iter().zip(&gathered.changelogs).enumerate() {
            if !arena.is_empty() {
                self.changelog_ends[place] += arena.len() as i64;
                offsets[place] = Some(self.changelog_ends[place]);
            }
            self.internal.extend(arena.iter().map(|(key, value, record)| ProducedRecord {
                topic: Arc::clone(topic),
                key: key.map(Bytes::copy_from_slice),
                value: value.map(Bytes::copy_from_slice),
                timestamp: record.timestamp,
                headers: record.headers.clone(),
            }));
        }
        task.commit_stores(&offsets)?;
        let sent: Vec<ProducedRecord> = gathered
            .records
            .iter()
            .map(|view| ProducedRecord {
                topic: Arc::clone(view.topic),
                key: view.key.map(Bytes::copy_from_slice),
                value: view.value.map(Bytes::copy_from_slice),
                timestamp: Some(view.record.timestamp),
                headers: view.record.headers.clone(),
            })
            .collect();
        self.spare = gathered;
        sent.into_iter().try_for_each(|record| self.capture(record))
    }

    /// Keeps a record for the test, and lets the topology read it where it does.
    fn capture(&mut self, record: ProducedRecord) -> Result<(), DriverError> {
        let again = OwnedRecord {
            key: record.key.clone(),
            value: record.value.clone(),
            offset: 0,
            timestamp: record.timestamp.unwrap_or(self.wall_clock),
            headers: record.headers.clone(),
        };
        let topic = Arc::clone(&record.topic);
        if self.internal_topics.contains(&topic) {
            self.internal.push(record);
        } else {
            self.sent.push(record.clone());
            self.produced.entry(Arc::clone(&topic)).or_default().push_back(record);
        }
        self.enqueue(&topic, again).map(drop)
    }

    fn known_topics(&self) -> String {
        let inputs = self.task.iter().flat_map(|task| task.inputs().iter());
        let globals =
            self.global.iter().flat_map(|global| global.partitions().iter().map(|input| &input.partition));
        let names: Vec<&str> = inputs.chain(globals).map(|partition| &*partition.topic).collect();
        names.join(", ")
    }
}

/// Partition 0 of every topic that sources name: those of tasks, those of global stores.
fn inputs(
    topology: &Topology,
    application: &ApplicationTopology,
) -> (Vec<TopicPartition>, Vec<TopicPartition>) {
    let (mut inputs, mut globals) = (Vec::new(), Vec::new());
    for node in topology.nodes() {
        let NodeKind::Source(source) = &node.kind else { continue };
        let Topics::Named(topics) = &source.topics else { continue };
        let is_global = topology.globals().iter().any(|global| global.source == node.name);
        let list = if is_global { &mut globals } else { &mut inputs };
        list.extend(topics.iter().map(|topic| TopicPartition::new(application.topic(topic), PARTITION)));
    }
    (inputs, globals)
}

impl fmt::Debug for TopologyTestDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopologyTestDriver").field("wall_clock", &self.wall_clock).finish_non_exhaustive()
    }
}
