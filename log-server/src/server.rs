//! The server: listens, accepts, stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::broker::{Broker, housekeeping};
use crate::config::LogServerConfig;
use crate::connection;
use crate::error::Error;
use crate::http;

/// Connections that the operating system may hold before they are accepted.
const LISTEN_BACKLOG: u32 = 1024;

/// How long accepting rests after an error such as "too many open files".
const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(50);

/// How long connections may take to finish their requests when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A running log server.
///
/// It stops with [`LogServer::shutdown`]; when it is dropped instead, its tasks are told to stop but nobody waits
/// for them, and the next start finds an unclean data directory, which it checks and repairs.
#[derive(Debug)]
pub struct LogServer {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    running: Option<Running>,
}

struct Running {
    broker: Arc<Broker>,
    connections: TaskTracker,
    accepting: JoinHandle<()>,
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
        let (listener, address) = bind(config.listen)?;
        let metrics = config.metrics_listen.map(bind).transpose()?;
        let broker = Broker::open(config)?;
        let connections = TaskTracker::new();
        connections.spawn(housekeeping(Arc::clone(&broker)));
        let metrics_address = metrics.as_ref().map(|(_, address)| *address);
        if let Some((listener, _)) = metrics {
            connections.spawn(http::serve(Arc::clone(&broker), listener));
        }
        let accepting = tokio::spawn(accept(Arc::clone(&broker), listener, connections.clone()));
        tracing::info!(%address, "listening");
        Ok(LogServer { address, metrics_address, running: Some(Running { broker, connections, accepting }) })
    }

    /// The address that clients connect to, with the port that was picked if port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
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
        let _ = running.accepting.await;
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
            running.accepting.abort();
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

async fn accept(broker: Arc<Broker>, listener: TcpListener, connections: TaskTracker) {
    let permits = Arc::new(Semaphore::new(broker.config().max_connections));
    let stopping = broker.shutdown_token().clone();
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_ERROR_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            tracing::warn!(%peer, limit = broker.config().max_connections, "closing connection: max.connections");
            continue;
        };
        let broker = Arc::clone(&broker);
        connections.spawn(async move {
            serve(broker, stream, peer).await;
            drop(permit);
        });
    }
}

async fn serve(broker: Arc<Broker>, stream: TcpStream, peer: SocketAddr) {
    // Answers are written whole: waiting to fill a segment would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    let metrics = Arc::clone(&broker);
    metrics.metrics().connections_opened.fetch_add(1, Ordering::Relaxed);
    let ended = connection::run(broker, stream, peer).await;
    metrics.metrics().connections_closed.fetch_add(1, Ordering::Relaxed);
    match ended {
        Ok(()) => tracing::debug!(%peer, "connection closed"),
        Err(connection::ConnectionError::Io(error)) => tracing::debug!(%peer, %error, "connection lost"),
        Err(error) => tracing::warn!(%peer, %error, "connection closed by the server"),
    }
}
