//! Topic configurations: Kafka's names, defaults and meanings (KIP-226 for how they are described).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::records::Compression;

/// What kind of value a configuration has, by its number in DescribeConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConfigType {
    Boolean = 1,
    String = 2,
    Int = 3,
    Long = 5,
    Double = 6,
    List = 7,
}

/// One configuration that a topic can have.
#[derive(Debug)]
pub(crate) struct ConfigDefinition {
    pub(crate) name: &'static str,
    pub(crate) default: &'static str,
    pub(crate) kind: ConfigType,
    /// The allowed values of a string or list; any if empty.
    allowed: &'static [&'static str],
    /// The smallest allowed number.
    min: f64,
    pub(crate) doc: &'static str,
}

const fn number(
    name: &'static str,
    kind: ConfigType,
    default: &'static str,
    min: f64,
    doc: &'static str,
) -> ConfigDefinition {
    ConfigDefinition { name, default, kind, allowed: &[], min, doc }
}

const fn flag(name: &'static str, default: &'static str, doc: &'static str) -> ConfigDefinition {
    ConfigDefinition { name, default, kind: ConfigType::Boolean, allowed: &["true", "false"], min: 0.0, doc }
}

const fn choice(
    name: &'static str,
    kind: ConfigType,
    default: &'static str,
    allowed: &'static [&'static str],
    doc: &'static str,
) -> ConfigDefinition {
    ConfigDefinition { name, default, kind, allowed, min: 0.0, doc }
}

/// The largest value of Kafka's long configurations: "for ever".
const LONG_MAX: &str = "9223372036854775807";

/// All topic configurations by name. The ones about replicas, tiered storage and flushing are accepted and
/// described, so that tools work, and have no effect on a single node.
pub(crate) static DEFINITIONS: &[ConfigDefinition] = &[
    choice(
        "cleanup.policy",
        ConfigType::List,
        "delete",
        &["delete", "compact"],
        "Whether old segments are deleted, compacted by key, or both.",
    ),
    number(
        "compression.gzip.level",
        ConfigType::Int,
        "-1",
        -1.0,
        "Level of gzip when the server compresses.",
    ),
    number("compression.lz4.level", ConfigType::Int, "9", 1.0, "Level of LZ4 when the server compresses."),
    choice(
        "compression.type",
        ConfigType::String,
        "producer",
        &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"],
        "Codec of stored batches; `producer` keeps what came.",
    ),
    number(
        "compression.zstd.level",
        ConfigType::Int,
        "3",
        -131072.0,
        "Level of zstd when the server compresses.",
    ),
    number("delete.retention.ms", ConfigType::Long, "86400000", 0.0, "How long compaction keeps tombstones."),
    number(
        "file.delete.delay.ms",
        ConfigType::Long,
        "60000",
        0.0,
        "How long deleted files stay on the disk.",
    ),
    number("flush.messages", ConfigType::Long, LONG_MAX, 1.0, "Without effect: see --fsync."),
    number("flush.ms", ConfigType::Long, LONG_MAX, 0.0, "Without effect: see --fsync."),
    choice(
        "follower.replication.throttled.replicas",
        ConfigType::List,
        "",
        &[],
        "Without effect: there is one replica.",
    ),
    number(
        "index.interval.bytes",
        ConfigType::Int,
        "4096",
        0.0,
        "Bytes of records between two index entries.",
    ),
    choice(
        "leader.replication.throttled.replicas",
        ConfigType::List,
        "",
        &[],
        "Without effect: there is one replica.",
    ),
    number(
        "local.retention.bytes",
        ConfigType::Long,
        "-2",
        -2.0,
        "Without effect: there is no tiered storage.",
    ),
    number("local.retention.ms", ConfigType::Long, "-2", -2.0, "Without effect: there is no tiered storage."),
    number(
        "max.compaction.lag.ms",
        ConfigType::Long,
        LONG_MAX,
        1.0,
        "How long a record may stay uncompacted.",
    ),
    number("max.message.bytes", ConfigType::Int, "1048588", 0.0, "The largest batch that is accepted."),
    number(
        "message.timestamp.after.max.ms",
        ConfigType::Long,
        LONG_MAX,
        0.0,
        "How far a record's time may be ahead of the server's.",
    ),
    number(
        "message.timestamp.before.max.ms",
        ConfigType::Long,
        LONG_MAX,
        0.0,
        "How far a record's time may be behind the server's.",
    ),
    choice(
        "message.timestamp.type",
        ConfigType::String,
        "CreateTime",
        &["CreateTime", "LogAppendTime"],
        "Whose clock gives the records' time.",
    ),
    number(
        "min.cleanable.dirty.ratio",
        ConfigType::Double,
        "0.5",
        0.0,
        "Share of uncompacted bytes from which compaction begins.",
    ),
    number(
        "min.compaction.lag.ms",
        ConfigType::Long,
        "0",
        0.0,
        "How long a record stays uncompacted at least.",
    ),
    number("min.insync.replicas", ConfigType::Int, "1", 1.0, "Without effect: there is one replica."),
    flag("preallocate", "false", "Without effect: files grow as they are written."),
    flag("remote.log.copy.disable", "false", "Without effect: there is no tiered storage."),
    flag("remote.log.delete.on.disable", "false", "Without effect: there is no tiered storage."),
    flag("remote.storage.enable", "false", "Without effect: there is no tiered storage."),
    number(
        "retention.bytes",
        ConfigType::Long,
        "-1",
        -1.0,
        "Bytes above which a partition's oldest segments are deleted; -1 for no limit.",
    ),
    number(
        "retention.ms",
        ConfigType::Long,
        "-1",
        -1.0,
        "Age above which segments are deleted; -1, the default here, keeps records for ever.",
    ),
    number("segment.bytes", ConfigType::Int, "1073741824", 14.0, "Bytes of a segment."),
    number("segment.index.bytes", ConfigType::Int, "10485760", 4.0, "Bytes of a segment's index."),
    number(
        "segment.jitter.ms",
        ConfigType::Long,
        "0",
        0.0,
        "Without effect: segments are rolled when they are written.",
    ),
    number("segment.ms", ConfigType::Long, "604800000", 1.0, "Age at which a segment is rolled."),
    flag("unclean.leader.election.enable", "false", "Without effect: there is one replica."),
];

/// The definition of a name.
pub(crate) fn definition(name: &str) -> Option<&'static ConfigDefinition> {
    DEFINITIONS.iter().find(|definition| definition.name == name)
}

impl ConfigDefinition {
    /// # Errors
    /// A sentence that says what is wrong with `value`.
    pub(crate) fn validate(&self, value: &str) -> Result<(), String> {
        let fault =
            |wanted: String| Err(format!("Invalid value {value} for configuration {}: {wanted}", self.name));
        match self.kind {
            ConfigType::Boolean | ConfigType::String if !self.allowed.contains(&value) => {
                fault(format!("must be one of {}", self.allowed.join(", ")))
            }
            ConfigType::List if !self.allowed.is_empty() => {
                match value
                    .split(',')
                    .map(str::trim)
                    .find(|item| !item.is_empty() && !self.allowed.contains(item))
                {
                    Some(_) => fault(format!("must be a list of {}", self.allowed.join(", "))),
                    None => Ok(()),
                }
            }
            ConfigType::Int | ConfigType::Long | ConfigType::Double => {
                let parsed = match self.kind {
                    ConfigType::Int => value.parse::<i32>().ok().map(f64::from),
                    ConfigType::Long => value.parse::<i64>().ok().map(|number| number as f64),
                    _ => value.parse::<f64>().ok().filter(|number| number.is_finite()),
                };
                match parsed {
                    None => fault("not a number of its type".to_owned()),
                    Some(number) if number < self.min => fault(format!("must be at least {}", self.min)),
                    Some(_) => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// The configuration of one topic, with the values that the log needs at hand.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TopicConfig {
    /// What was set for this topic.
    overrides: BTreeMap<String, String>,
    /// What the server was told to use instead of Kafka's defaults.
    server_defaults: Arc<BTreeMap<String, String>>,
    pub(crate) compact: bool,
    pub(crate) delete: bool,
    /// `None` keeps the producer's codec.
    pub(crate) compression: Option<Compression>,
    pub(crate) log_append_time: bool,
    pub(crate) timestamp_before_max_ms: i64,
    pub(crate) timestamp_after_max_ms: i64,
    pub(crate) max_message_bytes: usize,
    pub(crate) segment_bytes: u64,
    pub(crate) segment_ms: i64,
    pub(crate) segment_index_bytes: usize,
    pub(crate) index_interval_bytes: usize,
    /// `None` for ever.
    pub(crate) retention_ms: Option<i64>,
    /// `None` for no limit.
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) delete_retention_ms: i64,
    pub(crate) min_compaction_lag_ms: i64,
    pub(crate) max_compaction_lag_ms: i64,
    pub(crate) min_cleanable_dirty_ratio: f64,
}

/// Where a value comes from, by its number in DescribeConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConfigSource {
    Topic = 1,
    StaticBroker = 4,
    Default = 5,
}

impl TopicConfig {
    /// Checks the values and builds the configuration.
    ///
    /// # Errors
    /// A sentence that names the unknown configuration or the bad value.
    pub(crate) fn new(
        overrides: BTreeMap<String, String>,
        server_defaults: Arc<BTreeMap<String, String>>,
    ) -> Result<Self, String> {
        for (name, value) in overrides.iter().chain(server_defaults.iter()) {
            definition(name).ok_or_else(|| format!("Unknown topic config name: {name}"))?.validate(value)?;
        }
        let value = |name: &str| effective(&overrides, &server_defaults, name).0;
        let long = |name: &str| value(name).parse::<i64>().unwrap_or(i64::MAX);
        let size = |name: &str| value(name).parse::<usize>().unwrap_or(usize::MAX);
        let policies: Vec<&str> = value("cleanup.policy").split(',').map(str::trim).collect();
        let config = TopicConfig {
            compact: policies.contains(&"compact"),
            delete: policies.contains(&"delete"),
            compression: Compression::from_name(value("compression.type")),
            log_append_time: value("message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
            max_message_bytes: size("max.message.bytes"),
            segment_bytes: size("segment.bytes") as u64,
            segment_ms: long("segment.ms"),
            segment_index_bytes: size("segment.index.bytes"),
            index_interval_bytes: size("index.interval.bytes"),
            retention_ms: Some(long("retention.ms")).filter(|ms| *ms >= 0),
            retention_bytes: u64::try_from(long("retention.bytes")).ok(),
            delete_retention_ms: long("delete.retention.ms"),
            min_compaction_lag_ms: long("min.compaction.lag.ms"),
            max_compaction_lag_ms: long("max.compaction.lag.ms"),
            min_cleanable_dirty_ratio: value("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
            overrides: BTreeMap::new(),
            server_defaults: Arc::clone(&server_defaults),
        };
        Ok(TopicConfig { overrides, ..config })
    }

    /// What was set for this topic.
    pub(crate) fn overrides(&self) -> &BTreeMap<String, String> {
        &self.overrides
    }

    /// What the server uses instead of Kafka's defaults.
    pub(crate) fn server_defaults(&self) -> &Arc<BTreeMap<String, String>> {
        &self.server_defaults
    }

    /// The value of a configuration and where it comes from.
    pub(crate) fn get(&self, name: &str) -> (&str, ConfigSource) {
        effective(&self.overrides, &self.server_defaults, name)
    }
}

fn effective<'a>(
    overrides: &'a BTreeMap<String, String>,
    server_defaults: &'a BTreeMap<String, String>,
    name: &str,
) -> (&'a str, ConfigSource) {
    if let Some(value) = overrides.get(name) {
        return (value, ConfigSource::Topic);
    }
    if let Some(value) = server_defaults.get(name) {
        return (value, ConfigSource::StaticBroker);
    }
    (definition(name).map_or("", |definition| definition.default), ConfigSource::Default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(overrides: &[(&str, &str)]) -> Result<TopicConfig, String> {
        let overrides =
            overrides.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        TopicConfig::new(overrides, Arc::default())
    }

    #[test]
    fn every_default_is_valid() {
        for definition in DEFINITIONS {
            assert_eq!(definition.validate(definition.default), Ok(()));
        }
        let names: Vec<_> = DEFINITIONS.iter().map(|definition| definition.name).collect();
        assert!(names.is_sorted());
    }

    #[test]
    fn records_are_kept_for_ever_by_default() {
        let config = config(&[]).unwrap();
        assert_eq!((config.retention_ms, config.retention_bytes), (None, None));
        assert!(config.delete && !config.compact);
    }

    #[test]
    fn values_are_checked() {
        assert!(config(&[("retention.ms", "soon")]).is_err());
        assert!(config(&[("retention.ms", "-2")]).is_err());
        assert!(config(&[("cleanup.policy", "compact,shred")]).is_err());
        assert!(config(&[("no.such", "1")]).is_err());
        let both = config(&[("cleanup.policy", "compact, delete"), ("retention.ms", "5")]).unwrap();
        assert!(both.compact && both.delete);
        assert_eq!(both.retention_ms, Some(5));
        assert_eq!(both.get("retention.ms"), ("5", ConfigSource::Topic));
        assert_eq!(both.get("segment.bytes"), ("1073741824", ConfigSource::Default));
    }
}
