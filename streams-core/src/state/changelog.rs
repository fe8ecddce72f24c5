//! Changelog topics, as stores ask for them.

use std::collections::BTreeMap;

use crate::record::Headers;
use crate::time::Timestamp;

/// How a changelog topic is cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CleanupPolicy {
    /// Latest value per key: key-value stores.
    Compact,
    /// Compaction, and deletion after the store's retention: window and session stores. In milliseconds, without
    /// the additional retention that the configuration adds.
    CompactAndDelete {
        /// The store's retention in ms.
        retention_ms: i64,
    },
    /// Compaction that leaves history alone: versioned stores, in milliseconds.
    CompactAfter {
        /// The history's length in ms.
        min_compaction_lag_ms: i64,
    },
}

/// What a store asks of its changelog topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangelogConfig {
    /// How it is cleaned.
    pub cleanup: CleanupPolicy,
    /// Topic settings of the user's, which override all others.
    pub overrides: BTreeMap<String, String>,
}

/// A record of a changelog, as it is restored.
#[derive(Debug, Clone, Copy)]
pub struct ChangelogRecord<'a> {
    /// The key's bytes; a record without a key is skipped.
    pub key: &'a [u8],
    /// The value's bytes, or none for a deletion.
    pub value: Option<&'a [u8]>,
    /// The record's time: the value's time in timestamped stores.
    pub timestamp: Timestamp,
    /// The record's headers.
    pub headers: &'a Headers,
}
