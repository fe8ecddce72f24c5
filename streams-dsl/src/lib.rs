//! Kafka Streams for Rust: the fluent DSL, and the one crate that applications depend on.
//!
//! A [`StreamsBuilder`] begins streams and tables, operators chain, [`StreamsBuilder::build`] answers with a
//! [`Topology`](topology::Topology). Types have default serdes, names and numbers are those of Kafka Streams.
//!
//! The other crates are re-exported here: [`processor`], [`record`], [`serdes`], [`state`], [`time`], [`topology`] of
//! the engine, and [`stores`].

// The derive names its paths `::streams_dsl::…`, also within this crate.
extern crate self as streams_dsl;

mod change;
mod filled_store;
mod global_table;
mod grouped;
mod kstream;
mod ktable;
mod options;
mod plan;
pub mod prelude;
mod streams_builder;
mod topology_config;
mod windows;

pub use change::Change;
pub use global_table::GlobalKTable;
pub use grouped::{
    CogroupedKStream, KGroupedStream, SessionWindowedCogroupedKStream, SessionWindowedKStream,
    TimeWindowedCogroupedKStream, TimeWindowedKStream, WindowedBy,
};
pub use kstream::{
    BranchedKStream, FixedKeyContext, FixedKeyProcessor, FixedKeyRecord, GlobalLookup, JoinKind, JoinSide,
    Joiner, KStream, OuterJoinSide, Sink, StreamJoin, Within, WithinWith,
};
pub use ktable::{
    CHANGES_HELD_MAX, ChangesMissed, KGroupedTable, KTable, TableChange, TableChanges, TableWith,
    TransformContext, ValueTransformer,
};
pub use options::{
    Branched, BufferConfig, Consumed, EmitEarly, Grouped, Joined, Materialized, Produced, Repartitioned,
    ShutDown, StreamJoined, Suppressed, TableJoined, WhenFull,
};
pub use streams_builder::StreamsBuilder;
pub use topology_config::TopologyConfig;
pub use windows::{
    EmitStrategy, JoinWindows, SessionWindows, SetGrace, SlidingWindows, TimeWindows, UnlimitedWindows,
    Windows, WithoutGrace,
};

#[doc(inline)]
pub use state_stores as stores;
#[doc(inline)]
pub use streams_core::*;
/// The HTTP service (feature `http`): queries of state, metrics, health, status, topology.
#[cfg(feature = "http")]
#[doc(inline)]
pub use streams_http as http;

/// Serdes: how keys and values become bytes and come back.
pub mod serdes {
    pub use streams_core::serdes::*;
    pub use streams_derive::DefaultSerde;
}

/// The programs of the README are compiled by `cargo test`.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct ReadmeDoctests;
