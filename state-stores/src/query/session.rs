//! Queries of session stores.

use std::future::Future;

use streams_core::query::{Answer, QueryError, QueryableStore};
use streams_core::{Data, Timestamp};

use crate::session::SessionStore;
use crate::windowed::Windowed;

type Entries<K, T> = Vec<(Windowed<K>, T)>;

/// What a session store of a running application can be asked (Kafka's `WindowRangeQuery` with a key).
pub trait QuerySession<K, T> {
    /// The first `limit` sessions of a key that end at `earliest_end` or later and begin at `latest_start` or earlier,
    /// by end, then start.
    ///
    /// # Errors
    /// When the key's partition is not here, or not as the options want it: [`QueryError`] says who has it.
    fn sessions(
        &self,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Answer<Entries<K, T>>, QueryError>> + Send;

    /// The first `limit` sessions of all keys that end between two times, by end, of each partition that this instance
    /// has.
    ///
    /// # Errors
    /// When one of the partitions cannot be read.
    fn ended_between(
        &self,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Answer<Entries<K, T>>>, QueryError>> + Send;
}

impl<K: Data + Sync, T: Data> QuerySession<K, T> for QueryableStore<SessionStore<K, T>> {
    async fn sessions(
        &self,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
        limit: usize,
    ) -> Result<Answer<Entries<K, T>>, QueryError> {
        let wanted = key.clone();
        let read = move |store: &mut SessionStore<K, T>| {
            store.find_sessions(&wanted, earliest_end, latest_start)?.take(limit).collect()
        };
        self.read_at(key, read).await
    }

    async fn ended_between(
        &self,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<Answer<Entries<K, T>>>, QueryError> {
        self.read_local(move |store| store.ended_between(from, to)?.take(limit).collect()).await
    }
}
