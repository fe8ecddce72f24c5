//! Queries of window stores.

use std::future::Future;

use streams_core::query::{Answer, QueryError, QueryableStore};
use streams_core::{Data, Timestamp};

use crate::window::WindowStore;
use crate::windowed::Windowed;

type Entries<K, T> = Vec<(Windowed<K>, T)>;

/// What a window store of a running application can be asked (Kafka's `WindowKeyQuery` and `WindowRangeQuery`).
///
/// ```no_run
/// use state_stores::{QueryWindow, TimestampedWindowStore};
/// use streams_core::Timestamp;
///
/// # async fn look(streams: &streams_core::StreamsHandle) -> Result<(), streams_core::query::QueryError> {
/// let demand = streams.store::<TimestampedWindowStore<String, i64>>("demand")?;
/// let zone = "harbour".to_owned();
/// let answer = demand.windows(&zone, Timestamp::ZERO, Timestamp::MAX, 10).await?;
/// println!("{:?}", answer.value);
/// # Ok(())
/// # }
/// ```
pub trait QueryWindow<K, T> {
    /// The value of a key in the window that begins at `start`.
    ///
    /// # Errors
    /// When the key's partition is not here, or not as the options want it: [`QueryError`] says who has it.
    fn fetch(
        &self,
        key: &K,
        start: Timestamp,
    ) -> impl Future<Output = Result<Answer<Option<T>>, QueryError>> + Send;

    /// The first `limit` windows of a key that begin between two times, both included, by time.
    ///
    /// # Errors
    /// As [`QueryWindow::fetch`].
    fn windows(
        &self,
        key: &K,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Answer<Entries<K, T>>, QueryError>> + Send;

    /// The first `limit` windows of all keys that begin between two times, of each partition that this instance has.
    ///
    /// # Errors
    /// When one of the partitions cannot be read.
    fn all_between(
        &self,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Answer<Entries<K, T>>>, QueryError>> + Send;
}

impl<K: Data + Sync, T: Data> QueryWindow<K, T> for QueryableStore<WindowStore<K, T>> {
    async fn fetch(&self, key: &K, start: Timestamp) -> Result<Answer<Option<T>>, QueryError> {
        let wanted = key.clone();
        self.read_at(key, move |store| store.fetch(&wanted, start)).await
    }

    async fn windows(
        &self,
        key: &K,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Answer<Entries<K, T>>, QueryError> {
        let wanted = key.clone();
        self.read_at(key, move |store| store.fetch_between(&wanted, from, to)?.take(limit).collect()).await
    }

    async fn all_between(
        &self,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<Answer<Entries<K, T>>>, QueryError> {
        self.read_local(move |store| store.fetch_range(.., from, to)?.take(limit).collect()).await
    }
}
