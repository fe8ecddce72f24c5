//! The part of [`StateStore`](streams_core::state::StateStore) that is the same for all stores.

/// Implements `StateStore` for a store whose layers are in the field `layers`.
macro_rules! layered_state_store {
    () => {
        fn name(&self) -> &str {
            self.layers.name()
        }

        fn enter(&mut self, timestamp: streams_core::Timestamp, headers: &streams_core::Headers) {
            self.layers.enter(timestamp, headers);
        }

        fn flush(&mut self) -> Result<(), streams_core::state::StoreError> {
            self.layers.flush()
        }

        fn take_changelog(&mut self, into: &mut streams_core::processor::RecordArena) {
            self.layers.take_changelog(into);
        }

        fn uncommitted_bytes(&self) -> usize {
            self.layers.uncommitted_bytes()
        }

        fn cache_bytes(&self) -> usize {
            self.layers.cache_bytes()
        }

        fn set_cache_limit(&mut self, bytes: usize) {
            self.layers.set_cache_limit(bytes);
        }

        fn needs_flush(&self) -> bool {
            self.layers.needs_flush()
        }

        fn seal(&mut self) -> Result<(), streams_core::state::StoreError> {
            self.layers.seal()
        }

        fn stage(
            &mut self,
            batch: &mut streams_core::state::WriteBatch,
        ) -> Result<(), streams_core::state::StoreError> {
            self.layers.stage(batch)
        }

        fn retire(&mut self) -> Result<(), streams_core::state::StoreError> {
            self.layers.retire()
        }

        fn measure(&mut self, sensors: streams_core::state::StoreSensors) {
            self.layers.measure(sensors);
        }

        fn keyspaces(&self) -> Vec<streams_core::state::KeyspaceId> {
            self.layers.keyspaces()
        }

        fn database(&self) -> &std::sync::Arc<dyn streams_core::state::TaskDatabase> {
            self.layers.database()
        }

        fn approximate_len(&self) -> u64 {
            self.layers.approximate_len()
        }
    };
}

pub(crate) use layered_state_store;
