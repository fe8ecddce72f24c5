//! The topology: which nodes there are, how they hang together, what they need.
//!
//! A [`TopologyBuilder`] gathers nodes and stores and lists every fault at `build()`; the [`Topology`] that comes out
//! is immutable and shared by all tasks.

mod builder;
mod error;
mod node;

pub use builder::{InternalTopic, Topology, TopologyBuilder};
pub use error::{TopologyError, TopologyFault};
pub use node::{
    GlobalStoreSpec, NodeKind, NodeSpec, OffsetReset, ProcessorSpec, SinkSpec, SourceSpec, StoreSpec, Topics,
};
