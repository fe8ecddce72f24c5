//! The transaction coordinator's settings and limits.

use std::time::Duration;

/// Settings of the transaction coordinator.
#[derive(Debug, Clone)]
pub(crate) struct TxnConfig {
    /// `transaction.max.timeout.ms`: longer transaction time-outs are refused, because an open transaction holds
    /// up every reader of committed records.
    pub(crate) max_timeout: Duration,
    /// `transactional.id.expiration.ms`: how long an id is remembered after its last use.
    pub(crate) id_retention: Duration,
    /// How often expired ids are looked for.
    pub(crate) expiry_interval: Duration,
    /// How long to wait before markers that could not be written are tried again.
    pub(crate) marker_retry: Duration,
    /// Transactional ids that the coordinator keeps.
    pub(crate) max_ids: usize,
    /// Partitions that may take part in one transaction.
    pub(crate) max_partitions: usize,
    /// Requests that may wait for one id's present step.
    pub(crate) max_waiting: usize,
}

impl TxnConfig {
    /// The settings of a server.
    pub(crate) fn of(server: &crate::config::LogServerConfig) -> Self {
        Self { max_timeout: server.transaction_max_timeout, ..Self::default() }
    }
}

impl Default for TxnConfig {
    fn default() -> Self {
        Self {
            max_timeout: crate::config::TRANSACTION_MAX_TIMEOUT,
            id_retention: Duration::from_secs(7 * 24 * 60 * 60),
            expiry_interval: Duration::from_secs(60 * 60),
            marker_retry: Duration::from_secs(1),
            max_ids: 100_000,
            max_partitions: 10_000,
            max_waiting: 16,
        }
    }
}
