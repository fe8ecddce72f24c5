//! What stores hold beside plain values, and what they report.

use streams_core::{Headers, Timestamp};

/// A value and the event time at which it came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ValueAndTimestamp<V> {
    /// The value.
    pub value: V,
    /// Its event time.
    pub timestamp: Timestamp,
}

impl<V> ValueAndTimestamp<V> {
    /// A value and its event time.
    pub fn new(value: V, timestamp: impl Into<Timestamp>) -> Self {
        ValueAndTimestamp { value, timestamp: timestamp.into() }
    }
}

/// What a cached store has held back about one key: all its changes since the last flush as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreChange<K, T> {
    /// The key; with its window in window and session stores.
    pub key: K,
    /// What the store held at the last flush; always none unless the store keeps old values.
    pub old: Option<T>,
    /// What it holds now; none where the key was deleted.
    pub new: Option<T>,
    /// Event time of the record that changed it last.
    pub timestamp: Timestamp,
    /// Headers of the record that changed it last.
    pub headers: Headers,
}
