//! Queries of versioned stores.

use std::future::Future;

use streams_core::query::{Answer, QueryError, QueryableStore};
use streams_core::{Data, Timestamp};

use crate::versioned::{VersionedKeyValueStore, VersionedRecord};

/// What a versioned store of a running application can be asked (Kafka's `VersionedKeyQuery` and
/// `MultiVersionedKeyQuery`).
pub trait QueryVersioned<K, V> {
    /// The latest version of a key.
    ///
    /// # Errors
    /// When the key's partition is not here, or not as the options want it: [`QueryError`] says who has it.
    fn get(
        &self,
        key: &K,
    ) -> impl Future<Output = Result<Answer<Option<VersionedRecord<V>>>, QueryError>> + Send;

    /// The version of a key that held at a moment.
    ///
    /// # Errors
    /// As [`QueryVersioned::get`].
    fn get_as_of(
        &self,
        key: &K,
        at: Timestamp,
    ) -> impl Future<Output = Result<Answer<Option<VersionedRecord<V>>>, QueryError>> + Send;

    /// The versions of a key that held at some moment between two, both included, the latest first.
    ///
    /// # Errors
    /// As [`QueryVersioned::get`].
    fn versions(
        &self,
        key: &K,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Future<Output = Result<Answer<Vec<VersionedRecord<V>>>, QueryError>> + Send;
}

impl<K: Data + Sync, V: Data> QueryVersioned<K, V> for QueryableStore<VersionedKeyValueStore<K, V>> {
    async fn get(&self, key: &K) -> Result<Answer<Option<VersionedRecord<V>>>, QueryError> {
        let wanted = key.clone();
        self.read_at(key, move |store| store.get(&wanted)).await
    }

    async fn get_as_of(
        &self,
        key: &K,
        at: Timestamp,
    ) -> Result<Answer<Option<VersionedRecord<V>>>, QueryError> {
        let wanted = key.clone();
        self.read_at(key, move |store| store.get_as_of(&wanted, at)).await
    }

    async fn versions(
        &self,
        key: &K,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Answer<Vec<VersionedRecord<V>>>, QueryError> {
        let wanted = key.clone();
        self.read_at(key, move |store| store.versions(&wanted, from, to)).await
    }
}
