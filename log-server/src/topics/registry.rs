//! All topics of the server.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use uuid::Uuid;

use super::config::TopicConfig;
use super::topic::{Topic, validate_name};
use super::topic_file::TopicFile;
use crate::clock::Clock;
use crate::config::{LogServerConfig, MAX_PARTITIONS_PER_TOPIC};
use crate::disk::Disk;
use crate::error::Error;
use crate::log::{LogOptions, OffsetCheckpoint, OpenMode, PartitionLog, sync_journal};
use crate::protocol::ErrorCode;

/// Written at the end of a clean stop, removed at the start.
const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";
/// Directories of deleted topics end with this until they are removed.
const DELETED_SUFFIX: &str = "-delete";

/// A topic to be created.
#[derive(Debug, Clone, Default)]
pub(crate) struct CreateTopic {
    pub(crate) name: String,
    /// `None` for the server's default.
    pub(crate) partitions: Option<i32>,
    pub(crate) configs: BTreeMap<String, String>,
}

/// An error code for the client, with a sentence.
pub(crate) type Refusal = (ErrorCode, String);

/// All topics by name and by id, and the files that remember them.
#[derive(Debug)]
pub(crate) struct TopicRegistry {
    data_dir: PathBuf,
    default_partitions: i32,
    server_defaults: Arc<BTreeMap<String, String>>,
    options: LogOptions,
    topics: RwLock<Topics>,
    /// Held while topics are created, changed or deleted: such changes come one after the other.
    changes: Mutex<()>,
    log_starts: OffsetCheckpoint,
    recovery_points: OffsetCheckpoint,
    /// Up to where each log is compacted.
    clean_offsets: OffsetCheckpoint,
}

#[derive(Debug, Default)]
struct Topics {
    by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
}

impl TopicRegistry {
    /// Opens all logs of the data directory, several at a time, and recovers them after an unclean stop.
    ///
    /// # Errors
    /// [`Error`] if files cannot be read or are damaged beyond recovery, or a topic default is not valid.
    pub(crate) fn open(config: &LogServerConfig, options: LogOptions) -> Result<Self, Error> {
        let server_defaults: Arc<BTreeMap<_, _>> = Arc::new(config.topic_defaults.iter().cloned().collect());
        TopicConfig::new(BTreeMap::new(), Arc::clone(&server_defaults)).map_err(Error::Config)?;
        let data_dir = config.data_dir.clone();
        let disk = Arc::clone(&options.disk);
        let checkpoint = |name| OffsetCheckpoint::new(Arc::clone(&disk), data_dir.join(name));
        let registry = TopicRegistry {
            default_partitions: config.default_partitions,
            server_defaults,
            topics: RwLock::default(),
            changes: Mutex::new(()),
            log_starts: checkpoint("log-start-offset-checkpoint"),
            recovery_points: checkpoint("recovery-point-offset-checkpoint"),
            clean_offsets: checkpoint("cleaner-offset-checkpoint"),
            options,
            data_dir,
        };
        let files = TopicFile::read_all(disk.as_ref(), &registry.data_dir)?;
        registry.remove_strays(&files)?;
        registry.open_topics(files)?;
        Ok(registry)
    }

    fn open_topics(&self, files: BTreeMap<String, TopicFile>) -> Result<(), Error> {
        let marker = self.data_dir.join(CLEAN_SHUTDOWN_FILE);
        let clean = self.disk().exists(&marker);
        if !clean {
            let names = files.iter().map(|(name, file)| (file.id, name.as_str())).collect();
            sync_journal::play_back(self.disk(), &self.data_dir, &names)?;
        }
        let log_starts = self.log_starts.read()?;
        let recovery_points = self.recovery_points.read()?;
        for (name, file) in files {
            let config = TopicConfig::new(file.configs, Arc::clone(&self.server_defaults));
            let config = Arc::new(config.map_err(Error::Config)?);
            let name: Arc<str> = name.into();
            let mut logs = Vec::with_capacity(file.partitions as usize);
            for partition in 0..file.partitions {
                let key = (name.to_string(), partition);
                let mode = if clean {
                    OpenMode::Clean
                } else {
                    OpenMode::Unclean { recovery_point: recovery_points.get(&key).copied().unwrap_or(0) }
                };
                let log_start = log_starts.get(&key).copied().unwrap_or(0);
                logs.push(self.open_log(&name, file.id, partition, &config, (mode, log_start))?);
            }
            self.insert(Topic::new(name, file.id, config, logs));
        }
        // The logs have been synced, by their recovery or by the last stop.
        sync_journal::remove(self.disk(), &self.data_dir)?;
        if clean {
            // Durably, before anything is written: after a power cut it would vouch for logs that have changed.
            self.disk()
                .remove_file(&marker)
                .and_then(|()| self.disk().sync_directory(&self.data_dir))
                .map_err(Error::storage("remove", &marker))?;
        }
        Ok(())
    }

    /// Removes the directories of deleted topics, also of those whose deletion a crash cut short.
    fn remove_strays(&self, files: &BTreeMap<String, TopicFile>) -> Result<(), Error> {
        for path in self.disk().list(&self.data_dir).map_err(Error::storage("list", &self.data_dir))? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let stray = name.ends_with(DELETED_SUFFIX)
                || self.read_topic_id(&path).is_some_and(|id| {
                    let topic = name.rsplit_once('-').map_or(name, |(topic, _)| topic);
                    files.get(topic).is_none_or(|file| file.id != id)
                });
            if stray {
                tracing::info!(path = %path.display(), "removing the partition of a deleted topic");
                self.disk().remove_dir_all(&path).map_err(Error::storage("remove", &path))?;
            }
        }
        Ok(())
    }

    fn open_log(
        &self,
        topic: &Arc<str>,
        id: Uuid,
        partition: i32,
        config: &Arc<TopicConfig>,
        opening: (OpenMode, i64),
    ) -> Result<Arc<PartitionLog>, Error> {
        let directory = self.data_dir.join(format!("{topic}-{partition}"));
        self.disk().create_dir_all(&directory).map_err(Error::storage("create", &directory))?;
        if self.read_topic_id(&directory) != Some(id) {
            self.write_topic_id(&directory, id)?;
        }
        let options = LogOptions { topic_id: id, ..self.options.clone() };
        PartitionLog::open(Arc::clone(topic), partition, directory, Arc::clone(config), options, opening)
    }

    /// Makes a partition that does not exist yet; what lies in its place is a leftover of a deleted topic.
    fn new_log(
        &self,
        topic: &Arc<str>,
        id: Uuid,
        partition: i32,
        config: &Arc<TopicConfig>,
    ) -> Result<Arc<PartitionLog>, Error> {
        let directory = self.data_dir.join(format!("{topic}-{partition}"));
        if self.disk().exists(&directory) {
            self.disk().remove_dir_all(&directory).map_err(Error::storage("remove", &directory))?;
        }
        self.open_log(topic, id, partition, config, (OpenMode::Clean, 0))
    }

    /// Makes new partitions' directories durable, before a topic's file says that they exist.
    fn sync_data_dir(&self) -> Result<(), Error> {
        self.disk().sync_directory(&self.data_dir).map_err(Error::storage("sync", &self.data_dir))
    }

    /// Reads the topic's id from a partition's directory: `partition.metadata`, as Kafka writes it.
    fn read_topic_id(&self, directory: &Path) -> Option<Uuid> {
        let text = self.disk().read_text(&directory.join("partition.metadata")).ok()??;
        let id = text.lines().find_map(|line| line.strip_prefix("topic_id: "))?;
        super::topic_id::decode(id)
    }

    /// Not synced: should a power cut take it, the topic's file still says whose the partition is, and it is written
    /// anew.
    fn write_topic_id(&self, directory: &Path, id: Uuid) -> Result<(), Error> {
        let path = directory.join("partition.metadata");
        let text = format!("version: 0\ntopic_id: {}\n", super::topic_id::encode(id));
        let written = self.disk().create(&path).and_then(|file| file.append(text.as_bytes(), &[]));
        written.map_err(Error::storage("write", &path))
    }

    fn disk(&self) -> &dyn Disk {
        self.options.disk.as_ref()
    }

    /// What the logs are told of the time.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.options.clock
    }

    fn insert(&self, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.by_id.insert(topic.id, Arc::clone(&topic));
        topics.by_name.insert(Arc::clone(&topic.name), Arc::clone(&topic));
        topic
    }

    /// A topic by name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).by_name.get(name).cloned()
    }

    /// A topic by id.
    pub(crate) fn get_by_id(&self, id: &Uuid) -> Option<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).by_id.get(id).cloned()
    }

    /// A partition's log.
    pub(crate) fn log(&self, topic: &str, partition: i32) -> Option<Arc<PartitionLog>> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.by_name.get(topic)?.partition(partition)
    }

    /// All topics by name.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).by_name.values().cloned().collect()
    }

    /// Checks a creation without doing it; gives the number of partitions and the configuration.
    ///
    /// # Errors
    /// The error code for the client and a sentence.
    pub(crate) fn check_creation(&self, request: &CreateTopic) -> Result<(i32, TopicConfig), Refusal> {
        validate_name(&request.name).map_err(|reason| (ErrorCode::InvalidTopicException, reason))?;
        if self.get(&request.name).is_some() {
            return Err((ErrorCode::TopicAlreadyExists, format!("Topic '{}' already exists.", request.name)));
        }
        let partitions = request.partitions.unwrap_or(self.default_partitions);
        if !(1..=MAX_PARTITIONS_PER_TOPIC).contains(&partitions) {
            let reason = format!("Number of partitions must be within 1 and {MAX_PARTITIONS_PER_TOPIC}.");
            return Err((ErrorCode::InvalidPartitions, reason));
        }
        let config = TopicConfig::new(request.configs.clone(), Arc::clone(&self.server_defaults))
            .map_err(|reason| (ErrorCode::InvalidConfig, reason))?;
        Ok((partitions, config))
    }

    /// Creates a topic; it is on the disk when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// The error code for the client and a sentence.
    pub(crate) fn create(&self, request: &CreateTopic) -> Result<Arc<Topic>, Refusal> {
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let (partitions, config) = self.check_creation(request)?;
        let (id, config, name) = (Uuid::new_v4(), Arc::new(config), Arc::<str>::from(request.name.as_str()));
        let logs: Result<Vec<_>, Error> =
            (0..partitions).map(|partition| self.new_log(&name, id, partition, &config)).collect();
        let logs = logs.map_err(storage_refusal)?;
        self.sync_data_dir().map_err(storage_refusal)?;
        TopicFile { id, partitions, configs: request.configs.clone() }
            .write(self.disk(), &self.data_dir, &name)
            .map_err(storage_refusal)?;
        tracing::info!(topic = %name, partitions, "created");
        Ok(self.insert(Topic::new(name, id, config, logs)))
    }

    /// Deletes a topic: it is gone for clients when this returns, its files a little later. Blocks on the disk.
    ///
    /// # Errors
    /// The error code for the client and a sentence.
    pub(crate) fn delete(&self, topic: &Topic) -> Result<(), Refusal> {
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown =
            || (ErrorCode::UnknownTopicOrPartition, format!("Topic '{}' does not exist.", topic.name));
        {
            let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
            topics.by_id.remove(&topic.id).ok_or_else(unknown)?;
            topics.by_name.remove(&topic.name);
        }
        TopicFile::remove(self.disk(), &self.data_dir, &topic.name).map_err(storage_refusal)?;
        for log in topic.partitions().iter() {
            let name = format!("{}-{}.{}{DELETED_SUFFIX}", topic.name, log.partition(), topic.id.simple());
            let target = self.data_dir.join(name);
            let removed = self
                .disk()
                .rename(log.directory(), &target)
                .and_then(|()| self.disk().remove_dir_all(&target));
            if let Err(error) = removed {
                // The next start removes it.
                tracing::warn!(path = %target.display(), %error, "cannot remove a deleted partition");
            }
        }
        tracing::info!(topic = %topic.name, "deleted");
        Ok(())
    }

    /// Adds partitions up to `count`. Blocks on the disk.
    ///
    /// # Errors
    /// The error code for the client and a sentence.
    pub(crate) fn grow(&self, topic: &Topic, count: i32, validate_only: bool) -> Result<(), Refusal> {
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut logs = topic.partitions().as_ref().clone();
        let have = logs.len() as i32;
        if count <= have || count > MAX_PARTITIONS_PER_TOPIC {
            let reason = format!(
                "The topic {} currently has {have} partition(s); {count} would not be an increase.",
                topic.name
            );
            return Err((ErrorCode::InvalidPartitions, reason));
        }
        if validate_only {
            return Ok(());
        }
        let config = topic.config();
        for partition in have..count {
            let log = self.new_log(&topic.name, topic.id, partition, &config);
            logs.push(log.map_err(storage_refusal)?);
        }
        self.sync_data_dir().map_err(storage_refusal)?;
        TopicFile { id: topic.id, partitions: count, configs: config.overrides().clone() }
            .write(self.disk(), &self.data_dir, &topic.name)
            .map_err(storage_refusal)?;
        topic.set_partitions(logs);
        Ok(())
    }

    /// Replaces what is set for a topic. Blocks on the disk.
    ///
    /// # Errors
    /// The error code for the client and a sentence.
    pub(crate) fn configure(
        &self,
        topic: &Topic,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), Refusal>,
        validate_only: bool,
    ) -> Result<(), Refusal> {
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut overrides = topic.config().overrides().clone();
        change(&mut overrides)?;
        let config = TopicConfig::new(overrides.clone(), Arc::clone(&self.server_defaults))
            .map_err(|reason| (ErrorCode::InvalidConfig, reason))?;
        if validate_only {
            return Ok(());
        }
        let partitions = topic.partitions().len() as i32;
        TopicFile { id: topic.id, partitions, configs: overrides }
            .write(self.disk(), &self.data_dir, &topic.name)
            .map_err(storage_refusal)?;
        topic.set_config(Arc::new(config));
        Ok(())
    }

    /// Writes where all logs start; afterwards segments before may be deleted.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) fn checkpoint_log_starts(&self) -> Result<(), Error> {
        self.log_starts.write(&self.offsets(|log| log.watermarks().log_start))
    }

    /// Writes from where all logs would have to be recovered.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) fn checkpoint_recovery_points(&self) -> Result<(), Error> {
        self.recovery_points.write(&self.offsets(PartitionLog::recovery_point))
    }

    /// Compacts the logs that need it, one after the other. Blocks on the disk, for long.
    ///
    /// # Errors
    /// [`Error::Storage`] or [`Error::Damaged`].
    pub(crate) fn compact(&self, now_ms: i64, stop: impl Fn() -> bool) -> Result<(), Error> {
        let mut clean_offsets = self.clean_offsets.read()?;
        for topic in self.all().into_iter().filter(|topic| topic.config().compact) {
            for log in topic.partitions().iter() {
                if stop() {
                    return Ok(());
                }
                let key = (topic.name.to_string(), log.partition());
                let clean_until = clean_offsets.get(&key).copied().unwrap_or(0);
                let Some(compacted) = log.compact(clean_until, now_ms)? else { continue };
                tracing::info!(
                    topic = %topic.name, partition = log.partition(), clean_until = compacted.clean_until,
                    bytes_before = compacted.bytes_before, bytes_after = compacted.bytes_after, "compacted"
                );
                clean_offsets.insert(key, compacted.clean_until);
                self.clean_offsets.write(&clean_offsets)?;
            }
        }
        Ok(())
    }

    fn offsets(&self, offset: impl Fn(&PartitionLog) -> i64) -> BTreeMap<(String, i32), i64> {
        let mut offsets = BTreeMap::new();
        for topic in self.all() {
            for log in topic.partitions().iter() {
                offsets.insert((topic.name.to_string(), log.partition()), offset(log));
            }
        }
        offsets
    }

    /// Syncs and closes all logs, then says so in a file, so that the next start need not scan them.
    ///
    /// # Errors
    /// [`Error::Storage`]; the next start then scans.
    pub(crate) fn close(&self) -> Result<(), Error> {
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in self.all() {
            for log in topic.partitions().iter() {
                log.close()?;
            }
        }
        sync_journal::remove(self.disk(), &self.data_dir)?;
        self.checkpoint_log_starts()?;
        self.checkpoint_recovery_points()?;
        let marker = self.data_dir.join(CLEAN_SHUTDOWN_FILE);
        self.disk().replace_durably(&marker, b"{\"version\":0}\n").map_err(Error::storage("write", &marker))
    }
}

fn storage_refusal(error: Error) -> Refusal {
    tracing::error!(%error, "cannot change topics");
    (ErrorCode::KafkaStorageError, error.to_string())
}
