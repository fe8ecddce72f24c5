//! What the nodes of one windowed join have in common.

use std::sync::Arc;
use std::time::Duration;

use state_stores::{JoinBuffer, Stores, WaitingTime, WindowStore};
use streams_core::record::Data;
use streams_core::state::StoreBuilder;

use super::super::join::{JoinKind, Joiner};
use super::names::JoinNames;
use crate::options::{SharedSerde, StoreOptions};
use crate::plan::Lowering;
use crate::windows::JoinWindows;

/// A side's store: every record of the last while, several of one key and time included.
pub(super) type SideStore<K, V> = WindowStore<K, V>;

/// The store of records that wait for a partner.
pub(super) type Buffer<K, L, R> = JoinBuffer<K, L, R>;

/// The settings of a join.
pub(super) struct Parts<K, L, R, O> {
    pub(super) names: JoinNames,
    pub(super) options: StoreOptions,
    pub(super) windows: JoinWindows,
    pub(super) keys: SharedSerde<K>,
    pub(super) left: SharedSerde<L>,
    pub(super) right: SharedSerde<R>,
    pub(super) joiner: Arc<Joiner<K, L, R, O>>,
    pub(super) kind: JoinKind,
}

impl<K: Data, L: Data, R: Data, O: Data> Parts<K, L, R, O> {
    /// How long a side's records are kept, in ms: as long as one of the other side may still look for them.
    pub(super) fn retention_ms(&self) -> i64 {
        self.windows.size_ms().max(0).saturating_add(self.windows.grace_ms())
    }

    /// How long records wait for a partner.
    pub(super) fn waiting_time(&self) -> WaitingTime {
        let grace = self.windows.grace_ms();
        WaitingTime {
            left_ms: self.windows.after_ms().saturating_add(grace),
            right_ms: self.windows.before_ms().saturating_add(grace),
        }
    }

    /// Whether there are records that wait for a partner.
    pub(super) fn has_buffer(&self) -> bool {
        self.kind != JoinKind::Inner
    }

    /// The store of one side.
    pub(super) fn side_store<V: Data>(
        &self,
        name: Arc<str>,
        values: &SharedSerde<V>,
    ) -> Arc<dyn StoreBuilder> {
        let size = millis(self.windows.size_ms());
        let (keys, values) = (Arc::clone(&self.keys), Arc::clone(values));
        let store = Stores::window(name, size, millis(self.retention_ms()), keys, values);
        self.options.apply(store.retain_duplicates().changelog_headers(true)).build()
    }

    /// Adds the store of waiting records to the node that is being lowered.
    pub(super) fn add_buffer(&self, lowering: &mut Lowering<'_>) {
        if self.has_buffer() {
            let name = lowering.resolve(&self.names.buffer);
            let (keys, left, right) = (&self.keys, &self.left, &self.right);
            let store = Stores::join_buffer(name, Arc::clone(keys), Arc::clone(left), Arc::clone(right));
            lowering.store(self.options.apply(store).build());
        }
    }
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(millis.max(0).unsigned_abs())
}
