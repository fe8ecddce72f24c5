//! What all connections of a server share.

mod housekeeping;
#[cfg(test)]
mod power_cuts;
mod producer_ids;

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kafka_protocol::messages::BrokerId;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::LogServerConfig;
use crate::disk::Disk;
use crate::error::Error;
use crate::group::config::GroupConfig;
use crate::group::driver::GroupDriver;
use crate::log::{LogOptions, Syncer};
use crate::memory::MemoryBudget;
use crate::metrics::Metrics;
use crate::security::{Access, Authorizer, Principal, SecurityFiles, Users};
use crate::topics::TopicRegistry;
use crate::txn::config::TxnConfig;
use crate::txn::driver::TxnDriver;

pub(crate) use housekeeping::housekeeping;
pub(crate) use producer_ids::ProducerIds;

/// The number of the only node.
pub(crate) const NODE_ID: BrokerId = BrokerId(1);

/// Passwords that are checked at a time, so that a flood of logins leaves processors to the others.
const MAX_LOGINS_AT_ONCE: usize = 2;

/// The one broker of the cluster: its state, shared by all connections.
pub(crate) struct Broker {
    config: LogServerConfig,
    metrics: Metrics,
    topics: Arc<TopicRegistry>,
    groups: Arc<GroupDriver>,
    transactions: Arc<TxnDriver>,
    producer_ids: ProducerIds,
    cluster_id: String,
    syncer: Arc<Syncer>,
    shutdown: CancellationToken,
    users: Arc<Users>,
    /// Decides about accesses; none if everybody may do everything.
    authorizer: Option<Arc<Authorizer>>,
    /// Checking a password takes a processor for milliseconds: one permit for each that may be checked at a time.
    logins: Semaphore,
    request_memory: MemoryBudget,
    response_memory: MemoryBudget,
    started: Instant,
    /// Counts fetch requests: each begins with another one of its partitions.
    fetch_turns: AtomicUsize,
    /// Locked while the server runs, so that no second one uses the directory.
    _lock: Option<File>,
}

impl Broker {
    /// Opens the data directory and recovers it if need be. Blocks on the disk; starts the coordinators' tasks on
    /// the present tokio runtime.
    ///
    /// # Errors
    /// [`Error`] if the configuration is not valid, or the directory is locked, unreadable or damaged.
    pub(crate) fn open(config: LogServerConfig) -> Result<Arc<Self>, Error> {
        let data_dir = &config.data_dir;
        let options = LogOptions::system(config.fsync, Some(data_dir))?;
        options.disk.create_dir_durably(data_dir).map_err(Error::storage("create", data_dir))?;
        let lock = lock_directory(&config)?;
        Self::open_on(config, options, Some(lock))
    }

    /// As [`Broker::open`], on a disk and by a clock of the caller's; `lock` is held while the broker lives.
    ///
    /// # Errors
    /// As from [`Broker::open`].
    pub(crate) fn open_on(
        config: LogServerConfig,
        options: LogOptions,
        lock: Option<File>,
    ) -> Result<Arc<Self>, Error> {
        config.validate()?;
        let (syncer, disk) = (Arc::clone(&options.syncer), Arc::clone(&options.disk));
        let shutdown = CancellationToken::new();
        let topics = Arc::new(TopicRegistry::open(&config, options)?);
        let groups = GroupDriver::open(&topics, GroupConfig::of(&config), shutdown.clone())?;
        let transactions = TxnDriver::open(&topics, &groups, TxnConfig::of(&config), shutdown.clone())?;
        let security = &config.security;
        let files = SecurityFiles::new(Arc::clone(&disk), &config.data_dir);
        let users = Arc::new(Users::open(files.clone(), &security.users)?);
        let authorizer =
            security.authorizer.then(|| Authorizer::open(files, security.allow_everyone_if_no_acl));
        let authorizer = authorizer.transpose()?.map(Arc::new);
        Ok(Arc::new(Broker {
            metrics: Metrics::new(),
            topics,
            groups,
            transactions,
            producer_ids: ProducerIds::open(Arc::clone(&disk), &config.data_dir)?,
            cluster_id: read_or_make_cluster_id(disk.as_ref(), &config)?,
            syncer,
            shutdown,
            users,
            authorizer,
            logins: Semaphore::new(MAX_LOGINS_AT_ONCE),
            request_memory: MemoryBudget::new(config.limits.max_request_memory_bytes),
            response_memory: MemoryBudget::new(config.limits.max_response_memory_bytes),
            started: Instant::now(),
            fetch_turns: AtomicUsize::new(0),
            _lock: lock,
            config,
        }))
    }

    /// The configuration that the server was started with.
    pub(crate) fn config(&self) -> &LogServerConfig {
        &self.config
    }

    /// What the server counts.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// All topics and their logs.
    pub(crate) fn topics(&self) -> &TopicRegistry {
        &self.topics
    }

    /// All groups and their offsets.
    pub(crate) fn groups(&self) -> &GroupDriver {
        &self.groups
    }

    /// All transactions.
    pub(crate) fn transactions(&self) -> &Arc<TxnDriver> {
        &self.transactions
    }

    /// Gives out producer ids.
    pub(crate) fn producer_ids(&self) -> &ProducerIds {
        &self.producer_ids
    }

    /// The name of this cluster of one, made at the first start.
    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// All users that can log in.
    pub(crate) fn users(&self) -> &Arc<Users> {
        &self.users
    }

    /// What decides about accesses; none if everybody may do everything.
    pub(crate) fn authorizer(&self) -> Option<&Arc<Authorizer>> {
        self.authorizer.as_ref()
    }

    /// What a client may do that is `principal` and comes from `host`.
    pub(crate) fn access_of(&self, principal: Principal, host: std::net::IpAddr) -> Access {
        let is_super = || {
            let name = principal.to_string();
            self.config.security.super_users.contains(&name)
        };
        match &self.authorizer {
            Some(authorizer) if !is_super() => {
                Access::checked(principal, host.to_canonical().to_string(), Arc::clone(authorizer))
            }
            _ => Access::unlimited(principal),
        }
    }

    /// The turn to check a password.
    pub(crate) async fn login_turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.logins.acquire().await.ok()
    }

    /// The memory for large requests.
    pub(crate) fn request_memory(&self) -> &MemoryBudget {
        &self.request_memory
    }

    /// The memory for fetched records.
    pub(crate) fn response_memory(&self) -> &MemoryBudget {
        &self.response_memory
    }

    /// Time since the start.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Where the next fetch request begins.
    pub(crate) fn next_fetch_turn(&self) -> usize {
        self.fetch_turns.fetch_add(1, Ordering::Relaxed)
    }

    /// Cancelled when the server begins to stop: background tasks and waiting requests must then end.
    pub(crate) fn shutdown_token(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Syncs and closes the logs, after all requests have ended. Blocks on the disk.
    ///
    /// # Errors
    /// [`Error::Storage`]; the next start then checks the logs.
    pub(crate) fn close(&self) -> Result<(), Error> {
        self.syncer.stop();
        self.topics.close()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.syncer.stop();
    }
}

/// Takes the lock of the data directory: `.lock`, as Kafka does.
fn lock_directory(config: &LogServerConfig) -> Result<File, Error> {
    let path = config.data_dir.join(".lock");
    let file = File::create(&path).map_err(Error::storage("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::DataDirLocked { path: config.data_dir.clone() }),
        Err(std::fs::TryLockError::Error(source)) => Err(Error::Storage { action: "lock", path, source }),
    }
}

/// The cluster id of `meta.properties`; the file is written at the first start, in Kafka's form.
fn read_or_make_cluster_id(disk: &dyn Disk, config: &LogServerConfig) -> Result<String, Error> {
    let path = config.data_dir.join("meta.properties");
    if let Some(text) = disk.read_text(&path).map_err(Error::storage("read", &path))? {
        let id = text.lines().find_map(|line| line.strip_prefix("cluster.id="));
        return id
            .map(str::to_owned)
            .ok_or_else(|| Error::Damaged { path: path.clone(), reason: "it lacks cluster.id".to_owned() });
    }
    let id = crate::topics::encode_id(Uuid::new_v4());
    let text = format!("version=1\ncluster.id={id}\nnode.id={}\ndirectory.id={id}\n", NODE_ID.0);
    disk.replace_durably(&path, text.as_bytes()).map_err(Error::storage("write", &path))?;
    Ok(id)
}
