//! What a server can be told.

mod described;
mod jaas;
mod limits;
mod listener_list;
mod properties;
mod property_file;
mod property_table;
mod security;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::listener::{Listener, SecurityProtocol};
use crate::security::{SaslMechanism, TlsConfig};

pub use limits::Limits;
pub use properties::Property;
pub use property_file::read_properties;
pub(crate) use security::SecurityConfig;

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
    /// Where clients connect, unless there are `listeners`.
    pub(crate) listen: SocketAddr,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) insecure: bool,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) data_dir: PathBuf,
    /// Removes the data directory when the last clone goes; only for [`LogServerConfig::temporary`].
    pub(crate) temporary: Option<Arc<TemporaryDir>>,
    pub(crate) fsync: FsyncPolicy,
    pub(crate) default_partitions: i32,
    pub(crate) auto_create_topics: bool,
    pub(crate) limits: Limits,
    pub(crate) topic_defaults: Vec<(String, String)>,
    pub(crate) group_initial_rebalance_delay: Duration,
    pub(crate) group_session_timeouts: (Duration, Duration),
    pub(crate) offsets_retention: Duration,
    pub(crate) transaction_max_timeout: Duration,
    pub(crate) security: SecurityConfig,
    /// Names of properties that were given and mean nothing here.
    pub(crate) ignored_properties: Vec<String>,
}

impl LogServerConfig {
    /// The defaults, with the data in `data_dir`: listens on a free port of 127.0.0.1, syncs always, creates
    /// topics when they are first asked for, with one partition.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        LogServerConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            listeners: Vec::new(),
            insecure: false,
            metrics_listen: None,
            data_dir: data_dir.into(),
            temporary: None,
            fsync: FsyncPolicy::default(),
            default_partitions: 1,
            auto_create_topics: true,
            limits: Limits::default(),
            topic_defaults: Vec::new(),
            group_initial_rebalance_delay: GROUP_INITIAL_REBALANCE_DELAY,
            group_session_timeouts: (GROUP_MIN_SESSION_TIMEOUT, GROUP_MAX_SESSION_TIMEOUT),
            offsets_retention: OFFSETS_RETENTION,
            transaction_max_timeout: TRANSACTION_MAX_TIMEOUT,
            security: SecurityConfig::default(),
            ignored_properties: Vec::new(),
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

    /// The address to listen on without TLS and login; port 0 picks a free port. [`LogServerConfig::listener`]
    /// replaces it.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Adds a listener (`listeners`). The first one replaces the default listener.
    pub fn listener(mut self, listener: Listener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// Allows a listen address that is not a loopback one although nobody is authenticated.
    pub fn insecure(mut self, allowed: bool) -> Self {
        self.insecure = allowed;
        self
    }

    /// The certificate of listeners that use TLS.
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.security.tls = Some(tls);
        self
    }

    /// Adds a user, who can log in by every mechanism. Users can also be administered while the server runs, with
    /// Kafka's tools.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.security.users.insert(name.into(), password.into());
        self
    }

    /// By which mechanisms clients may log in (`sasl.enabled.mechanisms`); by default all.
    pub fn sasl_mechanisms(mut self, mechanisms: impl IntoIterator<Item = SaslMechanism>) -> Self {
        self.security.mechanisms = mechanisms.into_iter().collect();
        self
    }

    /// Has every access decided by access control lists (`authorizer.class.name`); what they do not mention is
    /// denied, unless [`LogServerConfig::allow_everyone_if_no_acl`] is set.
    pub fn authorizer(mut self, enabled: bool) -> Self {
        self.security.authorizer = enabled;
        self
    }

    /// Allows everyone what no access control list mentions (`allow.everyone.if.no.acl.found`).
    pub fn allow_everyone_if_no_acl(mut self, allowed: bool) -> Self {
        self.security.allow_everyone_if_no_acl = allowed;
        self
    }

    /// Adds a principal who may do everything (`super.users`), for example `User:admin`.
    pub fn super_user(mut self, principal: impl Into<String>) -> Self {
        self.security.super_users.push(principal.into());
        self
    }

    /// After how long clients must log in again (`connections.max.reauth.ms`); by default never.
    pub fn max_reauth(mut self, lifetime: Duration) -> Self {
        self.security.max_reauth = Some(lifetime).filter(|lifetime| !lifetime.is_zero());
        self
    }

    /// How long the answer to a failed login is held back (`connection.failed.authentication.delay.ms`).
    pub fn failed_login_delay(mut self, delay: Duration) -> Self {
        self.security.failed_login_delay = delay;
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

    /// Limits on connections, memory and time.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many connections may be open at a time; further ones are closed at once (`max.connections`).
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.limits.max_connections = connections;
        self
    }

    /// The largest request in bytes; a connection that sends a larger one is closed (`socket.request.max.bytes`).
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_request_bytes = bytes;
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

    /// The shortest and the longest session time-out that members may ask for (`group.min.session.timeout.ms`,
    /// `group.max.session.timeout.ms`).
    pub fn group_session_timeouts(mut self, shortest: Duration, longest: Duration) -> Self {
        self.group_session_timeouts = (shortest, longest);
        self
    }

    /// How long the offsets of an empty group are kept (`offsets.retention.minutes`).
    pub fn offsets_retention(mut self, retention: Duration) -> Self {
        self.offsets_retention = retention;
        self
    }

    /// The longest time-out that a transaction may have (`transaction.max.timeout.ms`).
    pub fn transaction_max_timeout(mut self, timeout: Duration) -> Self {
        self.transaction_max_timeout = timeout;
        self
    }

    /// All listeners; the default one if none was added.
    pub(crate) fn all_listeners(&self) -> Vec<Listener> {
        match self.listeners.is_empty() {
            true => {
                let address = self.listen;
                vec![Listener::new(SecurityProtocol::Plaintext, address.ip().to_string(), address.port())]
            }
            false => self.listeners.clone(),
        }
    }

    /// # Errors
    /// [`Error::NotLoopback`] and [`Error::Config`] for what cannot work.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let listeners = self.all_listeners();
        let mut names = std::collections::HashSet::new();
        for listener in &listeners {
            if !names.insert(&listener.name) {
                return Err(Error::Config(format!("two listeners have the name {}", listener.name)));
            }
            let address = listener.resolve()?;
            let authenticated = listener.protocol.uses_sasl()
                || (listener.protocol.uses_tls() && self.security.requires_certificates());
            if !address.ip().is_loopback() && !self.insecure && !authenticated {
                return Err(Error::NotLoopback { address });
            }
        }
        if let Some(address) = self.metrics_listen.filter(|address| !address.ip().is_loopback())
            && !self.insecure
        {
            return Err(Error::NotLoopback { address });
        }
        if !(1..=MAX_PARTITIONS_PER_TOPIC).contains(&self.default_partitions) {
            return Err(Error::Config(format!(
                "num.partitions is {}, but must be within 1 and {MAX_PARTITIONS_PER_TOPIC}",
                self.default_partitions
            )));
        }
        self.limits.validate()?;
        self.security.validate(&listeners)
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

/// The shortest session time-out that members may ask for. Apache Kafka asks for 6 s at least; tests of fail-over want
/// less, and one node bears the heartbeats.
pub(crate) const GROUP_MIN_SESSION_TIMEOUT: Duration = Duration::from_millis(500);

/// The longest session time-out that members may ask for.
pub(crate) const GROUP_MAX_SESSION_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// How long the offsets of an empty group are kept.
pub(crate) const OFFSETS_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The longest time-out of a transaction.
pub(crate) const TRANSACTION_MAX_TIMEOUT: Duration = Duration::from_secs(15 * 60);

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

    #[test]
    fn a_listener_with_login_may_be_open_to_the_network() {
        let listener = Listener::new(SecurityProtocol::SaslPlaintext, "0.0.0.0", 9092);
        let config = LogServerConfig::new("data").listener(listener.clone());
        assert!(config.validate().is_ok());
        let twice = config.listener(listener);
        assert!(matches!(twice.validate(), Err(Error::Config(_))));
        let open = Listener::new(SecurityProtocol::Plaintext, "0.0.0.0", 9092);
        assert!(twice.listener(open.named("OPEN")).validate().is_err());
    }

    #[test]
    fn tls_needs_a_certificate() {
        let config =
            LogServerConfig::new("data").listener(Listener::new(SecurityProtocol::Ssl, "localhost", 0));
        let refused = config.validate().unwrap_err().to_string();
        assert!(refused.contains("ssl.keystore.location"), "{refused}");
    }
}
