//! The settings of an application.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::ConfigError;
use super::error_handlers::{ErrorHandlers, UncaughtResponse};
use super::keys;
use crate::error::Error;
use crate::processor::{FailedDelivery, FailedStep, Respond, SourceError};
use crate::task::FailedRecord;
use crate::topology::{Topology, TopologyOptimization};

/// What a failure costs: nothing lost, or nothing lost and nothing twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProcessingGuarantee {
    /// Nothing is lost; after a failure some records may be processed again.
    #[default]
    AtLeastOnce,
    /// Results are as if each record were processed once (Kafka Streams' `exactly_once_v2`).
    ExactlyOnce,
}

/// What to do with a record that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorPolicy {
    /// Stop with the error.
    #[default]
    Fail,
    /// Log it, count it, go on with the next one.
    Continue,
}

/// Where a source starts when no offset is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResetPolicy {
    /// At the oldest record.
    #[default]
    Earliest,
    /// Behind the newest record.
    Latest,
    /// It is an error.
    None,
}

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordingLevel {
    /// What costs nothing per record.
    #[default]
    Info,
    /// Also how long each operation of a store takes, and what RocksDB counts.
    Debug,
}

/// The settings of an application: Kafka's names and defaults unless a field says otherwise.
///
/// By builder:
/// ```
/// use std::time::Duration;
/// use streams_core::StreamsConfig;
/// let config = StreamsConfig::new("rides", "127.0.0.1:9092").threads(2).commit_interval(Duration::from_secs(1));
/// ```
/// by Kafka's own keys, with the nearest known one in the error:
/// ```
/// use streams_core::StreamsConfig;
/// let error = StreamsConfig::new("rides", "127.0.0.1:9092").with("num.stream.treads", "2").unwrap_err();
/// assert_eq!(error.to_string(), "unknown setting `num.stream.treads`: did you mean `num.stream.threads`?");
/// ```
/// or by the environment, see [`StreamsConfig::with_environment`].
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct StreamsConfig {
    /// `application.id`: instances with the same one share the work; it is the consumer group's id, and the prefix of
    /// internal topics.
    pub application_id: String,
    /// `bootstrap.servers`: `host:port,…`.
    pub bootstrap_servers: String,
    /// `client.id`: leads the names of all clients and members; the application id unless set.
    pub client_id: Option<String>,
    /// `num.stream.threads`: workers, each with a consumer and a producer of its own.
    pub threads: usize,
    /// `state.dir`: where local state lies. Not below the temporary directory by default, for that is cleaned behind
    /// our back on some systems.
    pub state_dir: PathBuf,
    /// `processing.guarantee`.
    pub guarantee: ProcessingGuarantee,
    /// `commit.interval.ms`: 30 s, or 100 ms with exactly-once, unless set.
    pub commit_interval: Option<Duration>,
    /// `statestore.cache.max.bytes`: room for changes held back, over all tasks of the instance; 0 switches caching off.
    pub cache_max_bytes: u64,
    /// `uncommitted.max.bytes` (not in Kafka): an instance holding more uncommitted changes commits early.
    pub uncommitted_max_bytes: u64,
    /// `memory.budget` (not in Kafka): bytes for block cache, memtables, caches and record buffers together.
    pub memory_budget: u64,
    /// `replication.factor` of internal topics; -1 takes the broker's default.
    pub replication_factor: i16,
    /// `num.standby.replicas`.
    pub standby_replicas: usize,
    /// `max.warmup.replicas`.
    pub max_warmup_replicas: usize,
    /// `acceptable.recovery.lag`, in records.
    pub acceptable_recovery_lag: i64,
    /// `max.task.idle.ms`: how long a task with an empty input waits for it; `None` (-1) means not at all, not even
    /// for records known to be there.
    pub max_task_idle: Option<Duration>,
    /// `buffered.records.per.partition`: more of them pause the fetching of the partition.
    pub buffered_records_per_partition: usize,
    /// `buffered.bytes.per.partition` (not in Kafka): the same in bytes. A worker buffers twice this at most, for all of its
    /// partitions together and within its share of the memory budget.
    pub buffered_bytes_per_partition: usize,
    /// `poll.ms`: longest wait for records when there is nothing else to do.
    pub poll_interval: Duration,
    /// `task.timeout.ms`: how long a task may be without progress because of the broker before that is an error.
    pub task_timeout: Duration,
    /// `state.cleanup.delay.ms`: how long the directory of a task that has moved away is kept.
    pub state_cleanup_delay: Duration,
    /// `repartition.purge.interval.ms`: how often records already committed are deleted from repartition topics.
    pub repartition_purge_interval: Duration,
    /// `windowstore.changelog.additional.retention.ms`.
    pub window_changelog_additional_retention: Duration,
    /// `topology.optimization`: takes effect where the topology is built, so hand these settings to
    /// `StreamsBuilder::build_with`; the start is refused where a topology was built without.
    pub optimization: TopologyOptimization,
    /// `metrics.recording.level`.
    pub recording_level: RecordingLevel,
    /// `application.server`: `host:port` where this instance answers queries.
    pub application_server: Option<String>,
    /// `group.instance.id`: makes the instance a static member.
    pub group_instance_id: Option<String>,
    /// `session.timeout.ms`.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`: 1 s here, for 3 s make newcomers wait.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`: an instance without progress for so long leaves the group.
    pub max_poll_interval: Duration,
    /// `rebalance.timeout.ms` (in Kafka the poll interval): longest wait for members in a rebalance.
    pub rebalance_timeout: Duration,
    /// `request.timeout.ms` of one request to a broker.
    pub request_timeout: Duration,
    /// `startup.timeout.ms` (not in Kafka): how long to wait for a broker and for missing source topics at the start.
    pub startup_timeout: Duration,
    /// `shutdown.timeout.ms` (not in Kafka): how long a close may take.
    pub shutdown_timeout: Duration,
    /// `auto.offset.reset`.
    pub offset_reset: ResetPolicy,
    /// `deserialization.exception.handler`.
    pub deserialization_errors: ErrorPolicy,
    /// `processing.exception.handler`.
    pub processing_errors: ErrorPolicy,
    /// `production.exception.handler`: records that cannot be serialized, or that the broker or the producer refuses for good.
    pub production_errors: ErrorPolicy,
    /// `errors.dead.letter.queue.topic.name` (KIP-1034): where records go that a policy `continue` passes over.
    pub dead_letter_topic: Option<String>,
    /// `errors.retry.max` (not in Kafka): how often a failed record is tried again before its policy is asked; by default not at
    /// all, and as often as [`RETRIES_MAX`](crate::processor::RETRIES_MAX) says where a handler asks for it.
    pub retry_max: Option<u32>,
    /// `errors.retry.backoff.ms` (not in Kafka): the first pause before that; it doubles.
    pub retry_backoff: Duration,
    /// Decisions that the application makes itself.
    pub handlers: ErrorHandlers,
    /// `client.rack`.
    pub rack: Option<String>,
    /// `client.tag.*`.
    pub tags: BTreeMap<String, String>,
    /// `topic.*`: settings of internal topics.
    pub topic_settings: BTreeMap<String, String>,
    /// `consumer.*`, and client settings without a prefix.
    pub consumer: BTreeMap<String, String>,
    /// `restore.consumer.*`: above those of `consumer`.
    pub restore_consumer: BTreeMap<String, String>,
    /// `producer.*`, and client settings without a prefix.
    pub producer: BTreeMap<String, String>,
    /// `admin.*`, and client settings without a prefix.
    pub admin: BTreeMap<String, String>,
}

/// Kafka's interval between commits at-least-once, and ours exactly-once (Kafka's as well).
const COMMIT_INTERVAL: Duration = Duration::from_secs(30);
const COMMIT_INTERVAL_EXACTLY_ONCE: Duration = Duration::from_millis(100);

impl StreamsConfig {
    /// The settings of an application, all others at their defaults.
    pub fn new(application_id: impl Into<String>, bootstrap_servers: impl Into<String>) -> Self {
        StreamsConfig {
            application_id: application_id.into(),
            bootstrap_servers: bootstrap_servers.into(),
            client_id: None,
            threads: 1,
            state_dir: PathBuf::from("kafka-streams-state"),
            guarantee: ProcessingGuarantee::default(),
            commit_interval: None,
            cache_max_bytes: 10 << 20,
            uncommitted_max_bytes: 32 << 20,
            memory_budget: 256 << 20,
            replication_factor: -1,
            standby_replicas: 0,
            max_warmup_replicas: 2,
            acceptable_recovery_lag: 10_000,
            max_task_idle: Some(Duration::ZERO),
            buffered_records_per_partition: 1_000,
            buffered_bytes_per_partition: 2 << 20,
            poll_interval: Duration::from_millis(100),
            task_timeout: Duration::from_secs(300),
            state_cleanup_delay: Duration::from_secs(600),
            repartition_purge_interval: Duration::from_secs(30),
            window_changelog_additional_retention: Duration::from_secs(24 * 3600),
            recording_level: RecordingLevel::default(),
            optimization: TopologyOptimization::default(),
            application_server: None,
            group_instance_id: None,
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(1),
            max_poll_interval: Duration::from_secs(300),
            rebalance_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(30),
            startup_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(60),
            offset_reset: ResetPolicy::default(),
            deserialization_errors: ErrorPolicy::default(),
            processing_errors: ErrorPolicy::default(),
            production_errors: ErrorPolicy::default(),
            dead_letter_topic: None,
            retry_max: None,
            retry_backoff: Duration::from_millis(100),
            handlers: ErrorHandlers::default(),
            rack: None,
            tags: BTreeMap::new(),
            topic_settings: BTreeMap::new(),
            consumer: BTreeMap::new(),
            restore_consumer: BTreeMap::new(),
            producer: BTreeMap::new(),
            admin: BTreeMap::new(),
        }
    }

    /// Settings by Kafka's own keys; `application.id` and `bootstrap.servers` must be among them.
    ///
    /// # Errors
    /// [`ConfigError`] for an unknown key, a value that does not fit, or one of the two missing.
    pub fn from_properties<K: AsRef<str>, V: AsRef<str>>(
        properties: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ConfigError> {
        let mut config = StreamsConfig::new("", "");
        for (key, value) in properties {
            config.set(key.as_ref(), value.as_ref())?;
        }
        config.validate()?;
        Ok(config)
    }

    /// The same with one setting more, by its key.
    ///
    /// # Errors
    /// As [`StreamsConfig::set`].
    pub fn with(mut self, key: &str, value: &str) -> Result<Self, ConfigError> {
        self.set(key, value)?;
        Ok(self)
    }

    /// Changes a setting by Kafka's own key. Keys that begin with `consumer.`, `restore.consumer.`, `producer.` or
    /// `admin.` go to those clients as they are, `topic.` to internal topics.
    ///
    /// # Errors
    /// [`ConfigError`] when there is no such setting or the value does not fit.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        keys::set(self, key, value)
    }

    /// Checks what only the whole can show.
    ///
    /// # Errors
    /// The first setting that cannot be used, with its remedy.
    pub fn validate(&self) -> Result<(), ConfigError> {
        keys::validate(self)
    }

    /// Checks that the topology was built by these settings, where they shape topologies.
    ///
    /// # Errors
    /// [`ConfigError::BuiltWithout`].
    pub fn fits(&self, topology: &Topology) -> Result<(), ConfigError> {
        keys::fits(self, topology)
    }

    /// The time between commits: as set, else by the guarantee.
    pub fn effective_commit_interval(&self) -> Duration {
        self.commit_interval.unwrap_or(match self.guarantee {
            ProcessingGuarantee::AtLeastOnce => COMMIT_INTERVAL,
            ProcessingGuarantee::ExactlyOnce => COMMIT_INTERVAL_EXACTLY_ONCE,
        })
    }

    /// The client id: as set, else the application id.
    pub fn effective_client_id(&self) -> &str {
        self.client_id.as_deref().unwrap_or(&self.application_id)
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($($type:tt)+) = |$config:ident, $value:ident| $set:expr;)*) => {
        impl StreamsConfig {$(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $value: $($type)+) -> Self {
                let $config = &mut self;
                $set;
                self
            }
        )*}
    };
}

setters! {
    /// Sets `client.id`.
    client_id(impl Into<String>) = |config, id| config.client_id = Some(id.into());
    /// Sets `num.stream.threads`: workers, each with a consumer and a producer of its own.
    threads(usize) = |config, threads| config.threads = threads;
    /// Sets `state.dir`.
    state_dir(impl Into<PathBuf>) = |config, dir| config.state_dir = dir.into();
    /// Sets `processing.guarantee`.
    guarantee(ProcessingGuarantee) = |config, guarantee| config.guarantee = guarantee;
    /// Sets `commit.interval.ms`.
    commit_interval(Duration) = |config, interval| config.commit_interval = Some(interval);
    /// Sets `statestore.cache.max.bytes`; 0 switches caching off.
    cache_max_bytes(u64) = |config, bytes| config.cache_max_bytes = bytes;
    /// Sets `num.standby.replicas`.
    standby_replicas(usize) = |config, replicas| config.standby_replicas = replicas;
    /// Sets `session.timeout.ms`.
    session_timeout(Duration) = |config, timeout| config.session_timeout = timeout;
    /// Sets `startup.timeout.ms`.
    startup_timeout(Duration) = |config, timeout| config.startup_timeout = timeout;
    /// Sets `auto.offset.reset`.
    offset_reset(ResetPolicy) = |config, reset| config.offset_reset = reset;
    /// Sets `deserialization.exception.handler`.
    deserialization_errors(ErrorPolicy) = |config, policy| config.deserialization_errors = policy;
    /// Sets `processing.exception.handler`.
    processing_errors(ErrorPolicy) = |config, policy| config.processing_errors = policy;
    /// Sets `production.exception.handler`.
    production_errors(ErrorPolicy) = |config, policy| config.production_errors = policy;
    /// Sets `errors.dead.letter.queue.topic.name`.
    dead_letter_topic(impl Into<String>) = |config, topic| config.dead_letter_topic = Some(topic.into());
    /// Sets `errors.retry.max`.
    retry_max(u32) = |config, times| config.retry_max = Some(times);
    /// Sets `errors.retry.backoff.ms`.
    retry_backoff(Duration) = |config, pause| config.retry_backoff = pause;
    /// Lets `handler` decide about records that cannot be read, instead of `deserialization.exception.handler`.
    on_deserialization_error(
        impl Fn(&FailedRecord<'_>, &SourceError) -> Respond + Send + Sync + 'static
    ) = |config, handler| config.handlers.deserialization = Some(Arc::new(handler));
    /// Lets `handler` decide about steps that fail, instead of `processing.exception.handler`. A panic is a failed step, too.
    on_processing_error(
        impl Fn(&FailedStep<'_>) -> Respond + Send + Sync + 'static
    ) = |config, handler| config.handlers.processing = Some(Arc::new(handler));
    /// Lets `handler` decide about records that cannot be serialized for a topic, or that the producer or the broker refuses for
    /// good, instead of `production.exception.handler`. Records of changelogs are never passed over.
    on_production_error(
        impl Fn(&FailedDelivery<'_>) -> Respond + Send + Sync + 'static
    ) = |config, handler| config.handlers.production = Some(Arc::new(handler));
    /// Lets `handler` decide what follows an error that no policy has dealt with (Kafka's
    /// `StreamsUncaughtExceptionHandler`); by default the instance stops.
    on_uncaught_error(
        impl Fn(&Error) -> UncaughtResponse + Send + Sync + 'static
    ) = |config, handler| config.handlers.uncaught = Some(Arc::new(handler));
    /// Sets `group.instance.id`: the instance becomes a static member.
    group_instance_id(impl Into<String>) = |config, id| config.group_instance_id = Some(id.into());
}

impl std::fmt::Debug for StreamsConfig {
    /// Shows the settings by their keys, secrets left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(keys::shown(self)).finish()
    }
}
