//! A store of a running application, to be read.

use std::any::type_name;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::error::QueryError;
use super::metadata::KeyMetadata;
use super::options::{Answer, Consistency, QueryOptions};
use super::queries::{Queries, StorePlace};
use crate::state::{Position, StateStore, StoreError};

/// A store of a running application: `S` is the type that the topology has it as.
///
/// The crate `state-stores` gives it the methods of each kind of store (`get`, `range`, `fetch`, …).
pub struct QueryableStore<S> {
    queries: Arc<Queries>,
    place: StorePlace,
    options: QueryOptions,
    store: PhantomData<fn() -> S>,
}

impl<S: StateStore> QueryableStore<S> {
    pub(crate) fn new(queries: Arc<Queries>, place: StorePlace) -> Self {
        QueryableStore { queries, place, options: QueryOptions::default(), store: PhantomData }
    }

    /// The same, its reads seeing uncommitted writes as well.
    #[must_use]
    pub fn latest(mut self) -> Self {
        self.options.consistency = Consistency::Latest;
        self
    }

    /// The same, standbys' copies answering as well where the task itself is not here.
    #[must_use]
    pub fn with_standbys(mut self) -> Self {
        self.options.standbys = true;
        self
    }

    /// The same, every answer containing at least what is before this position; a read waits `patience` for that.
    #[must_use]
    pub fn at_least(mut self, position: Position, patience: Duration) -> Self {
        (self.options.at_least, self.options.patience) = (position, patience);
        self
    }

    /// The same with these options.
    #[must_use]
    pub fn with_options(mut self, options: QueryOptions) -> Self {
        self.options = options;
        self
    }

    /// The store's name.
    pub fn name(&self) -> &str {
        self.place.name()
    }

    /// The partition of a key, by the default partitioner.
    ///
    /// # Errors
    /// When the key is of another type than the store's, cannot be written, or the topics are not known yet.
    pub fn partition_of<K: 'static>(&self, key: &K) -> Result<u32, QueryError> {
        let bytes = self.place.builder().key_bytes(key);
        let unfit = || QueryError::WrongKey { store: self.name().to_owned(), given: type_name::<K>() };
        self.queries.partition_of(&self.place, &bytes.ok_or_else(unfit)??)
    }

    /// Who has a key (Kafka's `queryMetadataForKey`).
    ///
    /// # Errors
    /// As [`QueryableStore::partition_of`].
    pub fn metadata_of<K: 'static>(&self, key: &K) -> Result<KeyMetadata, QueryError> {
        Ok(self.queries.owners(&self.place, self.partition_of(key)?))
    }

    /// Reads the partition of a key.
    ///
    /// # Errors
    /// Those of [`QueryableStore::partition_of`], and as [`QueryableStore::read_partition`].
    pub async fn read_at<K: 'static, R: Send + 'static>(
        &self,
        key: &K,
        read: impl FnOnce(&mut S) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<Answer<R>, QueryError> {
        let partition = self.partition_of(key)?;
        self.read_partition(partition, read).await
    }

    /// Reads one partition. What `read` would write is lost.
    ///
    /// # Errors
    /// When the partition is not here, or not as the options want it: see [`QueryError`].
    pub async fn read_partition<R: Send + 'static>(
        &self,
        partition: u32,
        read: impl FnOnce(&mut S) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<Answer<R>, QueryError> {
        let name: Arc<str> = self.name().into();
        let typed =
            move |store: &mut dyn StateStore| match (store as &mut dyn std::any::Any).downcast_mut::<S>() {
                Some(store) => Ok(read(store)?),
                None => Err(QueryError::WrongType { store: name.to_string(), expected: type_name::<S>() }),
            };
        self.queries.read(&self.place, partition, &self.options, typed).await
    }

    /// Reads all partitions that this instance has, in order; other instances have the others.
    ///
    /// # Errors
    /// As [`QueryableStore::read_partition`] of any of them: an answer is whole.
    pub async fn read_local<R: Send + 'static>(
        &self,
        read: impl Fn(&mut S) -> Result<R, StoreError> + Clone + Send + 'static,
    ) -> Result<Vec<Answer<R>>, QueryError> {
        let mut answers = Vec::new();
        for partition in self.queries.local_partitions(&self.place, self.options.standbys) {
            answers.push(self.read_partition(partition, read.clone()).await?);
        }
        Ok(answers)
    }
}

impl<S> Clone for QueryableStore<S> {
    fn clone(&self) -> Self {
        QueryableStore {
            queries: Arc::clone(&self.queries),
            place: self.place.clone(),
            options: self.options.clone(),
            store: PhantomData,
        }
    }
}

impl<S> std::fmt::Debug for QueryableStore<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryableStore")
            .field("store", &self.place.name())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
