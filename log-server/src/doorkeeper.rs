//! Who is let in: connections are accepted, counted, and get TLS where their listener has it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::broker::Broker;
use crate::connection::{self, ConnectionError};
use crate::listener::Listener;
use crate::newcomers::{Newcomer, Newcomers};
use crate::security::{Principal, subject_of};
use crate::session::Session;

/// How long accepting rests after an error such as "too many open files".
const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(50);

/// How long a new connection waits for one that makes room for it.
const ROOM_TIMEOUT: Duration = Duration::from_millis(200);

/// Lets connections in, as far as there is room.
#[derive(Clone)]
pub(crate) struct Doorkeeper {
    broker: Arc<Broker>,
    connections: TaskTracker,
    /// One for each connection that may be open.
    permits: Arc<Semaphore>,
    newcomers: Arc<Newcomers>,
    /// Open connections by the client's address.
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
    tls: Option<TlsAcceptor>,
}

impl Doorkeeper {
    /// Lets in as many as the broker's limits say; their tasks are counted in `connections`.
    pub(crate) fn new(broker: &Arc<Broker>, connections: &TaskTracker, tls: Option<TlsAcceptor>) -> Self {
        let limit = broker.config().limits.max_connections;
        Doorkeeper {
            broker: Arc::clone(broker),
            connections: connections.clone(),
            permits: Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))),
            newcomers: Newcomers::new(limit / 2),
            by_address: Arc::default(),
            tls,
        }
    }

    /// Accepts connections until the server stops.
    pub(crate) async fn accept(self, listener: Arc<Listener>, socket: TcpListener) {
        let stopping = self.broker.shutdown_token().clone();
        loop {
            let accepted = tokio::select! {
                () = stopping.cancelled() => return,
                accepted = socket.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_ERROR_PAUSE).await;
                    continue;
                }
            };
            let place = match self.admit(peer).await {
                Ok(place) => place,
                Err(limit) => {
                    let refused =
                        self.broker.metrics().connections_refused.fetch_add(1, Ordering::Relaxed) + 1;
                    // A flood of connections must not become one of the log.
                    if refused.is_power_of_two() {
                        tracing::warn!(%peer, limit, refused, "too many connections: closing the new one");
                    }
                    continue;
                }
            };
            let (keeper, listener) = (self.clone(), Arc::clone(&listener));
            self.connections.spawn(keeper.serve(listener, stream, peer, place));
        }
    }

    /// A place for a connection from `peer`; else the name of the limit that is reached.
    async fn admit(&self, peer: SocketAddr) -> Result<Place, &'static str> {
        let limits = &self.broker.config().limits;
        let of_address = AddressCount::take(&self.by_address, peer.ip(), limits.max_connections_per_address);
        let of_address = of_address.ok_or("max.connections.per.ip")?;
        let permits = Arc::clone(&self.permits);
        let permit = match permits.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            // Whoever has not shown itself yet makes room.
            Err(_) if self.newcomers.evict_oldest() => {
                let waited = tokio::time::timeout(ROOM_TIMEOUT, permits.acquire_owned()).await;
                waited.ok().and_then(Result::ok)
            }
            Err(_) => None,
        };
        let permit = permit.ok_or("max.connections")?;
        Ok(Place { newcomer: self.newcomers.admit(), _permit: permit, _of_address: of_address })
    }

    async fn serve(self, listener: Arc<Listener>, stream: TcpStream, peer: SocketAddr, place: Place) {
        // Answers are written whole: waiting to fill a segment would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let metrics = self.broker.metrics();
        metrics.connections_opened.fetch_add(1, Ordering::Relaxed);
        let ended = self.run(listener, stream, peer, place).await;
        metrics.connections_closed.fetch_add(1, Ordering::Relaxed);
        match ended {
            Ok(()) => tracing::debug!(%peer, "connection closed"),
            Err(ConnectionError::Io(error)) => tracing::debug!(%peer, %error, "connection lost"),
            Err(
                error @ (ConnectionError::Idle(_) | ConnectionError::Evicted | ConnectionError::Setup(_)),
            ) => {
                tracing::debug!(%peer, %error, "connection closed by the server");
            }
            Err(error) => {
                metrics.faults.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%peer, %error, "connection closed by the server");
            }
        }
    }

    async fn run(
        &self,
        listener: Arc<Listener>,
        stream: TcpStream,
        peer: SocketAddr,
        place: Place,
    ) -> Result<(), ConnectionError> {
        let Place { newcomer, _permit, _of_address } = place;
        let protocol = listener.protocol;
        let session = Session::new(listener, peer, stream.local_addr()?);
        let broker = Arc::clone(&self.broker);
        let Some(tls) = self.tls.as_ref().filter(|_| protocol.uses_tls()) else {
            if !protocol.uses_sasl() {
                enter(&broker, &session, Principal::anonymous());
            }
            return connection::run(broker, Arc::new(session), stream, newcomer).await;
        };
        let setup_timeout = broker.config().limits.setup_timeout;
        let stream = tokio::select! {
            accepted = tokio::time::timeout(setup_timeout, tls.accept(stream)) => {
                accepted.map_err(|_| ConnectionError::Setup(setup_timeout))??
            }
            () = newcomer.evicted() => return Err(ConnectionError::Evicted),
            () = broker.shutdown_token().cancelled() => return Ok(()),
        };
        if !protocol.uses_sasl() {
            let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let subject = certificate.and_then(|certificate| subject_of(certificate));
            enter(
                &broker,
                &session,
                subject.map_or_else(Principal::anonymous, |name| Principal::user(&name)),
            );
        }
        connection::run(broker, Arc::new(session), stream, newcomer).await
    }
}

/// Notes who the client of a listener without login is.
fn enter(broker: &Broker, session: &Session, principal: Principal) {
    let access = broker.access_of(principal, session.peer.ip());
    // Nobody was known before, so nobody else can have been.
    let _ = session.authenticate(access, broker.uptime(), None);
}

/// What a connection holds while it is open.
struct Place {
    newcomer: Newcomer,
    _permit: OwnedSemaphorePermit,
    _of_address: AddressCount,
}

/// Counts a connection of an address.
struct AddressCount {
    address: IpAddr,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl AddressCount {
    fn take(counts: &Arc<Mutex<HashMap<IpAddr, usize>>>, address: IpAddr, limit: usize) -> Option<Self> {
        let mut open = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        drop(open);
        Some(AddressCount { address, counts: Arc::clone(counts) })
    }
}

impl Drop for AddressCount {
    fn drop(&mut self) {
        let mut open = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}
