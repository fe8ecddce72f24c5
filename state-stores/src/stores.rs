//! Every kind of store by name.

use std::sync::Arc;
use std::time::Duration;

use streams_core::serdes::Serde;
use streams_core::state::CleanupPolicy;
use streams_core::{Data, duration_millis};

use crate::builder::Builder;
use crate::change_buffer::ChangeBuffer;
use crate::join_buffer::{JoinBuffer, WaitingValuesSerde};
use crate::key_value::{KeyValueStore, TimestampedKeyValueStore};
use crate::layers::{Plain, Timestamped};
use crate::record_buffer::RecordBuffer;
use crate::session::SessionStore;
use crate::versioned::VersionedKeyValueStore;
use crate::window::{TimestampedWindowStore, WindowStore};

/// Names each kind of store.
///
/// ```
/// use std::sync::Arc;
/// use state_stores::Stores;
/// use streams_core::serdes::{BigEndian, Utf8};
///
/// let counts = Stores::timestamped_key_value::<String, i64>("counts", Arc::new(Utf8), Arc::new(BigEndian))
///     .in_memory()
///     .caching(true)
///     .build();
/// assert_eq!(counts.name(), "counts");
/// ```
#[derive(Debug)]
pub struct Stores;

impl Stores {
    /// Values by key.
    pub fn key_value<K: 'static, V: Data>(
        name: impl Into<Arc<str>>,
        key_serde: Arc<dyn Serde<K>>,
        value_serde: Arc<dyn Serde<V>>,
    ) -> Builder<KeyValueStore<K, V>> {
        let (keys, values) = (Arc::clone(&key_serde), Arc::clone(&value_serde));
        Builder::new(name, CleanupPolicy::Compact, move |settings, database| {
            let format = Box::new(Plain(Arc::clone(&value_serde)));
            KeyValueStore::open(settings, Arc::clone(&key_serde), format, database)
        })
        .typed(keys, values)
    }

    /// Values with their event times by key: what tables are made of.
    pub fn timestamped_key_value<K: 'static, V: Data>(
        name: impl Into<Arc<str>>,
        key_serde: Arc<dyn Serde<K>>,
        value_serde: Arc<dyn Serde<V>>,
    ) -> Builder<TimestampedKeyValueStore<K, V>> {
        let (keys, values) = (Arc::clone(&key_serde), Arc::clone(&value_serde));
        Builder::new(name, CleanupPolicy::Compact, move |settings, database| {
            let format = Box::new(Timestamped(Arc::clone(&value_serde)));
            KeyValueStore::open(settings, Arc::clone(&key_serde), format, database)
        })
        .typed(keys, values)
    }

    /// Values by key and window; windows are `size` long, and are kept until stream time is `retention` past their
    /// start.
    pub fn window<K: 'static, V: Data>(
        name: impl Into<Arc<str>>,
        size: Duration,
        retention: Duration,
        key_serde: Arc<dyn Serde<K>>,
        value_serde: Arc<dyn Serde<V>>,
    ) -> Builder<WindowStore<K, V>> {
        let (keys, values) = (Arc::clone(&key_serde), Arc::clone(&value_serde));
        Builder::new(name, delete_after(retention), move |settings, database| {
            let format = Box::new(Plain(Arc::clone(&value_serde)));
            WindowStore::open(settings, size, retention, Arc::clone(&key_serde), format, database)
        })
        .typed(keys, values)
    }

    /// Values with their event times by key and window: what windowed tables are made of. See [`Stores::window`].
    pub fn timestamped_window<K: 'static, V: Data>(
        name: impl Into<Arc<str>>,
        size: Duration,
        retention: Duration,
        key_serde: Arc<dyn Serde<K>>,
        value_serde: Arc<dyn Serde<V>>,
    ) -> Builder<TimestampedWindowStore<K, V>> {
        let (keys, values) = (Arc::clone(&key_serde), Arc::clone(&value_serde));
        Builder::new(name, delete_after(retention), move |settings, database| {
            let format = Box::new(Timestamped(Arc::clone(&value_serde)));
            WindowStore::open(settings, size, retention, Arc::clone(&key_serde), format, database)
        })
        .typed(keys, values)
    }

    /// Records of a left or outer stream-stream join that wait for a partner, by time.
    pub fn join_buffer<K: 'static, L: Data, R: Data>(
        name: impl Into<Arc<str>>,
        key_serde: Arc<dyn Serde<K>>,
        left_serde: Arc<dyn Serde<L>>,
        right_serde: Arc<dyn Serde<R>>,
    ) -> Builder<JoinBuffer<K, L, R>> {
        let values = Arc::new(WaitingValuesSerde { left: left_serde, right: right_serde });
        Builder::new(name, CleanupPolicy::Compact, move |settings, database| {
            JoinBuffer::open(settings, Arc::clone(&key_serde), Arc::clone(&values), database)
        })
    }

    /// The latest changes of a table's rows that wait to be sent on, by time.
    pub fn change_buffer<K: 'static, V: Data>(
        name: impl Into<Arc<str>>,
        key_serde: Arc<dyn Serde<K>>,
        value_serde: Arc<dyn Serde<V>>,
    ) -> Builder<ChangeBuffer<K, V>> {
        Builder::new(name, CleanupPolicy::Compact, move |settings, database| {
            ChangeBuffer::open(settings, Arc::clone(&key_serde), Arc::clone(&value_serde), database)
        })
    }

    /// Records of a stream that wait for the changes of a table, by time, until the largest time is past theirs by
    /// `grace`.
    pub fn record_buffer<K: 'static, V: Data>(
        name: impl Into<Arc<str>>,
        grace: Duration,
        key_serde: Arc<dyn Serde<K>>,
        value_serde: Arc<dyn Serde<V>>,
    ) -> Builder<RecordBuffer<K, V>> {
        Builder::new(name, CleanupPolicy::Compact, move |settings, database| {
            RecordBuffer::open(settings, grace, Arc::clone(&key_serde), Arc::clone(&value_serde), database)
        })
    }

    /// Values by key and session, kept until stream time is `retention` past the session's end.
    pub fn session<K: 'static, V: Data>(
        name: impl Into<Arc<str>>,
        retention: Duration,
        key_serde: Arc<dyn Serde<K>>,
        value_serde: Arc<dyn Serde<V>>,
    ) -> Builder<SessionStore<K, V>> {
        let (keys, values) = (Arc::clone(&key_serde), Arc::clone(&value_serde));
        Builder::new(name, delete_after(retention), move |settings, database| {
            let format = Box::new(Plain(Arc::clone(&value_serde)));
            SessionStore::open(settings, retention, Arc::clone(&key_serde), format, database)
        })
        .typed(keys, values)
    }

    /// Values by key with their history, kept until stream time is `history` past the moment a version ceased to hold.
    pub fn versioned_key_value<K: 'static, V: Data>(
        name: impl Into<Arc<str>>,
        history: Duration,
        key_serde: Arc<dyn Serde<K>>,
        value_serde: Arc<dyn Serde<V>>,
    ) -> Builder<VersionedKeyValueStore<K, V>> {
        let cleanup = CleanupPolicy::CompactAfter { min_compaction_lag_ms: duration_millis(history) };
        let (keys, values) = (Arc::clone(&key_serde), Arc::clone(&value_serde));
        Builder::new(name, cleanup, move |settings, database| {
            let (key_serde, value_serde) = (Arc::clone(&key_serde), Arc::clone(&value_serde));
            VersionedKeyValueStore::open(settings, history, key_serde, value_serde, database)
        })
        .typed(keys, values)
    }
}

fn delete_after(retention: Duration) -> CleanupPolicy {
    CleanupPolicy::CompactAndDelete { retention_ms: duration_millis(retention) }
}
