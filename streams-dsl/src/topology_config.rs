//! Settings that shape a topology while it is built.

use streams_core::{StreamsConfig, TopologyOptimization, UnknownOptimization};

/// How a topology is built (the part of Kafka's configuration that `StreamsBuilder.build(Properties)` reads). Each
/// setting changes which topics exist, or which topologies do, so all are off by default, as in Kafka Streams.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let config: TopologyConfig = "merge.repartition.topics,single.store.self.join".parse()?;
/// assert!(config.optimization.merge_repartition_topics && !config.optimization.reuse_ktable_source_topics);
/// assert_eq!("all".parse(), Ok(TopologyConfig::default().optimize(true)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopologyConfig {
    /// What is rewritten.
    pub optimization: TopologyOptimization,
    /// Refuse stores and topics whose names are numbers that change when the topology does (KIP-1111,
    /// `ensure.explicit.internal.resource.naming`): `build` lists each of them.
    pub ensure_explicit_names: bool,
}

impl TopologyConfig {
    /// The settings with all optimisations or none.
    #[must_use]
    pub fn optimize(self, optimize: bool) -> Self {
        let optimization = if optimize { TopologyOptimization::ALL } else { TopologyOptimization::NONE };
        TopologyConfig { optimization, ..self }
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
    pub fn reuse_ktable_source_topics(mut self, on: bool) -> Self {
        self.optimization.reuse_ktable_source_topics = on;
        self
    }

    /// The settings with this optimisation on or off.
    #[must_use]
    pub fn merge_repartition_topics(mut self, on: bool) -> Self {
        self.optimization.merge_repartition_topics = on;
        self
    }

    /// The settings with this optimisation on or off.
    #[must_use]
    pub fn single_store_self_join(mut self, on: bool) -> Self {
        self.optimization.single_store_self_join = on;
        self
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
/// let streams = KafkaStreams::new(builder.build_with(&config)?, config.clone())?;
/// // Built without, the setting would have no effect: that is an error.
/// let error = KafkaStreams::new(builder.build()?, config).unwrap_err().to_string();
/// assert!(error.contains("`topology.optimization` is `all`, but the topology was built with `none`"), "{error}");
/// # drop(streams);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl From<&StreamsConfig> for TopologyConfig {
    fn from(config: &StreamsConfig) -> Self {
        TopologyConfig { optimization: config.optimization, ..TopologyConfig::default() }
    }
}

impl From<&TopologyConfig> for TopologyConfig {
    fn from(config: &TopologyConfig) -> Self {
        *config
    }
}

impl std::str::FromStr for TopologyConfig {
    type Err = UnknownOptimization;

    /// Reads a value of Kafka's `topology.optimization`.
    fn from_str(setting: &str) -> Result<Self, UnknownOptimization> {
        Ok(TopologyConfig { optimization: setting.parse()?, ..TopologyConfig::default() })
    }
}
