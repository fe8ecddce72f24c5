//! Showing a typed entry in bytes, for browsing stores whose types are not known.

use streams_core::Timestamp;
use streams_core::serdes::Serde;
use streams_core::state::{StoreEntry, StoreError};

use super::Layers;
use crate::windowed::Window;

impl<T: Clone> Layers<T> {
    /// Shows an entry as [`StateStore::visit_entries`](streams_core::state::StateStore::visit_entries) has it.
    pub(crate) fn show<K: 'static>(
        &self,
        key_serde: &dyn Serde<K>,
        (key, window): (&K, Option<Window>),
        value: &T,
        visit: &mut dyn FnMut(StoreEntry<'_>),
    ) -> Result<(), StoreError> {
        let unwritable = |source| StoreError::Unwritable { store: self.settings.name.to_string(), source };
        let (mut key_bytes, mut local) = (Vec::new(), Vec::new());
        key_serde.serialize(key, &mut key_bytes).map_err(unwritable)?;
        self.format.write(value, &mut local).map_err(unwritable)?;
        let (time, value) = local.split_at(self.format.timestamp_len().min(local.len()));
        let timestamp = time.try_into().ok().map(|time| Timestamp::from_millis(i64::from_be_bytes(time)));
        let window = window.map(|window| (window.start, window.end));
        visit(StoreEntry { key: &key_bytes, window, value, timestamp, valid_to: None });
        Ok(())
    }
}
