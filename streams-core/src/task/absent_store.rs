//! What stands in a graph for a store that is lent out.

use std::sync::Arc;

use crate::processor::RecordArena;
use crate::state::{ChangelogRecord, StateStore, StoreError, TaskDatabase, WriteBatch};

/// Holds the place of a global store between two batches, while the store itself lies where other tasks read it. It
/// has no data and nobody reaches it: nodes run only during a batch.
#[derive(Debug)]
pub(super) struct AbsentStore {
    name: String,
    database: Arc<dyn TaskDatabase>,
}

impl AbsentStore {
    pub(super) fn of(store: &dyn StateStore) -> Box<dyn StateStore> {
        Box::new(AbsentStore { name: store.name().to_owned(), database: Arc::clone(store.database()) })
    }
}

impl StateStore for AbsentStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn take_changelog(&mut self, _into: &mut RecordArena) {}

    fn uncommitted_bytes(&self) -> usize {
        0
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn stage(&mut self, _batch: &mut WriteBatch) -> Result<(), StoreError> {
        Ok(())
    }

    fn retire(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn restore(
        &mut self,
        _records: &mut dyn Iterator<Item = ChangelogRecord<'_>>,
        _batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    fn database(&self) -> &Arc<dyn TaskDatabase> {
        &self.database
    }
}
