//! What a server can be told.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;

/// When produced records are forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FsyncPolicy {
    /// Before they are acknowledged or can be read: what was acknowledged survives a power cut. One sync serves
    /// all requests that wait for it.
    #[default]
    Always,
    /// At this interval: a power cut can lose what came since, a crash of the process alone loses nothing.
    Interval(Duration),
    /// When the operating system does it: as Apache Kafka by default, and as Kafka it then depends on replicas,
    /// which this server does not have. A crash of the process alone loses nothing.
    Never,
}

/// The configuration of a [`LogServer`](crate::LogServer).
///
/// ```
/// use log_server::{FsyncPolicy, LogServerConfig};
///
/// let config = LogServerConfig::new("/var/lib/log-server").fsync(FsyncPolicy::Never).default_partitions(4);
/// # let _ = config;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct LogServerConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) insecure: bool,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) data_dir: PathBuf,
    /// Removes the data directory when the last clone goes; only for [`LogServerConfig::temporary`].
    pub(crate) temporary: Option<Arc<TemporaryDir>>,
    pub(crate) fsync: FsyncPolicy,
    pub(crate) default_partitions: i32,
    pub(crate) auto_create_topics: bool,
    pub(crate) max_connections: usize,
    pub(crate) max_request_bytes: usize,
    pub(crate) topic_defaults: Vec<(String, String)>,
    pub(crate) group_initial_rebalance_delay: Duration,
}

impl LogServerConfig {
    /// The defaults, with the data in `data_dir`: listens on a free port of 127.0.0.1, syncs always, creates
    /// topics when they are first asked for, with one partition.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        LogServerConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            insecure: false,
            metrics_listen: None,
            data_dir: data_dir.into(),
            temporary: None,
            fsync: FsyncPolicy::default(),
            default_partitions: 1,
            auto_create_topics: true,
            max_connections: 10_000,
            max_request_bytes: 100 * 1024 * 1024,
            topic_defaults: Vec::new(),
            group_initial_rebalance_delay: GROUP_INITIAL_REBALANCE_DELAY,
        }
    }

    /// The defaults, with the data in a new directory of the system's temporary directory, which is removed when
    /// the server and this configuration are gone.
    ///
    /// # Errors
    /// [`Error::Storage`] if the directory cannot be made.
    pub fn temporary() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("log-server-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).map_err(Error::storage("create", &path))?;
        let mut config = Self::new(&path);
        config.temporary = Some(Arc::new(TemporaryDir(path)));
        Ok(config)
    }

    /// The address to listen on; port 0 picks a free port.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Allows a listen address that is not a loopback one although nobody is authenticated.
    pub fn insecure(mut self, allowed: bool) -> Self {
        self.insecure = allowed;
        self
    }

    /// Serves `/metrics` (Prometheus) and `/health` over HTTP at this address; port 0 picks a free port. Without it
    /// they are not served.
    pub fn metrics_listen(mut self, address: SocketAddr) -> Self {
        self.metrics_listen = Some(address);
        self
    }

    /// When records are forced to the disk.
    pub fn fsync(mut self, policy: FsyncPolicy) -> Self {
        self.fsync = policy;
        self
    }

    /// Partitions of topics that are created without a count (`num.partitions`).
    pub fn default_partitions(mut self, partitions: i32) -> Self {
        self.default_partitions = partitions;
        self
    }

    /// Whether a metadata request may create the topics it names (`auto.create.topics.enable`).
    pub fn auto_create_topics(mut self, allowed: bool) -> Self {
        self.auto_create_topics = allowed;
        self
    }

    /// How many connections may be open at a time; further ones are closed at once (`max.connections`).
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// The largest request in bytes; a connection that sends a larger one is closed (`socket.request.max.bytes`).
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = bytes;
        self
    }

    /// Sets the default of a topic configuration, by Kafka's name of it (for example `retention.ms`).
    pub fn topic_default(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.topic_defaults.push((name.into(), value.into()));
        self
    }

    /// How long a new group waits for further members before its first assignment
    /// (`group.initial.rebalance.delay.ms`).
    pub fn group_initial_rebalance_delay(mut self, delay: Duration) -> Self {
        self.group_initial_rebalance_delay = delay;
        self
    }

    /// # Errors
    /// [`Error::NotLoopback`] and [`Error::Config`] for what cannot work.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        for address in std::iter::once(self.listen).chain(self.metrics_listen) {
            if !address.ip().is_loopback() && !self.insecure {
                return Err(Error::NotLoopback { address });
            }
        }
        if !(1..=MAX_PARTITIONS_PER_TOPIC).contains(&self.default_partitions) {
            return Err(Error::Config(format!(
                "num.partitions is {}, but must be within 1 and {MAX_PARTITIONS_PER_TOPIC}",
                self.default_partitions
            )));
        }
        if self.max_request_bytes < MIN_REQUEST_LIMIT_BYTES {
            return Err(Error::Config(format!(
                "socket.request.max.bytes is {}, but must be at least {MIN_REQUEST_LIMIT_BYTES}",
                self.max_request_bytes
            )));
        }
        Ok(())
    }
}

/// How long the first join of an empty group waits for company, unless configured.
///
/// Apache Kafka waits 3 s, which suits fleets that start over seconds and is felt in every test and demo. One node
/// serves few members, mostly started by one command, so a twentieth of a second gathers the workers of one process
/// into the first generation and nobody notices it.
pub(crate) const GROUP_INITIAL_REBALANCE_DELAY: Duration = Duration::from_millis(50);

/// The most partitions that a topic can have.
pub(crate) const MAX_PARTITIONS_PER_TOPIC: i32 = 10_000;

/// A server that takes no request of this size could not even be asked for its versions.
const MIN_REQUEST_LIMIT_BYTES: usize = 1024;

/// Removes a directory when dropped.
#[derive(Debug)]
pub(crate) struct TemporaryDir(PathBuf);

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        // A leftover in the temporary directory is not worth an error.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_without_permission() {
        let config = LogServerConfig::new("data").listen(SocketAddr::from(([0, 0, 0, 0], 9092)));
        assert!(matches!(config.validate(), Err(Error::NotLoopback { .. })));
        assert!(config.insecure(true).validate().is_ok());
    }
}
