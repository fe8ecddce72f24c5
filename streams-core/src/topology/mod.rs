//! The topology: which nodes there are, how they hang together, what they need.
//!
//! A [`TopologyBuilder`] gathers nodes and stores and lists every fault at `build()`; the [`Topology`] that comes out
//! is immutable and shared by all tasks.

mod application;
mod builder;
mod check;
mod description;
mod error;
mod internal_topics;
mod mermaid;
mod node;
mod optimization;
mod sub_topology;
mod task_id;
mod topic_plan;

pub use application::ApplicationTopology;
pub use builder::{InternalTopic, Topology, TopologyBuilder};
pub use error::{TopologyError, TopologyFault};
pub use internal_topics::{InternalTopicSettings, InternalTopicSpec, TopicUse};
pub use node::{
    GlobalStoreSpec, NodeKind, NodeSpec, OffsetReset, ProcessorSpec, SinkSpec, SourceSpec, StoreSpec, Topics,
};
pub use optimization::{TopologyOptimization, UnknownOptimization};
pub use sub_topology::SubTopology;
pub use task_id::{InvalidTaskId, TaskId};
pub use topic_plan::{TopicPlan, TopicPlanError};
