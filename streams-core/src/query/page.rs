//! Pages of a store whose types are not known.

use std::ops::ControlFlow;

use super::error::QueryError;
use crate::state::{EntryPlace, StateStore, StoreEntry, StoreScan};
use crate::time::Timestamp;

/// An entry of a store, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedEntry {
    /// The key alone, as its serde writes it.
    pub key: Vec<u8>,
    /// Start and end of its window or session, in stores of these.
    pub window: Option<(Timestamp, Timestamp)>,
    /// The value alone, as its serde writes it.
    pub value: Vec<u8>,
    /// The value's time, in timestamped stores; the time from which it is valid, in versioned ones.
    pub timestamp: Option<Timestamp>,
    /// The time up to which it is valid, in versioned stores; none where it is the latest.
    pub valid_to: Option<Timestamp>,
}

impl OwnedEntry {
    /// What [`StoreScan::after`] takes, for the page behind this entry.
    pub fn place(&self) -> EntryPlace {
        (self.key.clone(), self.window)
    }
}

/// Some entries of one partition of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries, in the store's order.
    pub entries: Vec<OwnedEntry>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// Reads a page of at most `limit` entries and about `max_bytes`, the first entry in any case.
pub(crate) fn read_page(
    store: &mut dyn StateStore,
    scan: &StoreScan,
    limit: usize,
    max_bytes: usize,
) -> Result<Page, QueryError> {
    let mut page = Page::default();
    let mut bytes = 0;
    store.scan_entries(scan, &mut |entry: StoreEntry<'_>| {
        bytes += entry.key.len() + entry.value.len();
        if page.entries.len() >= limit || (bytes > max_bytes && !page.entries.is_empty()) {
            page.more = true;
            return ControlFlow::Break(());
        }
        page.entries.push(OwnedEntry {
            key: entry.key.to_vec(),
            window: entry.window,
            value: entry.value.to_vec(),
            timestamp: entry.timestamp,
            valid_to: entry.valid_to,
        });
        ControlFlow::Continue(())
    })?;
    Ok(page)
}
