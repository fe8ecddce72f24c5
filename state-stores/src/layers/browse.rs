//! Showing typed entries in bytes, for browsing stores whose types are not known.

use std::ops::ControlFlow;

use streams_core::Timestamp;
use streams_core::state::{StoreEntry, StoreError};

use super::Layers;
use crate::windowed::Window;

impl<T: Clone> Layers<T> {
    /// Shows an entry as [`StateStore::scan_entries`](streams_core::state::StateStore::scan_entries) has it.
    pub(crate) fn show(
        &self,
        (key, window): (&[u8], Option<Window>),
        value: &T,
        visit: &mut dyn FnMut(StoreEntry<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let unwritable = |source| StoreError::Unwritable { store: self.settings.name.to_string(), source };
        let mut local = Vec::new();
        self.format.write(value, &mut local).map_err(unwritable)?;
        let (time, value) = local.split_at(self.format.timestamp_len().min(local.len()));
        let timestamp = time.try_into().ok().map(|time| Timestamp::from_millis(i64::from_be_bytes(time)));
        let window = window.map(|window| (window.start, window.end));
        Ok(visit(StoreEntry { key, window, value, timestamp, valid_to: None }))
    }
}
