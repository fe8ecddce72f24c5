//! Kafka Streams for Rust: the fluent DSL, and the one crate that applications depend on.
//!
//! A [`StreamsBuilder`] begins streams and tables, operators chain, [`StreamsBuilder::build`] answers with a
//! [`Topology`](topology::Topology). Types have default serdes, names and numbers are those of Kafka Streams.
//!
//! The other crates are re-exported here: [`processor`], [`record`], [`serdes`], [`state`], [`time`], [`topology`] of
//! the engine, and [`stores`].

// The derive names its paths `::streams_dsl::…`, also within this crate.
extern crate self as streams_dsl;

mod config;
mod kstream;
mod options;
mod plan;
pub mod prelude;
mod streams_builder;

pub use config::TopologyConfig;
pub use kstream::{BranchedKStream, FixedKeyContext, FixedKeyProcessor, FixedKeyRecord, KStream, Sink};
pub use options::{Branched, Consumed, Grouped, Joined, Materialized, Produced, Repartitioned};
pub use streams_builder::StreamsBuilder;

#[doc(inline)]
pub use state_stores as stores;
#[doc(inline)]
pub use streams_core::*;

/// Serdes: how keys and values become bytes and come back.
pub mod serdes {
    pub use streams_core::serdes::*;
    pub use streams_derive::DefaultSerde;
}
