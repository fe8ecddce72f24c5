//! Records as the topology sent them.

use std::sync::Arc;

use bytes::Bytes;
use streams_core::{Headers, Timestamp};

/// A record that the topology has sent, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducedRecord {
    /// The topic's name on the broker.
    pub topic: Arc<str>,
    /// The key's bytes, or none.
    pub key: Option<Bytes>,
    /// The value's bytes, or none.
    pub value: Option<Bytes>,
    /// The timestamp; none where the broker would stamp it.
    pub timestamp: Option<Timestamp>,
    /// The headers.
    pub headers: Headers,
}
