//! Who has which part of a store.

use crate::membership::InstanceMetadata;

/// Where a key of a store is (Kafka's `KeyQueryMetadata`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMetadata {
    /// The key's partition; 0 for a global store.
    pub partition: u32,
    /// The instance that has it; none while its task moves.
    pub active: Option<InstanceMetadata>,
    /// Instances that have a copy.
    pub standbys: Vec<InstanceMetadata>,
}

/// A store of the topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreMetadata {
    /// Its name.
    pub name: String,
    /// The sub-topology whose tasks have it; none for a global store.
    pub sub_topology: Option<u32>,
    /// How many partitions it has, where the topics are known already; 1 for a global store.
    pub partitions: Option<u32>,
    /// Whether it is global: every instance has all of it.
    pub global: bool,
    /// The name of its backend.
    pub backend: &'static str,
}
