//! One partition's read, as instances ask each other for it.

use std::ops::Bound;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use streams_core::Timestamp;
use streams_core::query::{Answer, Consistency, OwnedEntry, Page, QueryOptions};
use streams_core::state::{Direction, EntryPlace, StoreScan};

use crate::encoded::{Base64, Offsets, offsets, position};

/// The path at which an instance answers for its own partitions.
pub(crate) const PATH: &str = "/internal/partition";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PartitionRead {
    pub(crate) store: String,
    pub(crate) partition: u32,
    pub(crate) keys: (Bound<Base64>, Bound<Base64>),
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) backward: bool,
    pub(crate) after: Option<Place>,
    pub(crate) limit: usize,
    pub(crate) max_bytes: usize,
    pub(crate) latest: bool,
    pub(crate) standbys: bool,
    pub(crate) at_least: Offsets,
    pub(crate) patience_ms: u64,
}

/// Names an entry: the key, and the window's start and end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) key: Base64,
    pub(crate) window: Option<(i64, i64)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PartitionAnswer {
    pub(crate) entries: Vec<Entry>,
    pub(crate) more: bool,
    pub(crate) partition: u32,
    pub(crate) at: Offsets,
    pub(crate) standby: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) key: Base64,
    pub(crate) window: Option<(i64, i64)>,
    pub(crate) value: Base64,
    pub(crate) timestamp: Option<i64>,
    pub(crate) valid_to: Option<i64>,
}

impl PartitionRead {
    pub(crate) fn scan(&self) -> StoreScan {
        let bound = |bound: &Bound<Base64>| bound.as_ref().map(|key| key.0.clone());
        StoreScan {
            keys: (bound(&self.keys.0), bound(&self.keys.1)),
            from: Timestamp::from_millis(self.from),
            to: Timestamp::from_millis(self.to),
            direction: if self.backward { Direction::Backward } else { Direction::Forward },
            after: self.after.as_ref().map(Place::entry_place),
        }
    }

    pub(crate) fn options(&self) -> QueryOptions {
        QueryOptions {
            consistency: if self.latest { Consistency::Latest } else { Consistency::Committed },
            standbys: self.standbys,
            at_least: position(self.at_least.clone()),
            patience: Duration::from_millis(self.patience_ms),
        }
    }
}

impl Place {
    fn entry_place(&self) -> EntryPlace {
        let time = Timestamp::from_millis;
        (self.key.0.clone(), self.window.map(|(start, end)| (time(start), time(end))))
    }
}

impl Entry {
    pub(crate) fn place(&self) -> Place {
        Place { key: self.key.clone(), window: self.window }
    }
}

impl From<Answer<Page>> for PartitionAnswer {
    fn from(answer: Answer<Page>) -> Self {
        let Answer { value: Page { entries, more }, partition, position, standby } = answer;
        let entries = entries.into_iter().map(Entry::from).collect();
        PartitionAnswer { entries, more, partition, at: offsets(&position), standby }
    }
}

impl From<OwnedEntry> for Entry {
    fn from(entry: OwnedEntry) -> Self {
        Entry {
            key: Base64(entry.key),
            window: entry.window.map(|(start, end)| (start.as_millis(), end.as_millis())),
            value: Base64(entry.value),
            timestamp: entry.timestamp.map(Timestamp::as_millis),
            valid_to: entry.valid_to.map(Timestamp::as_millis),
        }
    }
}
