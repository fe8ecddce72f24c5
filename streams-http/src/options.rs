//! Settings of the service.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Settings of the service; the defaults listen on a free port of the loopback.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Where to listen. Whoever reaches it can read all state: put a proxy that asks who they are in front of any address
    /// but the loopback.
    pub address: SocketAddr,
    /// `host:port` under which the other instances reach this one; the address itself where none is given, and
    /// `application.server` before both.
    pub advertised: Option<String>,
    /// Largest page of entries.
    pub page_entries_max: usize,
    /// Largest page in bytes of keys and values, of each partition.
    pub page_bytes_max: usize,
    /// How long a query may look for its answer, unless it says so itself.
    pub query_timeout: Duration,
    /// How long a query may look for its answer at most.
    pub query_timeout_max: Duration,
    /// Queries that may be under way at a time.
    pub queries_max: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        HttpOptions {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertised: None,
            page_entries_max: 1_000,
            page_bytes_max: 1 << 20,
            query_timeout: Duration::from_secs(2),
            query_timeout_max: Duration::from_secs(30),
            queries_max: 512,
        }
    }
}

impl HttpOptions {
    /// The defaults at another address.
    pub fn at(address: impl Into<SocketAddr>) -> Self {
        HttpOptions { address: address.into(), ..HttpOptions::default() }
    }
}
