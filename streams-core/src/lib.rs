//! The engine of Kafka Streams for Rust: topology, Processor API, tasks, and the runtime that drives them.
//!
//! Applications depend on `streams-dsl`, which re-exports what they need from here.

pub mod assignor;
pub mod client;
mod close_options;
pub mod config;
mod end_signals;
mod error;
#[cfg(test)]
mod fixture;
mod kafka_streams;
pub mod membership;
pub mod processor;
pub mod query;
pub mod record;
mod runtime;
pub mod serdes;
pub mod state;
mod streams_handle;
pub mod task;
pub mod time;
pub mod topology;

pub use close_options::{CloseOptions, GroupMembershipOperation};
pub use config::{
    ConfigError, ErrorHandlers, ErrorPolicy, ProcessingGuarantee, RecordingLevel, ResetPolicy, StreamsConfig,
    UncaughtHandler, UncaughtResponse,
};
pub use error::Error;
pub use kafka_streams::{KafkaStreams, RunningStreams};
pub use record::{Data, FetchedRecord, Header, Headers, OwnedRecord, Record, RecordContext, TopicPartition};
pub use runtime::{StateRestoreListener, StatusError, StoreRestore, StreamsState, StreamsStatus, TaskStatus};
pub use streams_handle::StreamsHandle;
pub use time::{Timestamp, duration_millis};
pub use topology::{TopologyOptimization, UnknownOptimization};
