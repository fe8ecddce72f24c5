//! Properties of the data clients: tuned defaults below, the user's above.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use super::error::ClientError;
use crate::client::wire::{Security, WireConfig, for_librdkafka};
use crate::config::{ConfigError, is_secret};

/// Records and KiB that a producer holds before its user has to wait.
const PRODUCER_MAX_MESSAGES: &str = "10000";
const PRODUCER_MAX_KBYTES: &str = "8192";
/// Requests on their way to a broker. With more, a first batch may get lost: a broker that knows nothing yet of a producer in a partition takes
/// any sequence number, so that the second batch may be taken where the first was refused for a reason that passes ("not leader" while a
/// topic is new); librdkafka then takes the first for acknowledged with it (`rd_kafka_dr_implicit_ack`), and never sends it again.
const PRODUCER_MAX_IN_FLIGHT: &str = "1";

const PRODUCER_DEFAULTS: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("linger.ms", "5"),
    ("max.in.flight.requests.per.connection", PRODUCER_MAX_IN_FLIGHT),
    ("batch.size", "262144"),
    ("message.timeout.ms", "120000"),
    ("queue.buffering.max.messages", PRODUCER_MAX_MESSAGES),
    ("queue.buffering.max.kbytes", PRODUCER_MAX_KBYTES),
    ("socket.nagle.disable", "true"),
    ("reconnect.backoff.ms", "50"),
    ("reconnect.backoff.max.ms", "1000"),
];
/// How long a transaction may take, as in Kafka Streams.
const TRANSACTION_TIMEOUT_MS: &str = "10000";
/// Only failures come back: what is not in flight any more and did not fail was acknowledged.
const PRODUCER_FIXED: &[(&str, &str)] = &[("delivery.report.only.error", "true")];

/// Java's names of properties that librdkafka calls otherwise.
const JAVA_NAMES: &[(&str, &str)] = &[
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("buffer.memory", "queue.buffering.max.kbytes"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("fetch.max.wait.ms", "fetch.wait.max.ms"),
];

/// Where a client connects to and how it is set up.
#[derive(Clone, Default)]
pub struct ClientProperties {
    /// `host:port,…`.
    pub bootstrap_servers: String,
    /// The client's name in the broker's logs and metrics.
    pub client_id: String,
    /// Properties of librdkafka, by its own names or the Java client's.
    pub properties: BTreeMap<String, String>,
    /// The longest that a record may wait in a producer for its acknowledgement, whatever `message.timeout.ms` says.
    pub delivery_timeout_max: Option<Duration>,
}

impl ClientProperties {
    /// Where to connect to, under which name.
    pub fn new(bootstrap_servers: impl Into<String>, client_id: impl Into<String>) -> Self {
        ClientProperties {
            bootstrap_servers: bootstrap_servers.into(),
            client_id: client_id.into(),
            properties: BTreeMap::new(),
            delivery_timeout_max: None,
        }
    }

    /// The same with one property more.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(key.into(), value.into());
        self
    }

    /// How long a transaction may take (`transaction.timeout.ms`).
    pub fn transaction_timeout(&self) -> Duration {
        let given =
            self.properties.get("transaction.timeout.ms").map_or(TRANSACTION_TIMEOUT_MS, String::as_str);
        Duration::from_millis(given.parse().unwrap_or(0))
    }

    /// A consumer's properties by librdkafka's names, checked against its table of names and bounds.
    ///
    /// # Errors
    /// The first property that is unknown or out of bounds.
    pub(in crate::client) fn checked_consumer(&self, group_id: &str) -> Result<ClientConfig, ClientError> {
        let mut config = self.merged(&[], &[]);
        config.set("group.id", group_id);
        let refused = |fault: KafkaError| ClientError::Configuration { reason: fault.to_string() };
        config.create_native_config().map_err(refused)?;
        Ok(config)
    }

    /// The settings of connections of our own.
    ///
    /// # Errors
    /// When the settings of TLS or SASL cannot be used.
    pub(crate) fn wire(&self) -> Result<WireConfig, ConfigError> {
        let wire = WireConfig::new(&self.bootstrap_servers).client_id(&self.client_id);
        Security::of(&self.properties)?.apply(wire)
    }

    /// A producer's configuration, transactional where an id is given.
    pub(super) fn producer(&self, transactional_id: Option<&str>) -> ClientConfig {
        let mut config = self.merged(PRODUCER_DEFAULTS, PRODUCER_FIXED);
        if let Some(id) = transactional_id {
            config.set("transactional.id", id);
            // A record may not outlive its transaction: librdkafka refuses a longer time.
            let timeout_ms =
                config.get("transaction.timeout.ms").unwrap_or(TRANSACTION_TIMEOUT_MS).to_owned();
            config.set("message.timeout.ms", &timeout_ms).set("transaction.timeout.ms", &timeout_ms);
        }
        if let Some(max) = self.delivery_timeout_max {
            let max_ms = max.as_millis();
            // librdkafka takes 0 for "for ever".
            let given = config.get("message.timeout.ms").and_then(|text| text.parse::<u128>().ok());
            if given.is_none_or(|given| given == 0 || given > max_ms) {
                config.set("message.timeout.ms", max_ms.to_string());
            }
        }
        config
    }

    fn merged(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap_servers).set("client.id", &self.client_id);
        for (key, value) in defaults {
            config.set(*key, *value);
        }
        for (key, value) in &for_librdkafka(&self.properties) {
            let (key, value) = translate(key, value);
            config.set(key, value);
        }
        for (key, value) in fixed {
            config.set(*key, *value);
        }
        config
    }
}

impl std::fmt::Debug for ClientProperties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown: BTreeMap<&str, &str> = self
            .properties
            .iter()
            .map(|(key, value)| (key.as_str(), if is_secret(key) { "***" } else { value.as_str() }))
            .collect();
        f.debug_struct("ClientProperties")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("client_id", &self.client_id)
            .field("properties", &shown)
            .finish_non_exhaustive()
    }
}

fn translate<'a>(key: &'a str, value: &str) -> (&'a str, String) {
    let Some((_, ours)) = JAVA_NAMES.iter().find(|(java, _)| *java == key) else {
        return (key, value.to_owned());
    };
    // Java gives bytes, librdkafka wants KiB.
    let kbytes = ours.ends_with(".kbytes").then(|| value.parse::<u64>().ok()).flatten();
    (ours, kbytes.map_or_else(|| value.to_owned(), |bytes| (bytes / 1024).max(1).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_properties_beat_the_defaults_but_not_what_is_fixed() {
        let properties = ClientProperties::new("b:1", "me")
            .with("linger.ms", "7")
            .with("delivery.report.only.error", "false")
            .with("buffer.memory", "1048576");
        let producer = properties.producer(None);
        assert_eq!(producer.get("linger.ms"), Some("7"));
        assert_eq!(producer.get("delivery.report.only.error"), Some("true"));
        assert_eq!(producer.get("queue.buffering.max.kbytes"), Some("1024"));
        assert_eq!(producer.get("acks"), Some("all"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let properties = ClientProperties::new("b:1", "me").with("sasl.password", "hunter2");
        let text = format!("{properties:?}");
        assert!(text.contains("sasl.password") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn records_are_given_up_in_time_whatever_the_user_says() {
        let timeout = |properties: ClientProperties| {
            let bounded =
                ClientProperties { delivery_timeout_max: Some(Duration::from_secs(3)), ..properties };
            bounded.producer(None).get("message.timeout.ms").map(str::to_owned)
        };
        let properties = ClientProperties::new("b:1", "me");
        assert_eq!(timeout(properties.clone()).as_deref(), Some("3000"));
        assert_eq!(timeout(properties.clone().with("delivery.timeout.ms", "0")).as_deref(), Some("3000"));
        assert_eq!(timeout(properties.with("delivery.timeout.ms", "1000")).as_deref(), Some("1000"));
    }
}
