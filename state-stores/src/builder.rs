//! How a store is made for each task.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use streams_core::serdes::{JsonView, Serde, SerdeError};
use streams_core::state::{
    ChangelogConfig, CleanupPolicy, StateBackend, StateStore, StoreBuilder, StoreError, TaskDatabase,
};

use crate::backend::{InMemory, ReadOnly, RocksDb};
use crate::layers::LayerSettings;

/// The settings of a store that its kind does not decide.
#[derive(Debug, Clone)]
pub(crate) struct StoreSettings {
    pub(crate) layers: LayerSettings,
    pub(crate) keep_old_values: bool,
    /// In memory, old windows are refused as soon as they are hidden, not with their whole segment, as in Kafka.
    pub(crate) in_memory: bool,
    pub(crate) retain_duplicates: bool,
    /// Windows of all keys are read by time: for results that leave when their windows are closed.
    pub(crate) time_ordered: bool,
}

/// A key's bytes; none where it is of another type.
type WriteKey = dyn Fn(&dyn Any) -> Option<Result<Vec<u8>, SerdeError>> + Send + Sync;

type Make<S> = dyn Fn(&StoreSettings, Arc<dyn TaskDatabase>) -> Result<S, StoreError> + Send + Sync;

/// Settings of a store; [`Stores`](crate::Stores) makes one for each kind.
///
/// Unless told otherwise a store is on RocksDB, writes a changelog, and holds no changes back.
#[must_use = "a builder makes stores only once it is part of a topology"]
pub struct Builder<S> {
    settings: StoreSettings,
    cleanup: CleanupPolicy,
    topic_settings: BTreeMap<String, String>,
    backend: Option<Arc<dyn StateBackend>>,
    make: Arc<Make<S>>,
    write_key: Option<Arc<WriteKey>>,
    views: Option<(JsonView, JsonView)>,
}

impl<S: StateStore> Builder<S> {
    pub(crate) fn new(
        name: impl Into<Arc<str>>,
        cleanup: CleanupPolicy,
        make: impl Fn(&StoreSettings, Arc<dyn TaskDatabase>) -> Result<S, StoreError> + Send + Sync + 'static,
    ) -> Self {
        let layers = LayerSettings {
            name: name.into(),
            logging: true,
            changelog_headers: false,
            caching: false,
            cache_bytes: None,
        };
        Builder {
            settings: StoreSettings {
                layers,
                keep_old_values: false,
                in_memory: false,
                retain_duplicates: false,
                time_ordered: false,
            },
            cleanup,
            topic_settings: BTreeMap::new(),
            backend: None,
            make: Arc::new(make),
            write_key: None,
            views: None,
        }
    }

    /// Tells queries how keys and values are written.
    pub(crate) fn typed<K: 'static, V: 'static>(
        mut self,
        keys: Arc<dyn Serde<K>>,
        values: Arc<dyn Serde<V>>,
    ) -> Self {
        self.views = Some((JsonView::of(Arc::clone(&keys)), JsonView::of(values)));
        self.write_key = Some(Arc::new(move |key| {
            let mut bytes = Vec::new();
            let key = key.downcast_ref::<K>()?;
            let written = keys.serialize(key, &mut bytes);
            // As the sink of the repartition topic does it: all windows of a key share its partition.
            bytes.truncate(bytes.len().saturating_sub(keys.partition_suffix()));
            Some(written.map(|()| bytes))
        }));
        self
    }

    /// Keeps the store on RocksDB, which is the default.
    pub fn persistent(mut self) -> Self {
        self.backend = None;
        self.settings.in_memory = false;
        self
    }

    /// Keeps the store in memory: it is restored from its changelog after each start.
    pub fn in_memory(mut self) -> Self {
        self.backend = Some(Arc::new(InMemory));
        self.settings.in_memory = true;
        self
    }

    /// Keeps the store in databases of another kind.
    pub fn backend(mut self, backend: Arc<dyn StateBackend>) -> Self {
        self.settings.in_memory = !backend.persistent();
        self.backend = Some(backend);
        self
    }

    /// Whether changes go to a changelog topic, from which the store can be restored; they do by default.
    pub fn logging(mut self, on: bool) -> Self {
        self.settings.layers.logging = on;
        self
    }

    /// Whether changes are held back, several of one key becoming one, until the next commit or until the cache is
    /// full; they are not by default.
    pub fn caching(mut self, on: bool) -> Self {
        self.settings.layers.caching = on;
        self
    }

    /// How many bytes the store's cache may hold in one task; else it has its share of what all caches may hold.
    /// What is unchanged leaves when more are needed; changes ask for a flush when they take most of them. With 0
    /// there is no cache.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.settings.layers.cache_bytes = Some(bytes);
        self
    }

    /// Whether held-back changes carry the value before them.
    pub fn keep_old_values(mut self, keep: bool) -> Self {
        self.settings.keep_old_values = keep;
        self
    }

    /// Whether changelog records carry the headers of the record on whose behalf they are written; as in Kafka they
    /// do not, but for the stores of stream-stream joins and of foreign-key subscriptions.
    pub fn changelog_headers(mut self, on: bool) -> Self {
        self.settings.layers.changelog_headers = on;
        self
    }

    /// Sets a topic setting of the changelog, for instance `min.insync.replicas`; it overrides those chosen for it.
    pub fn changelog_setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.topic_settings.insert(name.into(), value.into());
        self
    }

    /// The settings as a topology takes them.
    pub fn build(self) -> Arc<dyn StoreBuilder> {
        Arc::new(self)
    }

    /// Makes the store itself, for tests and tools that use it without a topology.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn open(&self, database: Arc<dyn TaskDatabase>) -> Result<S, StoreError> {
        (self.make)(&self.settings, database)
    }

    /// The store as of the last commit, for reading only: what its task has not committed is not seen, and what is put
    /// there is lost. A view of a window store knows the segments that there were when it was opened.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn view(&self, database: Arc<dyn TaskDatabase>) -> Result<S, StoreError> {
        let mut settings = self.settings.clone();
        settings.layers.cache_bytes = Some(0);
        settings.layers.logging = false;
        (self.make)(&settings, Arc::new(ReadOnly(database)))
    }

    pub(crate) fn settings_mut(&mut self) -> &mut StoreSettings {
        &mut self.settings
    }
}

impl<S: StateStore> StoreBuilder for Builder<S> {
    fn name(&self) -> &str {
        &self.settings.layers.name
    }

    fn changelog(&self) -> Option<ChangelogConfig> {
        let overrides = self.topic_settings.clone();
        self.settings.layers.logging.then_some(ChangelogConfig { cleanup: self.cleanup, overrides })
    }

    fn backend(&self) -> Arc<dyn StateBackend> {
        match &self.backend {
            Some(backend) => Arc::clone(backend),
            None => RocksDb::of_process(),
        }
    }

    fn build(&self, database: Arc<dyn TaskDatabase>) -> Result<Box<dyn StateStore>, StoreError> {
        Ok(Box::new(self.open(database)?))
    }

    fn view(&self, database: Arc<dyn TaskDatabase>) -> Result<Box<dyn StateStore>, StoreError> {
        Ok(Box::new(Builder::view(self, database)?))
    }

    fn key_bytes(&self, key: &dyn Any) -> Option<Result<Vec<u8>, StoreError>> {
        let bytes = (self.write_key.as_ref()?)(key)?;
        let unwritable = |source| StoreError::Unwritable { store: self.name().to_owned(), source };
        Some(bytes.map_err(unwritable))
    }

    fn views(&self) -> Option<(JsonView, JsonView)> {
        self.views.clone()
    }
}

impl<S> Clone for Builder<S> {
    fn clone(&self) -> Self {
        Builder {
            settings: self.settings.clone(),
            cleanup: self.cleanup,
            topic_settings: self.topic_settings.clone(),
            backend: self.backend.clone(),
            make: Arc::clone(&self.make),
            write_key: self.write_key.clone(),
            views: self.views.clone(),
        }
    }
}

impl<S> fmt::Debug for Builder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("settings", &self.settings)
            .field("cleanup", &self.cleanup)
            .finish_non_exhaustive()
    }
}
