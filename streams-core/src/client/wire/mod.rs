//! A small Kafka client for the work that librdkafka does badly or not at all: the group protocol with an assignment of
//! our own, admin requests that do not block a thread, and the connections that records are fetched over.
//!
//! Messages come from the `kafka-protocol` crate; this module
//! adds framing, version negotiation, connections, routing (any broker, leader, controller, coordinator) and retries.
//!
//! ```no_run
//! # async fn demo() -> Result<(), streams_core::client::wire::WireError> {
//! use streams_core::client::wire::{WireClient, WireConfig};
//!
//! let client = WireClient::new(WireConfig::new("localhost:9092"));
//! let cluster = client.metadata(Some(&["rides"])).await?;
//! println!("{:?} partitions", cluster.partition_count("rides"));
//! # Ok(())
//! # }
//! ```

mod client;
mod config;
mod configs;
mod connection;
mod error;
mod groups;
mod metadata;
mod offsets;
mod retry;
mod sasl;
#[cfg(feature = "ssl")]
mod scram;
mod security;
#[cfg(feature = "ssl")]
mod tls;
mod topics;
mod transport;
mod versions;

pub use client::WireClient;
pub use config::{Sasl, WireConfig};
pub use configs::ConfigEntry;
pub use connection::Connection;
pub use error::WireError;
pub(crate) use error::advice;
pub use groups::{CommittedOffset, GroupDescription, GroupMemberDescription};
pub use metadata::{BrokerAddress, ClusterMetadata, PartitionMetadata, TopicMetadata};
pub use offsets::{Isolation, ListedOffset, OffsetSpec};
pub use security::ScramMechanism;
pub(crate) use security::{Security, for_librdkafka};
pub use topics::{NewTopic, TopicResults};
pub use transport::{ByteStream, TcpTransport, Transport};
