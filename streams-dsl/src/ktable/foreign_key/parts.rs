//! What the nodes of one foreign-key join have in common.

use std::sync::Arc;

use state_stores::{Stores, TimestampedKeyValueStore};
use streams_core::record::Data;
use streams_core::state::StoreBuilder;

use super::wire::{CombinedKey, CombinedKeySerde, Subscription, SubscriptionSerde};
use crate::options::SharedSerde;

/// Which foreign key a row refers to.
pub(super) type Extract<K, V, FK> = Arc<dyn Fn(&K, &V) -> Option<FK> + Send + Sync>;

/// A row of the result.
pub(super) type Joiner<V, FV, R> = Arc<dyn Fn(&V, Option<&FV>) -> Option<R> + Send + Sync>;

/// Who is interested in what.
pub(super) type SubscriptionStore<FK, K> = TimestampedKeyValueStore<CombinedKey<FK, K>, Subscription<K>>;

/// The settings of a join.
pub(super) struct Parts<K, V, FK, FV, R> {
    pub(super) keys: SharedSerde<K>,
    pub(super) values: SharedSerde<V>,
    pub(super) foreign_keys: SharedSerde<FK>,
    pub(super) foreign_values: SharedSerde<FV>,
    pub(super) extract: Extract<K, V, FK>,
    pub(super) joiner: Joiner<V, FV, R>,
    /// Whether rows without a partner are kept.
    pub(super) left: bool,
}

impl<K: Data, V: Data, FK: Data, FV: Data, R: Data> Parts<K, V, FK, FV, R> {
    /// How the keys of the subscriptions' store are written.
    pub(super) fn combined_keys(&self) -> CombinedKeySerde<FK, K> {
        CombinedKeySerde { foreign: Arc::clone(&self.foreign_keys), primary: Arc::clone(&self.keys) }
    }

    /// How subscriptions are written.
    pub(super) fn subscriptions(&self) -> SharedSerde<Subscription<K>> {
        Arc::new(SubscriptionSerde(Arc::clone(&self.keys)))
    }

    /// The subscriptions' store.
    pub(super) fn store(&self, name: Arc<str>) -> Arc<dyn StoreBuilder> {
        let keys = Arc::new(self.combined_keys());
        Stores::timestamped_key_value(name, keys, self.subscriptions()).changelog_headers(true).build()
    }
}
