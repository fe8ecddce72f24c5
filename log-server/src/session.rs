//! A connection as handlers see it: where it comes from, who is at its other end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::listener::Listener;
use crate::security::{Access, Exchange, Principal};

/// The listener, the two ends, and the state of a connection's authentication.
#[derive(Debug)]
pub(crate) struct Session {
    listener: Arc<Listener>,
    /// The client's end of the connection.
    pub(crate) peer: SocketAddr,
    /// The server's end of the connection: the address by which this client reaches the server.
    local: SocketAddr,
    /// Set once, when the client is known; it stays the same when the client logs in again.
    access: OnceLock<Access>,
    /// Milliseconds since the server's start at which the client must have logged in again; 0 while it has not logged
    /// in at all, [`NEVER`] without a limit.
    expires_ms: AtomicU64,
    login: Mutex<Login>,
    /// The next frames are bare SASL tokens, as after a handshake of version 0.
    takes_tokens: AtomicBool,
    /// The connection is to be closed when all answers are sent.
    is_ending: AtomicBool,
}

/// How far a login has come.
#[derive(Debug, Default)]
pub(crate) enum Login {
    /// A handshake must choose the mechanism.
    #[default]
    Idle,
    /// The client's next token is awaited.
    Exchanging(Exchange),
}

/// An expiry that does not come.
const NEVER: u64 = u64::MAX;

impl Session {
    /// A connection whose client must log in first.
    pub(crate) fn new(listener: Arc<Listener>, peer: SocketAddr, local: SocketAddr) -> Self {
        Session {
            listener,
            peer,
            local,
            access: OnceLock::new(),
            expires_ms: AtomicU64::new(0),
            login: Mutex::default(),
            takes_tokens: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
        }
    }

    /// The listener through which the client came.
    pub(crate) fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Where the client is told to connect to.
    pub(crate) fn advertised(&self) -> (String, u16) {
        self.listener.advertised.clone().unwrap_or_else(|| (self.local.ip().to_string(), self.local.port()))
    }

    /// Notes who the client is, and for how long from `now` (since the server's start) that holds.
    ///
    /// # Errors
    /// Who the client was before, if that is somebody else: nothing has changed then.
    pub(crate) fn authenticate(
        &self,
        access: Access,
        now: Duration,
        lifetime: Option<Duration>,
    ) -> Result<(), Principal> {
        let known = self.access.get_or_init(|| access.clone());
        if known.principal() != access.principal() {
            return Err(known.principal().clone());
        }
        let expires_ms = lifetime.map_or(NEVER, |lifetime| millis(now.saturating_add(lifetime)).max(1));
        self.expires_ms.store(expires_ms, Ordering::Release);
        Ok(())
    }

    /// What the client may do; `None` while nobody knows who it is, or after its login has expired.
    pub(crate) fn access(&self, now: impl FnOnce() -> Duration) -> Option<&Access> {
        match self.expires_ms.load(Ordering::Acquire) {
            0 => None,
            NEVER => self.access.get(),
            expires_ms => self.access.get().filter(|_| millis(now()) < expires_ms),
        }
    }

    /// Whether the client has ever proved who it is.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.expires_ms.load(Ordering::Acquire) != 0
    }

    /// The state of the login.
    pub(crate) fn login(&self) -> MutexGuard<'_, Login> {
        self.login.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the next frame is a bare SASL token.
    pub(crate) fn takes_tokens(&self) -> bool {
        self.takes_tokens.load(Ordering::Acquire)
    }

    /// Has the next frames taken as bare SASL tokens, or as requests.
    pub(crate) fn take_tokens(&self, tokens: bool) {
        self.takes_tokens.store(tokens, Ordering::Release);
    }

    /// Has the connection closed when all answers are sent.
    pub(crate) fn end(&self) {
        self.is_ending.store(true, Ordering::Release);
    }

    /// Whether the connection is to be closed.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NEVER - 1).min(NEVER - 1)
}

#[cfg(test)]
impl Session {
    /// A connection of a test, to a listener of that protocol, whose client may do everything if it need not log in.
    pub(crate) fn of_test(protocol: crate::listener::SecurityProtocol) -> Arc<Self> {
        let ends = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let listener = Arc::new(Listener::new(protocol, "127.0.0.1", 2));
        let session = Session::new(listener, ends[0], ends[1]);
        if !protocol.uses_sasl() {
            let access = Access::unlimited(Principal::anonymous());
            session.authenticate(access, Duration::ZERO, None).unwrap();
        }
        Arc::new(session)
    }

    /// A connection of a test whose client is known.
    pub(crate) fn of_user(access: Access) -> Arc<Self> {
        let session = Self::of_test(crate::listener::SecurityProtocol::SaslPlaintext);
        session.authenticate(access, Duration::ZERO, None).unwrap();
        session
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::SecurityProtocol;

    #[test]
    fn a_login_expires_and_can_be_renewed_by_the_same_user_only() {
        let session = Session::of_test(SecurityProtocol::SaslPlaintext);
        let (second, alice) = (Duration::from_secs(1), || Access::unlimited(Principal::user("alice")));
        assert!(session.access(|| second).is_none());
        session.authenticate(alice(), second, Some(second)).unwrap();
        assert!(session.access(|| second).is_some());
        assert!(session.access(|| 2 * second).is_none());
        let bob = Access::unlimited(Principal::user("bob"));
        assert_eq!(session.authenticate(bob, 2 * second, None), Err(Principal::user("alice")));
        assert!(session.access(|| 2 * second).is_none());
        session.authenticate(alice(), 2 * second, None).unwrap();
        assert!(session.access(|| 1000 * second).is_some());
    }
}
