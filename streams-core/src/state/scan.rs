//! Which entries of a store to show.

use std::ops::Bound;

use super::store::Direction;
use crate::time::Timestamp;

/// Which entries of a store to show, all in bytes: for those who do not know its types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreScan {
    /// Bounds of the keys' bytes, without the windows that some stores put behind them.
    pub keys: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    /// The earliest time: of a window's start, a session's end, a version's end. Of no matter to plain key-value stores.
    pub from: Timestamp,
    /// The latest time, included: of a window's start, a session's end, a version's beginning.
    pub to: Timestamp,
    /// Which way to go.
    pub direction: Direction,
    /// Begin behind this entry, the last one of a page: its key and, where it has one, its window.
    pub after: Option<EntryPlace>,
}

/// Names an entry of a store: its key's bytes, and the window's start and end.
pub type EntryPlace = (Vec<u8>, Option<(Timestamp, Timestamp)>);

impl StoreScan {
    /// All entries.
    pub fn all() -> Self {
        StoreScan::between((Bound::Unbounded, Bound::Unbounded))
    }

    /// The entries of one key.
    pub fn key(key: impl Into<Vec<u8>>) -> Self {
        let key = key.into();
        StoreScan::between((Bound::Included(key.clone()), Bound::Included(key)))
    }

    /// The entries whose keys lie between two bounds.
    pub fn between(keys: (Bound<Vec<u8>>, Bound<Vec<u8>>)) -> Self {
        let (from, to) = (Timestamp::ZERO, Timestamp::MAX);
        StoreScan { keys, from, to, direction: Direction::Forward, after: None }
    }

    /// The entries whose keys begin with some bytes.
    pub fn prefix(prefix: &[u8]) -> Self {
        let last = prefix.iter().rposition(|&byte| byte < u8::MAX);
        let end = last.map_or(Bound::Unbounded, |last| {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            Bound::Excluded(end)
        });
        StoreScan::between((Bound::Included(prefix.to_vec()), end))
    }

    /// The one key that is meant, where it is one.
    pub fn single_key(&self) -> Option<&[u8]> {
        match &self.keys {
            (Bound::Included(lower), Bound::Included(upper)) if lower == upper => Some(lower),
            _ => None,
        }
    }

    /// The bounds of what is left behind [`StoreScan::after`] in a store without windows.
    pub fn keys_left(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let (lower, upper) =
            (self.keys.0.as_ref().map(Vec::as_slice), self.keys.1.as_ref().map(Vec::as_slice));
        match (&self.after, self.direction) {
            (Some((key, _)), Direction::Forward) => (Bound::Excluded(key), upper),
            (Some((key, _)), Direction::Backward) => (lower, Bound::Excluded(key)),
            (None, _) => (lower, upper),
        }
    }
}
