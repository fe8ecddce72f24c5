//! How two streams are joined.

use std::sync::Arc;

use streams_core::serdes::{DefaultSerde, Serde};
use streams_core::state::StateBackend;

use super::materialized::{Backend, StoreOptions};
use super::serde_choice::SerdeChoice;

/// How two streams are joined: serdes, names, and where the records that wait for partners lie.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let builder = StreamsBuilder::new();
/// let orders = builder.stream::<String, String>("orders");
/// let payments = builder.stream::<String, i64>("payments");
/// let minute = JoinWindows::of(Duration::from_secs(60)).no_grace();
/// let options = StreamJoined::with(Utf8, Utf8, BigEndian).store_name("paid").in_memory();
/// orders.join(payments.within(minute).with(options), |order, amount| format!("{order}: {amount}")).to("paid-orders");
/// let described = builder.build()?.describe();
/// assert!(described.contains("stores: [paid-this-join-store]"));
/// # Ok::<(), TopologyError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct StreamJoined<K, L, R> {
    pub(crate) key_serde: SerdeChoice<K>,
    pub(crate) left_serde: SerdeChoice<L>,
    pub(crate) right_serde: SerdeChoice<R>,
    pub(crate) name: Option<String>,
    pub(crate) store_name: Option<String>,
    pub(crate) stores: StoreOptions,
}

impl<K: 'static, L: 'static, R: 'static> StreamJoined<K, L, R> {
    /// With the serdes that came with the streams, else the types' own.
    pub fn new() -> Self
    where
        K: DefaultSerde,
        L: DefaultSerde,
        R: DefaultSerde,
    {
        StreamJoined::from_choices(SerdeChoice::of_type(), SerdeChoice::of_type(), SerdeChoice::of_type())
    }

    /// With these serdes: of keys, of the left stream's values, of the right stream's.
    pub fn with(key_serde: impl Serde<K>, left_serde: impl Serde<L>, right_serde: impl Serde<R>) -> Self {
        StreamJoined::from_choices(
            SerdeChoice::named(key_serde),
            SerdeChoice::named(left_serde),
            SerdeChoice::named(right_serde),
        )
    }

    /// Names the join's nodes and repartition topics, but not its stores. Most often `.named(..)` behind the join is
    /// what you want: it names all of them.
    pub fn name(self, name: impl Into<String>) -> Self {
        StreamJoined { name: Some(name.into()), ..self }
    }

    /// Names the join's stores, and so their changelogs, whatever its nodes are called.
    pub fn store_name(self, name: impl Into<String>) -> Self {
        StreamJoined { store_name: Some(name.into()), ..self }
    }

    /// Whether changes of the stores go to changelog topics, from which they are restored; they do by default.
    pub fn logging(mut self, logging: bool) -> Self {
        self.stores.logging = logging;
        self
    }

    /// Sets a topic setting of the changelogs, for instance `min.insync.replicas`.
    pub fn changelog_setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.stores.changelog.insert(name.into(), value.into());
        self
    }

    /// Keeps the stores in memory: they are restored from their changelogs at each start.
    pub fn in_memory(mut self) -> Self {
        self.stores.backend = Backend::InMemory;
        self
    }

    /// Keeps the stores in a backend of your own.
    pub fn backend(mut self, backend: Arc<dyn StateBackend>) -> Self {
        self.stores.backend = Backend::Custom(backend);
        self
    }

    fn from_choices(
        key_serde: SerdeChoice<K>,
        left_serde: SerdeChoice<L>,
        right_serde: SerdeChoice<R>,
    ) -> Self {
        // What a join keeps is never cached: a record that is held back would be missed by its partner.
        let stores = StoreOptions { caching: false, ..StoreOptions::default() };
        StreamJoined { key_serde, left_serde, right_serde, name: None, store_name: None, stores }
    }
}

impl<K, L, R> Default for StreamJoined<K, L, R>
where
    K: DefaultSerde + 'static,
    L: DefaultSerde + 'static,
    R: DefaultSerde + 'static,
{
    fn default() -> Self {
        StreamJoined::new()
    }
}
