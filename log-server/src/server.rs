//! The server: listens, accepts, stops.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::broker::{Broker, housekeeping};
use crate::config::LogServerConfig;
use crate::doorkeeper::Doorkeeper;
use crate::error::Error;
use crate::http;
use crate::listener::{Listener, SecurityProtocol};
use crate::security::acceptor;

/// Connections that the operating system may hold before they are accepted.
const LISTEN_BACKLOG: u32 = 1024;

/// How long connections may take to finish their requests when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A running log server.
///
/// It stops with [`LogServer::shutdown`]; when it is dropped instead, its tasks are told to stop but nobody waits
/// for them, and the next start finds an unclean data directory, which it checks and repairs.
#[derive(Debug)]
pub struct LogServer {
    /// The listeners' names and addresses, in the order of the configuration.
    addresses: Vec<(String, SocketAddr)>,
    metrics_address: Option<SocketAddr>,
    running: Option<Running>,
}

struct Running {
    broker: Arc<Broker>,
    connections: TaskTracker,
    accepting: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Running")
            .field("connections", &self.connections.len())
            .finish_non_exhaustive()
    }
}

impl LogServer {
    /// Opens the data directory, recovers it if need be, and listens. Must be called within a tokio runtime;
    /// several servers may run in one process.
    ///
    /// # Errors
    /// [`Error`] if the configuration is not valid, the data directory is locked, unreadable or damaged, or the
    /// address cannot be bound.
    pub async fn start(config: LogServerConfig) -> Result<Self, Error> {
        config.validate()?;
        if !config.ignored_properties.is_empty() {
            tracing::info!(
                properties = config.ignored_properties.join(", "),
                "without effect on a single node"
            );
        }
        let tls = config.security.tls.as_ref().map(acceptor).transpose()?;
        let mut listeners = Vec::new();
        for listener in config.all_listeners() {
            let (socket, address) = bind(listener.resolve()?)?;
            listeners.push((listener, socket, address));
        }
        let metrics = config.metrics_listen.map(bind).transpose()?;
        let broker = Broker::open(config)?;
        let connections = TaskTracker::new();
        connections.spawn(housekeeping(Arc::clone(&broker)));
        let metrics_address = metrics.as_ref().map(|(_, address)| *address);
        if let Some((listener, _)) = metrics {
            connections.spawn(http::serve(Arc::clone(&broker), listener));
        }
        let doorkeeper = Doorkeeper::new(&broker, &connections, tls);
        let (mut addresses, mut accepting) = (Vec::new(), Vec::new());
        for (listener, socket, address) in listeners {
            warn_of_weak_protection(&listener, &broker);
            tracing::info!(listener = listener.name, protocol = listener.protocol.name(), %address, "listening");
            addresses.push((listener.name.clone(), address));
            accepting.push(tokio::spawn(doorkeeper.clone().accept(Arc::new(listener), socket)));
        }
        let running = Some(Running { broker, connections, accepting });
        Ok(LogServer { addresses, metrics_address, running })
    }

    /// The address that clients connect to, with the port that was picked if port 0 was asked for. With several
    /// listeners it is the first one's.
    pub fn address(&self) -> SocketAddr {
        self.addresses.first().map_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), |(_, address)| *address)
    }

    /// The address of the listener of that name, for example `SASL_SSL`.
    pub fn address_of(&self, listener: &str) -> Option<SocketAddr> {
        self.addresses.iter().find(|(name, _)| name == listener).map(|(_, address)| *address)
    }

    /// The address of `/metrics` and `/health`, if they are served.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Stops the server: no new connections, requests in progress are answered, files are synced and closed.
    ///
    /// # Errors
    /// [`Error::Storage`] if the logs cannot be synced.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        let Some(running) = self.running.take() else { return Ok(()) };
        running.broker.shutdown_token().cancel();
        running.connections.close();
        // A task that was cancelled or that panicked has nothing more to say.
        for accepting in running.accepting {
            let _ = accepting.await;
        }
        if tokio::time::timeout(DRAIN_TIMEOUT, running.connections.wait()).await.is_err() {
            tracing::warn!(open = running.connections.len(), "connections did not finish in time");
        }
        let broker = running.broker;
        broker.transactions().close().await;
        broker.groups().close().await;
        match tokio::task::spawn_blocking(move || broker.close()).await {
            Ok(closed) => closed,
            Err(error) => Err(Error::Config(format!("closing the logs panicked: {error}"))),
        }
    }
}

impl Drop for LogServer {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.broker.shutdown_token().cancel();
            running.accepting.iter().for_each(JoinHandle::abort);
        }
    }
}

/// Listens, and says where.
fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Otherwise a restart on the same port fails for a minute.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(LISTEN_BACKLOG)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bind().map_err(|source| Error::Bind { address, source })
}

/// Says what can be overheard or done by anyone.
fn warn_of_weak_protection(listener: &Listener, broker: &Broker) {
    if listener.protocol.uses_sasl() && broker.users().is_empty() {
        tracing::warn!(
            listener = listener.name,
            "nobody can log in yet: configure a user, or add one through a listener without login"
        );
    }
    let is_local = listener.resolve().is_ok_and(|address| address.ip().is_loopback());
    if listener.protocol == SecurityProtocol::SaslPlaintext && !is_local {
        tracing::warn!(
            listener = listener.name,
            "passwords and records can be overheard on the network: SASL_SSL would encrypt them"
        );
    }
}

#[cfg(test)]
mod tests;
