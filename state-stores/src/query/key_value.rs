//! Queries of key-value stores.

use std::future::Future;
use std::ops::{Bound, RangeBounds};

use streams_core::Data;
use streams_core::query::{Answer, QueryError, QueryableStore};

use crate::key_value::KeyValueStore;

/// Entries of several partitions, each with what its answer stands for.
type Entries<K, T> = Vec<Answer<Vec<(K, T)>>>;

/// What a key-value store of a running application can be asked (Kafka's `KeyQuery` and `RangeQuery`).
///
/// ```no_run
/// use state_stores::{QueryKeyValue, TimestampedKeyValueStore};
///
/// # async fn look(streams: &streams_core::StreamsHandle) -> Result<(), streams_core::query::QueryError> {
/// let counts = streams.store::<TimestampedKeyValueStore<String, i64>>("counts")?;
/// let answer = counts.get(&"tea".to_owned()).await?;
/// println!("{:?}, as of {:?}", answer.value, answer.position);
/// for partition in counts.range("a".to_owned().."c".to_owned(), 100).await? {
///     println!("partition {}: {:?}", partition.partition, partition.value);
/// }
/// # Ok(())
/// # }
/// ```
pub trait QueryKeyValue<K, T> {
    /// The value of a key.
    ///
    /// # Errors
    /// When the key's partition is not here, or not as the options want it: [`QueryError`] says who has it.
    fn get(&self, key: &K) -> impl Future<Output = Result<Answer<Option<T>>, QueryError>> + Send;

    /// The entries with these keys, ascending, of each partition that this instance has: `limit` of each at most.
    ///
    /// # Errors
    /// When one of the partitions cannot be read.
    fn range(
        &self,
        keys: impl RangeBounds<K> + Send + Sync,
        limit: usize,
    ) -> impl Future<Output = Result<Entries<K, T>, QueryError>> + Send;

    /// The entries whose keys' bytes begin with `prefix`, as [`QueryKeyValue::range`].
    ///
    /// # Errors
    /// When one of the partitions cannot be read.
    fn prefix(
        &self,
        prefix: &[u8],
        limit: usize,
    ) -> impl Future<Output = Result<Entries<K, T>, QueryError>> + Send;

    /// All entries, as [`QueryKeyValue::range`].
    ///
    /// # Errors
    /// When one of the partitions cannot be read.
    fn all(&self, limit: usize) -> impl Future<Output = Result<Entries<K, T>, QueryError>> + Send;

    /// About how many entries there are in the partitions that this instance has.
    ///
    /// # Errors
    /// When one of the partitions cannot be read.
    fn approximate_len(&self) -> impl Future<Output = Result<u64, QueryError>> + Send;
}

impl<K: Data + Sync, T: Data> QueryKeyValue<K, T> for QueryableStore<KeyValueStore<K, T>> {
    async fn get(&self, key: &K) -> Result<Answer<Option<T>>, QueryError> {
        let wanted = key.clone();
        self.read_at(key, move |store| store.get(&wanted)).await
    }

    async fn range(
        &self,
        keys: impl RangeBounds<K> + Send + Sync,
        limit: usize,
    ) -> Result<Entries<K, T>, QueryError> {
        let bounds: (Bound<K>, Bound<K>) = (keys.start_bound().cloned(), keys.end_bound().cloned());
        self.read_local(move |store| store.range(bounds.clone())?.take(limit).collect()).await
    }

    async fn prefix(&self, prefix: &[u8], limit: usize) -> Result<Entries<K, T>, QueryError> {
        let prefix = prefix.to_vec();
        self.read_local(move |store| store.prefix_scan(&prefix)?.take(limit).collect()).await
    }

    async fn all(&self, limit: usize) -> Result<Entries<K, T>, QueryError> {
        self.range(.., limit).await
    }

    async fn approximate_len(&self) -> Result<u64, QueryError> {
        let counted =
            self.read_local(|store| Ok(streams_core::state::StateStore::approximate_len(store))).await?;
        Ok(counted.into_iter().map(|answer| answer.value).sum())
    }
}
