//! Every setting by its key: what it takes, how it is set and shown.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::wire::Security;

use super::error::ConfigError;
use super::parse::{at_least, bytes, millis, number};
use super::streams_config::{ErrorPolicy, ProcessingGuarantee, RecordingLevel, ResetPolicy, StreamsConfig};
use crate::topology::{Topology, TopologyOptimization};

/// A setting as the documentation lists it.
#[derive(Debug, Clone, Copy)]
pub struct ConfigKey {
    /// Its key.
    pub name: &'static str,
    set: fn(&mut StreamsConfig, &str) -> Result<(), String>,
    show: fn(&StreamsConfig) -> String,
}

/// All settings that have a key of their own.
pub fn config_keys() -> impl Iterator<Item = &'static ConfigKey> {
    KEYS.iter()
}

macro_rules! key {
    ($name:literal, $field:ident, $parse:expr, $show:expr) => {
        ConfigKey {
            name: $name,
            set: |config, text| {
                config.$field = ($parse)(text)?;
                Ok(())
            },
            show: |config| ($show)(&config.$field),
        }
    };
}

const KEYS: &[ConfigKey] = &[
    key!("application.id", application_id, text, String::clone),
    key!("bootstrap.servers", bootstrap_servers, text, String::clone),
    key!("client.id", client_id, optional, show_optional),
    key!("num.stream.threads", threads, |text| at_least(text, 1usize), ToString::to_string),
    key!("state.dir", state_dir, |t: &str| text(t).map(Into::into), show_path),
    key!("processing.guarantee", guarantee, guarantee, show_debug),
    key!("commit.interval.ms", commit_interval, |text| millis(text).map(Some), show_optional_millis),
    key!("statestore.cache.max.bytes", cache_max_bytes, bytes, ToString::to_string),
    key!("uncommitted.max.bytes", uncommitted_max_bytes, bytes, ToString::to_string),
    key!("memory.budget", memory_budget, bytes, ToString::to_string),
    key!("replication.factor", replication_factor, number, ToString::to_string),
    key!("num.standby.replicas", standby_replicas, number, ToString::to_string),
    key!("max.warmup.replicas", max_warmup_replicas, |text| at_least(text, 1usize), ToString::to_string),
    key!(
        "acceptable.recovery.lag",
        acceptable_recovery_lag,
        |text| at_least(text, 0i64),
        ToString::to_string
    ),
    key!("max.task.idle.ms", max_task_idle, idle, show_optional_millis),
    key!(
        "buffered.records.per.partition",
        buffered_records_per_partition,
        |text| at_least(text, 1usize),
        ToString::to_string
    ),
    key!(
        "buffered.bytes.per.partition",
        buffered_bytes_per_partition,
        |text| bytes(text).map(|bytes| bytes as usize),
        ToString::to_string
    ),
    key!("poll.ms", poll_interval, millis, show_millis),
    key!("task.timeout.ms", task_timeout, millis, show_millis),
    key!("state.cleanup.delay.ms", state_cleanup_delay, millis, show_millis),
    key!("repartition.purge.interval.ms", repartition_purge_interval, millis, show_millis),
    key!(
        "windowstore.changelog.additional.retention.ms",
        window_changelog_additional_retention,
        millis,
        show_millis
    ),
    key!("metrics.recording.level", recording_level, recording_level, show_debug),
    key!("topology.optimization", optimization, optimization, ToString::to_string),
    key!("application.server", application_server, optional, show_optional),
    key!("group.instance.id", group_instance_id, optional, show_optional),
    key!("session.timeout.ms", session_timeout, millis, show_millis),
    key!("heartbeat.interval.ms", heartbeat_interval, millis, show_millis),
    key!("max.poll.interval.ms", max_poll_interval, millis, show_millis),
    key!("rebalance.timeout.ms", rebalance_timeout, millis, show_millis),
    key!("request.timeout.ms", request_timeout, millis, show_millis),
    key!("startup.timeout.ms", startup_timeout, millis, show_millis),
    key!("shutdown.timeout.ms", shutdown_timeout, millis, show_millis),
    key!("auto.offset.reset", offset_reset, reset, show_debug),
    key!("deserialization.exception.handler", deserialization_errors, policy, show_debug),
    key!("processing.exception.handler", processing_errors, policy, show_debug),
    key!("production.exception.handler", production_errors, policy, show_debug),
    key!("errors.dead.letter.queue.topic.name", dead_letter_topic, optional, show_optional),
    key!("errors.retry.max", retry_max, |text| number(text).map(Some), |max: &Option<u32>| {
        max.map_or_else(String::new, |max| max.to_string())
    }),
    key!("errors.retry.backoff.ms", retry_backoff, millis, show_millis),
    key!("client.rack", rack, optional, show_optional),
];

/// Settings of Kafka's clients that may stand without a prefix, and which clients they are for.
const CONSUMER_KEYS: &[&str] = &[
    "fetch.min.bytes",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.wait.max.ms",
    "fetch.queue.backoff.ms",
    "max.partition.fetch.bytes",
    "queued.min.messages",
    "queued.max.messages.kbytes",
    "isolation.level",
    "check.crcs",
];
const PRODUCER_KEYS: &[&str] = &[
    "acks",
    "linger.ms",
    "batch.size",
    "batch.num.messages",
    "compression.type",
    "compression.level",
    "buffer.memory",
    "delivery.timeout.ms",
    "max.request.size",
    "message.max.bytes",
    "retries",
    "transaction.timeout.ms",
    "enable.idempotence",
];
const SHARED_KEYS: &[&str] = &[
    "security.protocol",
    "metadata.max.age.ms",
    "receive.buffer.bytes",
    "send.buffer.bytes",
    "reconnect.backoff.ms",
    "reconnect.backoff.max.ms",
    "retry.backoff.ms",
    "retry.backoff.max.ms",
    "connections.max.idle.ms",
    "debug",
];
const SHARED_PREFIXES: &[&str] = &["sasl.", "ssl.", "socket."];
const CLIENT_PREFIXES: &[&str] =
    &["consumer.", "main.consumer.", "restore.consumer.", "producer.", "admin.", "topic.", "client.tag."];
/// A suggestion must be this near: the share of letters that may differ.
const NEAREST_MIN_SIMILARITY: f64 = 0.75;

pub(super) fn set(config: &mut StreamsConfig, key: &str, value: &str) -> Result<(), ConfigError> {
    if let Some(known) = KEYS.iter().find(|known| known.name == key) {
        return (known.set)(config, value).map_err(|expected| invalid(key, value, expected));
    }
    if key == "group.protocol" {
        return match value {
            "classic" => Ok(()),
            _ => Err(ConfigError::Unsupported {
                key: key.to_owned(),
                value: value.to_owned(),
                reason: "tasks are assigned by the group's members, through the classic protocol: leave it out",
            }),
        };
    }
    let (maps, rest) = client_maps(config, key)?;
    for map in maps {
        map.insert(rest.to_owned(), value.to_owned());
    }
    Ok(())
}

type Properties = BTreeMap<String, String>;

/// Which clients' properties a key is for, and its name there.
fn client_maps<'c, 'k>(
    config: &'c mut StreamsConfig,
    key: &'k str,
) -> Result<(Vec<&'c mut Properties>, &'k str), ConfigError> {
    let prefixed = CLIENT_PREFIXES.iter().find_map(|prefix| Some((*prefix, key.strip_prefix(prefix)?)));
    if let Some((prefix, rest)) = prefixed.filter(|(_, rest)| !rest.is_empty()) {
        let map = match prefix {
            "restore.consumer." => &mut config.restore_consumer,
            "producer." => &mut config.producer,
            "admin." => &mut config.admin,
            "topic." => &mut config.topic_settings,
            "client.tag." => &mut config.tags,
            _ => &mut config.consumer,
        };
        return Ok((vec![map], rest));
    }
    if SHARED_KEYS.contains(&key) || SHARED_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
        return Ok((vec![&mut config.consumer, &mut config.producer, &mut config.admin], key));
    }
    if CONSUMER_KEYS.contains(&key) {
        return Ok((vec![&mut config.consumer], key));
    }
    if PRODUCER_KEYS.contains(&key) {
        return Ok((vec![&mut config.producer], key));
    }
    Err(ConfigError::UnknownKey { key: key.to_owned(), nearest: nearest(key) })
}

fn nearest(key: &str) -> Option<String> {
    let known = KEYS.iter().map(|known| known.name).chain(["group.protocol"]);
    let all = known.chain(CONSUMER_KEYS.iter().chain(PRODUCER_KEYS).chain(SHARED_KEYS).copied());
    all.map(|name| (strsim::normalized_levenshtein(key, name), name))
        .filter(|(similarity, _)| *similarity >= NEAREST_MIN_SIMILARITY)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name.to_owned())
}

fn invalid(key: &str, value: &str, expected: String) -> ConfigError {
    ConfigError::InvalidValue { key: key.to_owned(), value: value.to_owned(), expected }
}

/// Topic names may hold these, and the application id is part of topic names.
fn legal_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

pub(super) fn validate(config: &StreamsConfig) -> Result<(), ConfigError> {
    if config.application_id.is_empty() {
        let remedy = "instances with the same one share the work, for example `rides`";
        return Err(ConfigError::Missing { key: "application.id", remedy });
    }
    if !legal_name(&config.application_id) {
        let expected =
            "letters, digits, `.`, `_` and `-`, because internal topics are named after it".to_owned();
        return Err(invalid("application.id", &config.application_id, expected));
    }
    if config.bootstrap_servers.trim().is_empty() {
        let remedy = "give `host:port` of a broker, for example `127.0.0.1:9092`";
        return Err(ConfigError::Missing { key: "bootstrap.servers", remedy });
    }
    let server_is_legal = |server: &str| {
        server
            .trim()
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    if !config.bootstrap_servers.split(',').all(server_is_legal) {
        let expected = "`host:port`, several of them with commas between".to_owned();
        return Err(invalid("bootstrap.servers", &config.bootstrap_servers, expected));
    }
    for properties in [&config.admin, &config.consumer, &config.producer] {
        Security::of(properties)?;
    }
    if config.threads == 0 {
        return Err(invalid("num.stream.threads", "0", "a whole number from 1".to_owned()));
    }
    if config.heartbeat_interval >= config.session_timeout {
        let value = show_millis(&config.heartbeat_interval);
        let expected = format!("less than session.timeout.ms, {}", show_millis(&config.session_timeout));
        return Err(invalid("heartbeat.interval.ms", &value, expected));
    }
    Ok(())
}

/// Checks that a topology was built by these settings, where they shape topologies.
pub(super) fn fits(config: &StreamsConfig, topology: &Topology) -> Result<(), ConfigError> {
    let asked = config.optimization;
    match topology.optimization() {
        Some(built) if !built.includes(asked) => {
            let (asked, built) = (asked.to_string(), built.to_string());
            Err(ConfigError::BuiltWithout { key: "topology.optimization", asked, built })
        }
        _ => Ok(()),
    }
}

/// Keys and values for `Debug`: passwords and the like are left out.
pub(super) fn shown(config: &StreamsConfig) -> Vec<(String, String)> {
    let own = KEYS.iter().map(|key| (key.name.to_owned(), (key.show)(config)));
    let clients = [
        ("consumer.", &config.consumer),
        ("restore.consumer.", &config.restore_consumer),
        ("producer.", &config.producer),
        ("admin.", &config.admin),
        ("topic.", &config.topic_settings),
        ("client.tag.", &config.tags),
    ];
    let clients = clients.into_iter().flat_map(|(prefix, map)| {
        map.iter().map(move |(key, value)| {
            let value = if is_secret(key) { "***".to_owned() } else { value.clone() };
            (format!("{prefix}{key}"), value)
        })
    });
    own.chain(clients).collect()
}

/// Whether the value of a client's setting must not be shown.
pub(crate) fn is_secret(key: &str) -> bool {
    ["password", "jaas", "secret", "token", "key.pem", "oauthbearer.config"]
        .iter()
        .any(|word| key.contains(word))
}

fn text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("a text that is not empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn optional(text: &str) -> Result<Option<String>, String> {
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn idle(text: &str) -> Result<Option<Duration>, String> {
    if text.trim() == "-1" { Ok(None) } else { millis(text).map(Some) }
}

fn guarantee(text: &str) -> Result<ProcessingGuarantee, String> {
    match text {
        "at_least_once" => Ok(ProcessingGuarantee::AtLeastOnce),
        "exactly_once_v2" | "exactly_once" => Ok(ProcessingGuarantee::ExactlyOnce),
        _ => Err("`at_least_once` or `exactly_once_v2`".to_owned()),
    }
}

/// `TRACE` is `DEBUG` here.
fn recording_level(text: &str) -> Result<RecordingLevel, String> {
    match text.to_ascii_uppercase().as_str() {
        "INFO" => Ok(RecordingLevel::Info),
        "DEBUG" | "TRACE" => Ok(RecordingLevel::Debug),
        _ => Err("`INFO` or `DEBUG`".to_owned()),
    }
}

fn optimization(text: &str) -> Result<TopologyOptimization, String> {
    let rules = "`none`, `all`, or some of `reuse.ktable.source.topics`, `merge.repartition.topics` and \
                 `single.store.self.join` with commas between them";
    text.parse().map_err(|_| rules.to_owned())
}

fn reset(text: &str) -> Result<ResetPolicy, String> {
    match text {
        "earliest" => Ok(ResetPolicy::Earliest),
        "latest" => Ok(ResetPolicy::Latest),
        "none" => Ok(ResetPolicy::None),
        _ => Err("`earliest`, `latest` or `none`".to_owned()),
    }
}

/// `fail` or `continue`; the names of Kafka Streams' own handler classes are understood as well.
fn policy(text: &str) -> Result<ErrorPolicy, String> {
    match text.rsplit('.').next().unwrap_or_default() {
        "fail"
        | "LogAndFailExceptionHandler"
        | "LogAndFailProcessingExceptionHandler"
        | "DefaultProductionExceptionHandler" => Ok(ErrorPolicy::Fail),
        "continue" | "LogAndContinueExceptionHandler" | "LogAndContinueProcessingExceptionHandler" => {
            Ok(ErrorPolicy::Continue)
        }
        _ => Err("`fail` or `continue`".to_owned()),
    }
}

fn show_optional(value: &Option<String>) -> String {
    value.clone().unwrap_or_default()
}

fn show_path(path: &std::path::Path) -> String {
    path.display().to_string()
}

fn show_millis(duration: &Duration) -> String {
    duration.as_millis().to_string()
}

fn show_optional_millis(duration: &Option<Duration>) -> String {
    duration.as_ref().map_or_else(|| "-1".to_owned(), show_millis)
}

fn show_debug<T: std::fmt::Debug>(value: &T) -> String {
    format!("{value:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> StreamsConfig {
        StreamsConfig::new("app", "127.0.0.1:9092")
    }

    #[test]
    fn kafkas_keys_set_the_fields() {
        let config = StreamsConfig::from_properties([
            ("application.id", "app"),
            ("bootstrap.servers", "a:1,b:2"),
            ("num.stream.threads", "4"),
            ("processing.guarantee", "exactly_once_v2"),
            ("statestore.cache.max.bytes", "0"),
            ("consumer.fetch.min.bytes", "7"),
            ("linger.ms", "20"),
            ("client.tag.zone", "a"),
            (
                "deserialization.exception.handler",
                "org.apache.kafka.streams.errors.LogAndContinueExceptionHandler",
            ),
        ])
        .unwrap();
        assert_eq!(config.threads, 4);
        assert_eq!(config.effective_commit_interval(), Duration::from_millis(100));
        assert_eq!(config.consumer["fetch.min.bytes"], "7");
        assert_eq!(config.producer["linger.ms"], "20");
        assert_eq!(config.tags["zone"], "a");
        assert_eq!(config.deserialization_errors, ErrorPolicy::Continue);
    }

    #[test]
    fn faults_name_the_key_and_the_remedy() {
        let text = |key: &str, value: &str| config().with(key, value).unwrap_err().to_string();
        assert_eq!(
            text("comit.interval.ms", "1"),
            "unknown setting `comit.interval.ms`: did you mean `commit.interval.ms`?"
        );
        assert_eq!(text("zzz", "1"), "unknown setting `zzz`");
        assert_eq!(
            text("num.stream.threads", "none"),
            "`num.stream.threads` cannot be `none`: it takes a whole number from 1"
        );
        let no_port = StreamsConfig::new("app", "localhost").validate().unwrap_err().to_string();
        assert!(no_port.contains("host:port"), "{no_port}");
        assert!(StreamsConfig::new("no spaces", "a:1").validate().is_err());
    }

    #[test]
    fn the_environment_is_read_by_prefix() {
        let pairs =
            |name: &str, value: &str| [(name.to_owned(), value.to_owned()), ("HOME".into(), "/".into())];
        let config = config().with_variables(pairs("STREAMS_NUM_STREAM_THREADS", "3")).unwrap();
        assert_eq!(config.threads, 3);
        assert!(config.with_variables(pairs("STREAMS_NUM_STREAM_TREADS", "3")).is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = config().with("sasl.password", "hunter2").unwrap();
        let text = format!("{config:?}");
        assert!(!text.contains("hunter2") && text.contains("sasl.password"), "{text}");
    }
}
