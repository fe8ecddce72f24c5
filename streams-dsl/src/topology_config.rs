//! Settings that shape a topology while it is built.

use streams_core::{StreamsConfig, TopologyOptimization};

/// How a topology is built (the part of Kafka's configuration that `StreamsBuilder.build(Properties)` reads). Each
/// setting changes which topics exist, or which topologies do, so all are off by default, as in Kafka Streams.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let config: TopologyConfig = "merge.repartition.topics,single.store.self.join".parse()?;
/// assert!(config.merge_repartition_topics && !config.reuse_ktable_source_topics);
/// assert_eq!("all".parse(), Ok(TopologyConfig::default().optimize(true)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopologyConfig {
    /// A source table's topic serves as its store's changelog (`reuse.ktable.source.topics`).
    pub reuse_ktable_source_topics: bool,
    /// What follows one change of keys shares one repartition topic (`merge.repartition.topics`).
    pub merge_repartition_topics: bool,
    /// A stream that is joined with itself is kept once (`single.store.self.join`).
    pub single_store_self_join: bool,
    /// Refuse stores and topics whose names are numbers that change when the topology does (KIP-1111,
    /// `ensure.explicit.internal.resource.naming`): `build` lists each of them.
    pub ensure_explicit_names: bool,
}

const REUSE: &str = "reuse.ktable.source.topics";
const MERGE: &str = "merge.repartition.topics";
const SELF_JOIN: &str = "single.store.self.join";

impl TopologyConfig {
    /// The settings with all optimisations or none.
    #[must_use]
    pub fn optimize(self, optimize: bool) -> Self {
        TopologyConfig {
            reuse_ktable_source_topics: optimize,
            merge_repartition_topics: optimize,
            single_store_self_join: optimize,
            ..self
        }
    }

    /// The settings with or without leave for automatic names.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let rides = builder.stream::<String, i64>("rides");
    /// rides.group_by(|_, fare| fare / 10).named("by-price").count().to_stream().to("counts");
    /// let error = builder.build_with(&TopologyConfig::default().ensure_explicit_names(true)).unwrap_err();
    /// assert!(error.to_string().contains("state store `KSTREAM-AGGREGATE-STATE-STORE-0000000002`"));
    /// ```
    #[must_use]
    pub fn ensure_explicit_names(self, on: bool) -> Self {
        TopologyConfig { ensure_explicit_names: on, ..self }
    }

    /// The settings with this optimisation on or off.
    #[must_use]
    pub fn reuse_ktable_source_topics(self, on: bool) -> Self {
        TopologyConfig { reuse_ktable_source_topics: on, ..self }
    }

    /// The settings with this optimisation on or off.
    #[must_use]
    pub fn merge_repartition_topics(self, on: bool) -> Self {
        TopologyConfig { merge_repartition_topics: on, ..self }
    }

    /// The settings with this optimisation on or off.
    #[must_use]
    pub fn single_store_self_join(self, on: bool) -> Self {
        TopologyConfig { single_store_self_join: on, ..self }
    }
}

/// The settings that `topology.optimization` of an application asks for.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let config = StreamsConfig::new("rides", "127.0.0.1:9092").with("topology.optimization", "all")?;
/// let builder = StreamsBuilder::new();
/// builder.table_with::<String, String>("drivers", Consumed::new(), Materialized::named("drivers"));
/// let topology = builder.build_with(&TopologyConfig::from(&config))?;
/// # drop(topology);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl From<&StreamsConfig> for TopologyConfig {
    fn from(config: &StreamsConfig) -> Self {
        TopologyConfig::default().optimize(config.optimization == TopologyOptimization::All)
    }
}

/// A value of `topology.optimization` that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no value of topology.optimization: say `none`, `all`, or some of `{REUSE}`, `{MERGE}` and `{SELF_JOIN}` \
     with commas between them"
)]
pub struct UnknownOptimization(pub String);

impl std::str::FromStr for TopologyConfig {
    type Err = UnknownOptimization;

    /// Reads a value of Kafka's `topology.optimization`.
    fn from_str(setting: &str) -> Result<Self, UnknownOptimization> {
        let none = TopologyConfig::default();
        match setting.trim() {
            "none" | "" => return Ok(none),
            "all" => return Ok(none.optimize(true)),
            _ => {}
        }
        setting.split(',').try_fold(none, |config, rule| match rule.trim() {
            REUSE => Ok(config.reuse_ktable_source_topics(true)),
            MERGE => Ok(config.merge_repartition_topics(true)),
            SELF_JOIN => Ok(config.single_store_self_join(true)),
            _ => Err(UnknownOptimization(setting.to_owned())),
        })
    }
}
