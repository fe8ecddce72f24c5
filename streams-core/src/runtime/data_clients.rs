//! From the application's settings to those of each client.

use std::time::Duration;

use crate::client::ClientProperties;
use crate::client::wire::{Sasl, WireConfig};
use crate::config::{ProcessingGuarantee, StreamsConfig};

/// Longest wait for one connection to a broker; the start's own limit lies above it.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(5);

/// Which of the data clients of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientKind {
    /// Reads the inputs.
    Main,
    /// Reads changelogs.
    Restore,
    /// Writes outputs and changelogs.
    Producer,
}

/// The properties of a data client; `name` tells it from its siblings.
pub(super) fn properties(config: &StreamsConfig, kind: ClientKind, name: &str) -> ClientProperties {
    let id = format!("{}-{name}", config.effective_client_id());
    let mut properties = ClientProperties::new(&config.bootstrap_servers, id);
    if kind != ClientKind::Producer {
        let isolation = match config.guarantee {
            ProcessingGuarantee::AtLeastOnce => "read_uncommitted",
            ProcessingGuarantee::ExactlyOnce => "read_committed",
        };
        properties = properties.with("isolation.level", isolation);
    }
    let maps = match kind {
        ClientKind::Main => vec![&config.consumer],
        ClientKind::Restore => vec![&config.consumer, &config.restore_consumer],
        ClientKind::Producer => vec![&config.producer],
    };
    maps.into_iter().flatten().fold(properties, |properties, (key, value)| properties.with(key, value))
}

/// The settings of the client for the group and for topics.
pub(super) fn wire(config: &StreamsConfig) -> WireConfig {
    let mut wire = WireConfig::new(&config.bootstrap_servers).client_id(config.effective_client_id());
    wire.request_timeout = config.request_timeout;
    wire.connect_timeout = wire.connect_timeout.min(CONNECT_TIMEOUT_MAX);
    match (config.admin.get("sasl.username"), config.admin.get("sasl.password")) {
        (Some(username), Some(password)) => {
            wire.sasl(Sasl::Plain { username: username.clone(), password: password.clone() })
        }
        _ => wire,
    }
}
