//! Limits on what clients can take from each other.

use std::time::Duration;

use crate::error::Error;

/// Limits on connections, memory and time, so that slow or hostile clients cannot starve the others.
///
/// ```
/// use log_server::{Limits, LogServerConfig};
///
/// let limits = Limits { max_connections_per_address: 100, ..Limits::default() };
/// let config = LogServerConfig::new("/var/lib/log-server").limits(limits);
/// # let _ = config;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections that may be open at a time (`max.connections`). At most half of them may be of clients that have
    /// not yet sent a request or logged in; beyond that the oldest of those makes room.
    pub max_connections: usize,
    /// Connections that may be open at a time from one address (`max.connections.per.ip`).
    pub max_connections_per_address: usize,
    /// The largest request in bytes; a connection that sends a larger one is closed (`socket.request.max.bytes`).
    pub max_request_bytes: usize,
    /// The same before the client has logged in (`sasl.server.max.receive.size`).
    pub max_login_request_bytes: usize,
    /// Requests of one connection that may be unanswered before no more are read
    /// (`max.in.flight.requests.per.connection`).
    pub max_in_flight_requests: usize,
    /// Bytes of requests that all connections may hold together (`queued.max.request.bytes`). The first
    /// 64 KiB of each connection do not count, so that small requests never wait for large ones.
    pub max_request_memory_bytes: usize,
    /// Bytes of fetched records that all connections may hold together (`queued.max.response.bytes`). When they
    /// are used up, fetch requests are answered with little at a time.
    pub max_response_memory_bytes: usize,
    /// How long a connection may be without a request (`connections.max.idle.ms`).
    pub idle_timeout: Duration,
    /// How long a client may take until it has set up TLS, logged in and sent its first request
    /// (`connection.setup.timeout.ms`).
    pub setup_timeout: Duration,
    /// How long a client may take to send a request that it has begun, beside a second for each 64 KiB of it, and to
    /// take the next piece of an answer (`request.receive.timeout.ms`).
    pub request_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_connections: 10_000,
            max_connections_per_address: usize::MAX,
            max_request_bytes: 100 * 1024 * 1024,
            max_login_request_bytes: 512 * 1024,
            max_in_flight_requests: 64,
            max_request_memory_bytes: 256 * 1024 * 1024,
            max_response_memory_bytes: 256 * 1024 * 1024,
            idle_timeout: Duration::from_secs(600),
            setup_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// A server that takes no request of this size could not even be asked for its versions.
const MIN_REQUEST_LIMIT_BYTES: usize = 1024;

impl Limits {
    /// # Errors
    /// [`Error::Config`] for what cannot work.
    pub(super) fn validate(&self) -> Result<(), Error> {
        let at_least = |name: &str, value: usize, least: usize| match value < least {
            true => Err(Error::Config(format!("{name} is {value}, but must be at least {least}"))),
            false => Ok(()),
        };
        at_least("socket.request.max.bytes", self.max_request_bytes, MIN_REQUEST_LIMIT_BYTES)?;
        at_least("sasl.server.max.receive.size", self.max_login_request_bytes, MIN_REQUEST_LIMIT_BYTES)?;
        at_least("max.connections", self.max_connections, 1)?;
        at_least("max.connections.per.ip", self.max_connections_per_address, 1)?;
        at_least("max.in.flight.requests.per.connection", self.max_in_flight_requests, 1)?;
        at_least("queued.max.request.bytes", self.max_request_memory_bytes, self.max_request_bytes)?;
        for (name, timeout) in [
            ("connections.max.idle.ms", self.idle_timeout),
            ("connection.setup.timeout.ms", self.setup_timeout),
            ("request.receive.timeout.ms", self.request_timeout),
        ] {
            if timeout.is_zero() {
                return Err(Error::Config(format!("{name} is 0, but must be at least 1")));
            }
        }
        Ok(())
    }
}
