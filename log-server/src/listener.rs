//! Listeners: where and how clients connect, by Kafka's names.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};

use crate::error::Error;

/// How a listener's connections are protected and who may use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// Neither encryption nor authentication.
    Plaintext,
    /// TLS.
    Ssl,
    /// Authentication without encryption.
    SaslPlaintext,
    /// Authentication over TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// All protocols.
    pub const ALL: [SecurityProtocol; 4] = [
        SecurityProtocol::Plaintext,
        SecurityProtocol::Ssl,
        SecurityProtocol::SaslPlaintext,
        SecurityProtocol::SaslSsl,
    ];

    /// Kafka's name of it, for example `SASL_SSL`.
    pub fn name(self) -> &'static str {
        match self {
            SecurityProtocol::Plaintext => "PLAINTEXT",
            SecurityProtocol::Ssl => "SSL",
            SecurityProtocol::SaslPlaintext => "SASL_PLAINTEXT",
            SecurityProtocol::SaslSsl => "SASL_SSL",
        }
    }

    /// The protocol of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    /// Whether connections are encrypted.
    pub fn uses_tls(self) -> bool {
        matches!(self, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl)
    }

    /// Whether clients must log in.
    pub fn uses_sasl(self) -> bool {
        matches!(self, SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl)
    }
}

/// A place where clients connect.
///
/// ```
/// use log_server::{Listener, SecurityProtocol};
///
/// let listener = Listener::new(SecurityProtocol::SaslSsl, "0.0.0.0", 9093).advertised("logs.example.org", 9093);
/// assert_eq!(listener.to_string(), "SASL_SSL://0.0.0.0:9093");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Listener {
    pub(crate) name: String,
    pub(crate) protocol: SecurityProtocol,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Where clients are told to connect; by default the address by which they came.
    pub(crate) advertised: Option<(String, u16)>,
}

impl Listener {
    /// A listener of that protocol's name on a host (a name, an address, or `0.0.0.0` for all) and port (0 for a free
    /// one).
    pub fn new(protocol: SecurityProtocol, host: impl Into<String>, port: u16) -> Self {
        Listener { name: protocol.name().to_owned(), protocol, host: host.into(), port, advertised: None }
    }

    /// A name of its own, where several listeners have one protocol.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Where clients of this listener are told to connect (`advertised.listeners`).
    pub fn advertised(mut self, host: impl Into<String>, port: u16) -> Self {
        self.advertised = Some((host.into(), port));
        self
    }

    /// The address that the host stands for; of several the first, of `localhost` the one of IPv4.
    ///
    /// # Errors
    /// [`Error::Config`] if the name cannot be resolved.
    pub(crate) fn resolve(&self) -> Result<SocketAddr, Error> {
        if self.host.is_empty() {
            return Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.port)));
        }
        let unknown =
            |reason: String| Error::Config(format!("listener {self}: the host is unknown: {reason}"));
        let addresses: Vec<SocketAddr> = (self.host.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|error| unknown(error.to_string()))?
            .collect();
        let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
        first.copied().ok_or_else(|| unknown("it has no address".to_owned()))
    }
}

impl std::fmt::Display for Listener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (left, right) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(formatter, "{}://{left}{}{right}:{}", self.name, self.host, self.port)
    }
}
