//! The settings of a consumer, by the Java client's names or librdkafka's.

use std::time::Duration;

use crate::client::rdkafka::{ClientError, ClientProperties};
use crate::client::wire::{Isolation, WireConfig};
use crate::config::ConfigError;

/// Settings that are honoured, with the Java client's defaults. One that only librdkafka has is taken and ignored, with
/// a warning; one that nobody knows is an error.
const HONOURED: &[&str] = &[
    "check.crcs",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "request.timeout.ms",
    "socket.timeout.ms",
];
/// What the wire client reads of the shared settings.
const SHARED: &[&str] = &["sasl.", "ssl.", "security.protocol"];

/// How a consumer fetches.
#[derive(Debug, Clone)]
pub(super) struct FetchSettings {
    /// `fetch.min.bytes`: a broker holds an answer back until it has so much.
    pub(super) min_bytes: i32,
    /// `fetch.max.wait.ms`: but not longer than this.
    pub(super) max_wait: Duration,
    /// `fetch.max.bytes` of one answer.
    pub(super) max_bytes: i32,
    /// `max.partition.fetch.bytes` of one partition in an answer.
    pub(super) partition_max_bytes: i32,
    /// `isolation.level`.
    pub(super) isolation: Isolation,
    /// `check.crcs`: whether the batches' checksums are compared.
    pub(super) check_crcs: bool,
    /// `request.timeout.ms`: how long an answer may be late.
    pub(super) request_timeout: Duration,
}

impl FetchSettings {
    /// # Errors
    /// When a property is unknown or out of bounds.
    pub(super) fn new(properties: &ClientProperties, group_id: &str) -> Result<Self, ClientError> {
        // librdkafka's table of properties knows the names and bounds.
        let checked = properties.checked_consumer(group_id)?;
        for name in properties.properties.keys() {
            let known =
                HONOURED.contains(&name.as_str()) || SHARED.iter().any(|shared| name.starts_with(shared));
            if !known {
                tracing::warn!(name, "this consumer property has no effect here");
            }
        }
        let number = |name: &str, default: i32| {
            checked.get(name).and_then(|text| text.trim().parse().ok()).unwrap_or(default)
        };
        let millis = |name, default| Duration::from_millis(number(name, default).max(0) as u64);
        Ok(FetchSettings {
            min_bytes: number("fetch.min.bytes", 1),
            max_wait: millis("fetch.wait.max.ms", 500),
            max_bytes: number("fetch.max.bytes", 50 << 20),
            partition_max_bytes: number("fetch.message.max.bytes", 1 << 20),
            isolation: match checked.get("isolation.level") {
                Some("read_committed") => Isolation::ReadCommitted,
                _ => Isolation::ReadUncommitted,
            },
            check_crcs: checked.get("check.crcs").is_none_or(|text| text == "true"),
            request_timeout: millis("request.timeout.ms", number("socket.timeout.ms", 30_000)),
        })
    }

    /// The settings of the connections.
    ///
    /// # Errors
    /// When the settings of TLS or SASL cannot be used.
    pub(super) fn wire(&self, properties: &ClientProperties) -> Result<WireConfig, ClientError> {
        let refused = |fault: ConfigError| ClientError::Configuration { reason: fault.to_string() };
        let mut wire = properties.wire().map_err(refused)?;
        wire.request_timeout = self.request_timeout;
        Ok(wire)
    }
}
