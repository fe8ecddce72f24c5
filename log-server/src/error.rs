//! What can go wrong with a server as a whole. Faults of single requests are answered with Kafka's error codes.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a server cannot start, or cannot stop cleanly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The listen address is open to the network although the server has no authentication.
    #[error(
        "refusing to listen on {address}: it is not a loopback address and anyone who reaches it could read and \
         delete everything; use a listener with login (SASL_SSL), or pass --insecure (LogServerConfig::insecure) if the \
         network is trusted"
    )]
    NotLoopback {
        /// The address as configured.
        address: SocketAddr,
    },
    /// The listen address cannot be bound.
    #[error("cannot listen on {address}: {source}; choose another port, or port 0 for a free one")]
    Bind {
        /// The address as configured.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A configuration value is out of its range.
    #[error("invalid configuration: {0}")]
    Config(String),
    /// A certificate, key or authority cannot be used.
    #[error("cannot use {} for TLS: {reason}", path.display())]
    Tls {
        /// The PEM file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A server that a sub-command talks to does not answer, or refuses.
    #[error("{server}: {reason}")]
    Remote {
        /// The server's address.
        server: String,
        /// What went wrong.
        reason: String,
    },
    /// Another server uses the data directory.
    #[error("data directory {} is in use by another log server; stop it or choose another --data-dir", path.display())]
    DataDirLocked {
        /// The data directory.
        path: PathBuf,
    },
    /// A file of the data directory cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Storage {
        /// What was being done.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file of the data directory does not have its format.
    #[error("{} is damaged: {reason}; restore it from a copy, or move it away to start without it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// Wraps an error of the file system with what was being done to which path.
    pub(crate) fn storage(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::Storage { action, path, source }
    }
}
