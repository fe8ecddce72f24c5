//! Settings that shape a topology while it is built.

/// How a topology is built (the part of Kafka's configuration that `StreamsBuilder.build(Properties)` reads).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopologyConfig {
    /// Reuse source topics as changelogs, merge repartition topics, keep one store for a self-join
    /// (`topology.optimization=all`). Off by default, as in Kafka Streams: it changes which topics exist.
    pub optimize: bool,
}

impl TopologyConfig {
    /// The settings with optimisation on or off.
    #[must_use]
    pub fn optimize(self, optimize: bool) -> Self {
        TopologyConfig { optimize }
    }
}
