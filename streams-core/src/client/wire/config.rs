//! Settings of the wire client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::security::ScramMechanism;
use super::transport::{TcpTransport, Transport};

/// Where the brokers are and how patient to be with them.
///
/// All durations are Kafka's defaults unless said otherwise.
#[derive(Clone)]
pub struct WireConfig {
    /// Brokers to ask first, `host:port` each, tried in turn.
    pub bootstrap_servers: Vec<String>,
    /// `client.id`: sent with every request; brokers build the ids of group members from it.
    pub client_id: String,
    /// Longest wait for one connection to open.
    pub connect_timeout: Duration,
    /// `request.timeout.ms`: longest wait for one answer before the connection is given up.
    pub request_timeout: Duration,
    /// `default.api.timeout.ms`: longest time that one call may take with all its retries.
    pub api_timeout: Duration,
    /// `retry.backoff.ms`: pause before the first retry; doubles up to [`retry_backoff_max`](Self::retry_backoff_max).
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`: longest pause between two retries.
    pub retry_backoff_max: Duration,
    /// Largest answer accepted, in bytes; a longer one closes the connection.
    pub max_frame_bytes: usize,
    /// Requests that may wait for their answers on one connection.
    pub max_in_flight: usize,
    /// Credentials, when the brokers ask for them.
    pub sasl: Option<Sasl>,
    /// How a byte stream to a broker is opened: plain TCP unless replaced, by TLS for example.
    pub transport: Arc<dyn Transport>,
}

impl WireConfig {
    /// Settings for the brokers of a comma-separated `host:port` list.
    pub fn new(bootstrap_servers: impl AsRef<str>) -> Self {
        let servers = bootstrap_servers.as_ref().split(',').map(str::trim);
        Self {
            bootstrap_servers: servers.filter(|server| !server.is_empty()).map(str::to_owned).collect(),
            client_id: "rust-streams".to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            api_timeout: Duration::from_secs(60),
            retry_backoff: Duration::from_millis(50),
            retry_backoff_max: Duration::from_secs(1),
            max_frame_bytes: 100 * 1024 * 1024,
            max_in_flight: 256,
            sasl: None,
            transport: Arc::new(TcpTransport),
        }
    }

    /// Sets `client.id`.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// Sets the credentials.
    #[must_use]
    pub fn sasl(mut self, sasl: Sasl) -> Self {
        self.sasl = Some(sasl);
        self
    }
}

impl fmt::Debug for WireConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireConfig")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("client_id", &self.client_id)
            .field("request_timeout", &self.request_timeout)
            .field("api_timeout", &self.api_timeout)
            .field("sasl", &self.sasl)
            .finish_non_exhaustive()
    }
}

/// Credentials by SASL mechanism. The secret never appears in `Debug` output.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sasl {
    /// `PLAIN` (RFC 4616): user name and password as they are; use it over TLS or loopback only.
    Plain {
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
    /// SCRAM (RFC 5802): the password is proved and not sent. Takes the feature `ssl`.
    Scram {
        /// By which hash.
        mechanism: ScramMechanism,
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain { username, .. } => write!(f, "Plain {{ username: {username:?}, password: *** }}"),
            Self::Scram { mechanism, username, .. } => {
                write!(f, "{} {{ username: {username:?}, password: *** }}", mechanism.name())
            }
        }
    }
}
