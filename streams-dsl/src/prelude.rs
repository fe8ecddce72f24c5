//! What most programs need: `use streams_dsl::prelude::*`.

pub use std::time::Duration;

pub use crate::serdes::{AsJson, BigEndian, DefaultSerde, Json, Nullable, Serde, Utf8, Void};
pub use crate::{
    Branched, BranchedKStream, BufferConfig, Change, CogroupedKStream, Consumed, EmitStrategy,
    FixedKeyContext, FixedKeyProcessor, FixedKeyRecord, GlobalKTable, Grouped, JoinWindows, Joined,
    KGroupedStream, KGroupedTable, KStream, KTable, Materialized, Produced, Repartitioned,
    SessionWindowedKStream, SessionWindows, Sink, SlidingWindows, StreamJoined, StreamsBuilder, Suppressed,
    TableJoined, TimeWindowedKStream, TimeWindows, TopologyConfig, UnlimitedWindows, Windows,
};
pub use state_stores::{
    QueryKeyValue, QuerySession, QueryVersioned, QueryWindow, SessionWindowed, Stores, TimeWindowed,
    TimestampedKeyValueStore, TimestampedWindowStore, ValueAndTimestamp, Window, Windowed,
};
pub use streams_core::processor::{
    InitContext, Processor, ProcessorContext, ProcessorError, PunctuationId, PunctuationType, StoreHandle,
    TimestampExtractor,
};
pub use streams_core::record::{Header, Headers, Record};
pub use streams_core::time::Timestamp;
pub use streams_core::topology::{OffsetReset, Topology, TopologyError};
pub use streams_core::{KafkaStreams, StreamsConfig};
