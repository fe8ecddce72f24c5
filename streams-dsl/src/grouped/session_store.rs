//! The store of a table of sessions, as the plan and as a task know it.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use state_stores::{SessionStore, SessionWindowed, Stores, ValueAndTimestamp, Windowed};
use streams_core::processor::{InitContext, NodeContext, ProcessorError, StoreHandle};
use streams_core::record::Data;
use streams_core::state::StoreBuilder;
use streams_core::topology::ProcessorSpec;

use super::aggregation::{Aggregation, Fold};
use super::session_aggregation;
use super::window_store::{has_a_store, never_versioned};
use crate::ktable::{Getter, Lookup, TableLogic, TableStore, View};
use crate::options::{Materialized, SharedSerde, StoreOptions};
use crate::plan::Lowering;
use crate::windows::{EmitStrategy, SessionWindows};

/// Makes one aggregate of two sessions': key, what was merged so far, the next session's.
pub(super) type Merge<K, A> = Arc<dyn Fn(&K, Option<A>, A) -> A + Send + Sync>;

/// What the plan knows of a session store.
pub(crate) struct SessionTableStore<K, V> {
    pub(crate) name: Arc<str>,
    pub(crate) keys: SharedSerde<K>,
    pub(crate) values: SharedSerde<V>,
    pub(crate) retention: Duration,
    /// Whether sessions are at hand by their end, to leave when they are closed.
    pub(crate) time_ordered: bool,
    pub(crate) options: StoreOptions,
}

impl<K, V> Clone for SessionTableStore<K, V> {
    fn clone(&self) -> Self {
        SessionTableStore {
            name: Arc::clone(&self.name),
            keys: Arc::clone(&self.keys),
            values: Arc::clone(&self.values),
            options: self.options.clone(),
            ..*self
        }
    }
}

impl<K: Data, V: Data> SessionTableStore<K, V> {
    /// The store as the topology takes it.
    pub(crate) fn builder(&self) -> Arc<dyn StoreBuilder> {
        let (keys, values) = (Arc::clone(&self.keys), Arc::clone(&self.values));
        let builder = Stores::session(Arc::clone(&self.name), self.retention, keys, values);
        self.options.apply(builder.time_ordered(self.time_ordered)).build()
    }

    /// The store as a task has it.
    pub(crate) fn open(&self, context: &InitContext<'_>) -> Result<SessionHandle<K, V>, ProcessorError> {
        context.store(&self.name)
    }
}

/// A session store within a task.
pub(crate) type SessionHandle<K, V> = StoreHandle<SessionStore<K, V>>;

/// The plan's side of an aggregation over sessions.
pub(crate) struct SessionTable<K, A> {
    pub(crate) store: SessionTableStore<K, A>,
    pub(crate) windows: SessionWindows,
    pub(crate) emit: EmitStrategy,
    pub(super) merge: Merge<K, A>,
    pub(crate) send_old: Cell<bool>,
}

impl<K: Data, A: Data> SessionTable<K, A> {
    /// A table of these sessions, kept as `materialized` says; `keys` is the serde that came with the stream.
    pub(super) fn new(
        store_name: &str,
        windows: SessionWindows,
        emit: EmitStrategy,
        merge: Merge<K, A>,
        materialized: Materialized<K, A>,
        keys: Option<&SharedSerde<K>>,
    ) -> Self {
        let mut options = materialized.settings;
        options.caching &= emit == EmitStrategy::OnWindowUpdate;
        let store = SessionTableStore {
            name: store_name.into(),
            keys: materialized.key_serde.or_carried(keys),
            values: materialized.value_serde.or_carried(None),
            retention: options.retention.unwrap_or(least_retention(&windows)),
            time_ordered: emit == EmitStrategy::OnWindowClose,
            options,
        };
        SessionTable { store, windows, emit, merge, send_old: Cell::new(false) }
    }
}

/// How long sessions must be kept at least, behind the newest end.
fn least_retention(windows: &SessionWindows) -> Duration {
    windows.inactivity_gap().saturating_add(windows.grace())
}

impl<K: Data, A: Data> Aggregation<K, A> for SessionTable<K, A> {
    type Key = Windowed<K>;

    fn processor<V: Data>(&self, _inputs: &SharedSerde<V>, fold: Arc<impl Fold<K, V, A>>) -> ProcessorSpec {
        session_aggregation::processor(self, fold)
    }

    fn store_name(&self) -> &Arc<str> {
        &self.store.name
    }

    fn add_store(&self, lowering: &mut Lowering<'_>) {
        lowering.store(self.store.builder());
    }

    fn key_serde(&self) -> SharedSerde<Windowed<K>> {
        Arc::new(SessionWindowed(Arc::clone(&self.store.keys)))
    }

    fn value_serde(&self) -> SharedSerde<A> {
        Arc::clone(&self.store.values)
    }

    fn window_grace(&self) -> Option<Duration> {
        // Until then a record may still extend a session.
        Some(least_retention(&self.windows))
    }

    fn faults(&self) -> Vec<String> {
        let (name, retention, least) =
            (&self.store.name, self.store.retention, least_retention(&self.windows));
        let mut faults = never_versioned(name, &self.store.options);
        if let Err(fault) = self.windows.validate() {
            faults.push(format!("store `{name}`: {fault}"));
        }
        if retention < least {
            faults.push(format!(
                "store `{name}` keeps sessions for {retention:?}, which is less than their gap and grace, {least:?}"
            ));
        }
        faults
    }
}

impl<K: Data, A: Data> TableLogic<Windowed<K>, A> for SessionTable<K, A> {
    fn enable_old_values(&self, _force: bool) -> bool {
        // A final result is the only one of its session: there is none before it.
        self.send_old.set(self.emit == EmitStrategy::OnWindowUpdate);
        true
    }

    fn view(&self) -> View<Windowed<K>, A> {
        let store = self.store.clone();
        View {
            stores: vec![Arc::clone(&store.name)],
            make: Arc::new(move |context| Ok(Box::new(SessionView(store.open(context)?)))),
        }
    }

    fn materialize(&self, store: TableStore<Windowed<K>, A>) -> Result<(), String> {
        Err(has_a_store("an aggregation over sessions", &self.store.name, &store.name))
    }
}

struct SessionView<K, A>(SessionHandle<K, A>);

impl<K: Data, A: Data> Getter<Windowed<K>, A> for SessionView<K, A> {
    fn get(&mut self, key: &Windowed<K>, context: &mut NodeContext<'_>) -> Lookup<A> {
        let value = context.store_mut(self.0).fetch_session(&key.key, key.window)?;
        Ok(value.map(|value| ValueAndTimestamp { value, timestamp: key.window.end }))
    }
}
