//! What everyone may see of a running application.

use std::sync::Arc;

use tokio::sync::watch;
use uuid::Uuid;

use crate::membership::InstanceMetadata;
use crate::query::{
    Answer, KeyMetadata, Page, Queries, QueryError, QueryOptions, QueryableStore, StoreMetadata, read_page,
};
use crate::runtime::{StatusBoard, StreamsState, StreamsStatus};
use crate::serdes::JsonView;
use crate::state::{StateStore, StoreScan};
use crate::topology::Topology;

/// Looks at a running application: state, status, stores, metadata. Clones look at the same one; it may outlive the
/// application, whose stores then answer that it does not run.
#[derive(Debug, Clone)]
pub struct StreamsHandle {
    application_id: Arc<str>,
    topology: Arc<Topology>,
    state: watch::Receiver<StreamsState>,
    status: StatusBoard,
    queries: Arc<Queries>,
}

impl StreamsHandle {
    pub(crate) fn new(
        application_id: Arc<str>,
        topology: Arc<Topology>,
        state: watch::Receiver<StreamsState>,
        status: StatusBoard,
        queries: Arc<Queries>,
    ) -> Self {
        StreamsHandle { application_id, topology, state, status, queries }
    }

    /// `application.id`.
    pub fn application_id(&self) -> &str {
        &self.application_id
    }

    /// The topology that it runs.
    pub fn topology(&self) -> &Arc<Topology> {
        &self.topology
    }

    /// This instance's process, as [`InstanceMetadata::process_id`] names it.
    pub fn process_id(&self) -> Uuid {
        self.queries.process_id
    }

    /// The state at this moment.
    pub fn state(&self) -> StreamsState {
        *self.state.borrow()
    }

    /// A channel that shows the state and its changes.
    pub fn watch_state(&self) -> watch::Receiver<StreamsState> {
        self.state.clone()
    }

    /// Its tasks and how far each is.
    pub fn status(&self) -> StreamsStatus {
        self.status.snapshot()
    }

    /// All instances of the application, as of the latest assignment (Kafka's `metadataForAllStreamsClients`).
    pub fn instances(&self) -> Vec<InstanceMetadata> {
        self.status.instances()
    }

    /// The stores of the topology, global ones included.
    pub fn stores(&self) -> Vec<StoreMetadata> {
        self.queries.stores()
    }

    /// A store, to be read while its tasks run. `S` is the type that the topology has it as, for instance
    /// `TimestampedKeyValueStore<String, i64>` for a count; a wrong one is told by the first read.
    ///
    /// # Errors
    /// When the topology has no store of this name.
    pub fn store<S: StateStore>(&self, name: &str) -> Result<QueryableStore<S>, QueryError> {
        Ok(QueryableStore::new(Arc::clone(&self.queries), self.queries.place(name)?))
    }

    /// How the bytes of a store's keys and values look as JSON, where it tells.
    ///
    /// # Errors
    /// When the topology has no store of this name.
    pub fn views(&self, store: &str) -> Result<Option<(JsonView, JsonView)>, QueryError> {
        Ok(self.queries.place(store)?.builder().views())
    }

    /// The partition of a key, given by its bytes, by the default partitioner.
    ///
    /// # Errors
    /// When the topology has no store of this name, or its topics are not known yet.
    pub fn partition_of(&self, store: &str, key: &[u8]) -> Result<u32, QueryError> {
        self.queries.partition_of(&self.queries.place(store)?, key)
    }

    /// Some entries of one partition of a store, in bytes, for those who do not know its types: `limit` entries at most,
    /// and about `max_bytes`.
    ///
    /// # Errors
    /// When the partition is not here, or not as the options want it: see [`QueryError`].
    pub async fn scan(
        &self,
        store: &str,
        partition: u32,
        scan: StoreScan,
        (limit, max_bytes): (usize, usize),
        options: &QueryOptions,
    ) -> Result<Answer<Page>, QueryError> {
        let place = self.queries.place(store)?;
        let read = move |store: &mut dyn StateStore| read_page(store, &scan, limit, max_bytes);
        self.queries.read(&place, partition, options, read).await
    }

    /// Who has a partition of a store (Kafka's `queryMetadataForKey` after the key's partition is known).
    ///
    /// # Errors
    /// When the topology has no store of this name.
    pub fn owners(&self, store: &str, partition: u32) -> Result<KeyMetadata, QueryError> {
        Ok(self.queries.owners(&self.queries.place(store)?, partition))
    }
}
