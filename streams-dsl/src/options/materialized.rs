//! How a table is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use streams_core::serdes::{DefaultSerde, Serde};
use streams_core::state::StateBackend;

use super::serde_choice::{SerdeChoice, SharedSerde};

/// How a table is kept: the store's name, its serdes, where it lies, whether it is cached and logged.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let builder = StreamsBuilder::new();
/// let rides = builder.stream::<String, i64>("rides");
/// rides.group_by_key().count_with(Materialized::named("rides-by-zone").in_memory().caching(false));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Materialized<K, V> {
    pub(crate) name: Option<String>,
    pub(crate) key_serde: SerdeChoice<K>,
    pub(crate) value_serde: SerdeChoice<V>,
    pub(crate) settings: StoreOptions,
}

/// What a store may be told whatever its kind.
#[derive(Debug, Clone)]
pub(crate) struct StoreOptions {
    pub(crate) caching: bool,
    pub(crate) logging: bool,
    pub(crate) changelog: BTreeMap<String, String>,
    pub(crate) retention: Option<Duration>,
    pub(crate) history: Option<Duration>,
    pub(crate) backend: Backend,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            caching: true,
            logging: true,
            changelog: BTreeMap::new(),
            retention: None,
            history: None,
            backend: Backend::Persistent,
        }
    }
}

/// Where a store lies.
#[derive(Debug, Clone)]
pub(crate) enum Backend {
    Persistent,
    InMemory,
    Custom(Arc<dyn StateBackend>),
}

impl<K: 'static, V: 'static> Materialized<K, V> {
    /// A store with a generated name and the serdes that came with the stream, else the types' own.
    pub fn new() -> Self
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        Materialized::from_choices(None, SerdeChoice::of_type(), SerdeChoice::of_type())
    }

    /// A store with a name, under which it can be queried; its changelog is `<application>-<name>-changelog`.
    pub fn named(name: impl Into<String>) -> Self
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        Materialized { name: Some(name.into()), ..Materialized::new() }
    }

    /// A store with these serdes and a generated name.
    pub fn with(key_serde: impl Serde<K>, value_serde: impl Serde<V>) -> Self {
        Materialized::from_choices(None, SerdeChoice::named(key_serde), SerdeChoice::named(value_serde))
    }

    /// With this name.
    pub fn name(self, name: impl Into<String>) -> Self {
        Materialized { name: Some(name.into()), ..self }
    }

    /// With this key serde instead.
    pub fn key_serde(self, serde: impl Serde<K>) -> Self {
        Materialized { key_serde: SerdeChoice::named(serde), ..self }
    }

    /// With this value serde instead.
    pub fn value_serde(self, serde: impl Serde<V>) -> Self {
        Materialized { value_serde: SerdeChoice::named(serde), ..self }
    }

    /// Whether several changes of one key become one until the next commit; they do by default, as far as
    /// `statestore.cache.max.bytes` allows. Versioned tables are never cached.
    pub fn caching(mut self, caching: bool) -> Self {
        self.settings.caching = caching;
        self
    }

    /// Whether changes go to a changelog topic, from which the store is restored; they do by default.
    pub fn logging(mut self, logging: bool) -> Self {
        self.settings.logging = logging;
        self
    }

    /// Sets a topic setting of the changelog, for instance `min.insync.replicas`.
    pub fn changelog_setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.changelog.insert(name.into(), value.into());
        self
    }

    /// How long windows are kept, in event time behind their start; at least the window's size and grace, which is
    /// the default. It has a meaning for windowed tables only.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.settings.retention = Some(retention);
        self
    }

    /// Keeps former values for so long, in event time, so that stream-table joins find the one valid at their record's
    /// time (KIP-889). Late changes find their place among those that are kept; aggregations of this table and joins of
    /// it with another table pass over them, counted as dropped, and so are those older than `history`. The table is
    /// not cached and cannot be suppressed. Windowed and global tables have no versions: the topology is then not built.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let hour = Duration::from_secs(3_600);
    /// let rates = builder.table_with("rates", Consumed::new(), Materialized::named("rates").versioned(hour));
    /// let bills = builder.stream::<String, f64>("bills");
    /// bills.join(&rates, |bill, rate: &f64| bill * rate).to("in-euros");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let (rates, bills) = (driver.input_topic::<String, f64>("rates"), driver.input_topic::<String, f64>("bills"));
    /// let dollar = || "usd".to_owned();
    /// rates.pipe_at(&mut driver, dollar(), 0.75, 1_000)?;
    /// rates.pipe_at(&mut driver, dollar(), 0.5, 2_000)?;
    /// bills.pipe_at(&mut driver, dollar(), 8.0, 1_500)?;
    /// bills.pipe_at(&mut driver, dollar(), 8.0, 2_500)?;
    /// let in_euros = driver.output_topic::<String, f64>("in-euros");
    /// assert_eq!(in_euros.read_values(&mut driver)?, [6.0, 4.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn versioned(mut self, history: Duration) -> Self {
        self.settings.history = Some(history);
        self
    }

    /// Keeps the store in memory: it is restored from its changelog at each start.
    pub fn in_memory(mut self) -> Self {
        self.settings.backend = Backend::InMemory;
        self
    }

    /// Keeps the store in a backend of your own.
    pub fn backend(mut self, backend: Arc<dyn StateBackend>) -> Self {
        self.settings.backend = Backend::Custom(backend);
        self
    }

    /// Takes the serde that came with the stream, unless one is named here.
    pub(crate) fn inherit_value_serde(&mut self, carried: &SharedSerde<V>) {
        self.value_serde = SerdeChoice::Named(self.value_serde.or_carried(Some(carried)));
    }

    fn from_choices(name: Option<String>, key_serde: SerdeChoice<K>, value_serde: SerdeChoice<V>) -> Self {
        Materialized { name, key_serde, value_serde, settings: StoreOptions::default() }
    }
}

impl<K: DefaultSerde + 'static, V: DefaultSerde + 'static> Default for Materialized<K, V> {
    fn default() -> Self {
        Materialized::new()
    }
}
