//! The store of a windowed table, as the plan and as a task know it.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use state_stores::{Stores, TimeWindowed, TimestampedWindowStore, Windowed};
use streams_core::processor::{InitContext, NodeContext, ProcessorError, StoreHandle};
use streams_core::record::Data;
use streams_core::state::StoreBuilder;
use streams_core::topology::ProcessorSpec;

use super::aggregation::{Aggregation, Fold};
use super::{sliding_aggregation, window_aggregation};
use crate::ktable::{Getter, Lookup, TableLogic, TableStore, View};
use crate::options::{Materialized, SharedSerde, StoreOptions};
use crate::plan::Lowering;
use crate::windows::{EmitStrategy, SlidingWindows, Windows};

/// Windows that are known by their start.
#[derive(Debug, Clone)]
pub(crate) enum Spans {
    /// Of fixed spans.
    Fixed(Arc<dyn Windows>),
    /// Of spans that the records decide.
    Sliding(SlidingWindows),
}

impl Spans {
    /// What is added to a window's start to have its end.
    pub(super) fn size(&self) -> Duration {
        match self {
            Spans::Fixed(windows) => windows.size(),
            Spans::Sliding(windows) => windows.time_difference(),
        }
    }

    /// How late a record may be.
    pub(crate) fn grace(&self) -> Duration {
        match self {
            Spans::Fixed(windows) => windows.grace(),
            Spans::Sliding(windows) => windows.grace(),
        }
    }

    /// How long windows must be kept at least, behind the newest start.
    fn least_retention(&self) -> Duration {
        let reach = match self {
            Spans::Fixed(_) => self.size(),
            // A record looks for windows that begin two time differences before it; with a retention of 0 it would not
            // even find those of its own time.
            Spans::Sliding(_) => self.size().saturating_mul(2).max(Duration::from_millis(1)),
        };
        reach.saturating_add(self.grace())
    }

    fn validate(&self, emit: EmitStrategy) -> Result<(), String> {
        match self {
            Spans::Sliding(_) => Ok(()),
            Spans::Fixed(windows) if emit == EmitStrategy::OnWindowClose && !windows.closes() => {
                Err("results are to leave when a window is closed, but these windows never close: use \
                     `EmitStrategy::OnWindowUpdate`, or windows with an end"
                    .to_owned())
            }
            Spans::Fixed(windows) => windows.validate(),
        }
    }
}

/// What the plan knows of a windowed table's store.
pub(crate) struct WindowTableStore<K, V> {
    pub(crate) name: Arc<str>,
    pub(crate) keys: SharedSerde<K>,
    pub(crate) values: SharedSerde<V>,
    pub(crate) size: Duration,
    pub(crate) retention: Duration,
    /// Whether windows are at hand by time, to leave when they are closed.
    pub(crate) time_ordered: bool,
    pub(crate) options: StoreOptions,
}

impl<K, V> Clone for WindowTableStore<K, V> {
    fn clone(&self) -> Self {
        WindowTableStore {
            name: Arc::clone(&self.name),
            keys: Arc::clone(&self.keys),
            values: Arc::clone(&self.values),
            options: self.options.clone(),
            ..*self
        }
    }
}

impl<K: Data, V: Data> WindowTableStore<K, V> {
    /// The store as the topology takes it.
    pub(crate) fn builder(&self) -> Arc<dyn StoreBuilder> {
        let (keys, values) = (Arc::clone(&self.keys), Arc::clone(&self.values));
        let builder =
            Stores::timestamped_window(Arc::clone(&self.name), self.size, self.retention, keys, values);
        self.options.apply(builder.time_ordered(self.time_ordered)).build()
    }

    /// The store as a task has it.
    pub(crate) fn open(&self, context: &InitContext<'_>) -> Result<WindowHandle<K, V>, ProcessorError> {
        context.store(&self.name)
    }
}

/// A windowed table's store within a task.
pub(crate) type WindowHandle<K, V> = StoreHandle<TimestampedWindowStore<K, V>>;

/// The plan's side of a windowed aggregation.
pub(crate) struct WindowedTable<K, V> {
    pub(crate) store: WindowTableStore<K, V>,
    pub(crate) spans: Spans,
    pub(crate) emit: EmitStrategy,
    pub(crate) send_old: Cell<bool>,
}

impl<K: Data, A: Data> WindowedTable<K, A> {
    /// A table of these windows, kept as `materialized` says; `keys` is the serde that came with the stream.
    pub(super) fn new(
        store_name: &str,
        spans: Spans,
        emit: EmitStrategy,
        materialized: Materialized<K, A>,
        keys: Option<&SharedSerde<K>>,
    ) -> Self {
        let mut options = materialized.settings;
        options.caching &= emit == EmitStrategy::OnWindowUpdate;
        let store = WindowTableStore {
            name: store_name.into(),
            keys: materialized.key_serde.or_carried(keys),
            values: materialized.value_serde.or_carried(None),
            size: spans.size(),
            retention: options.retention.unwrap_or(spans.least_retention()),
            time_ordered: emit == EmitStrategy::OnWindowClose,
            options,
        };
        WindowedTable { store, spans, emit, send_old: Cell::new(false) }
    }
}

impl<K: Data, A: Data> Aggregation<K, A> for WindowedTable<K, A> {
    type Key = Windowed<K>;

    fn processor<V: Data>(&self, inputs: &SharedSerde<V>, fold: Arc<impl Fold<K, V, A>>) -> ProcessorSpec {
        match &self.spans {
            Spans::Fixed(windows) => window_aggregation::processor(self, Arc::clone(windows), fold),
            Spans::Sliding(windows) => {
                sliding_aggregation::processor(self, *windows, Arc::clone(inputs), fold)
            }
        }
    }

    fn store_name(&self) -> &Arc<str> {
        &self.store.name
    }

    fn add_store(&self, lowering: &mut Lowering<'_>) {
        lowering.store(self.store.builder());
    }

    fn key_serde(&self) -> SharedSerde<Windowed<K>> {
        Arc::new(TimeWindowed::of_size(Arc::clone(&self.store.keys), self.store.size))
    }

    fn value_serde(&self) -> SharedSerde<A> {
        Arc::clone(&self.store.values)
    }

    fn window_grace(&self) -> Option<Duration> {
        Some(self.spans.grace())
    }

    fn faults(&self) -> Vec<String> {
        let (name, retention, least) = (&self.store.name, self.store.retention, self.spans.least_retention());
        let mut faults = never_versioned(name, &self.store.options);
        if let Err(fault) = self.spans.validate(self.emit) {
            faults.push(format!("store `{name}`: {fault}"));
        }
        if retention < least {
            let needed = match self.spans {
                Spans::Fixed(_) => "their size and grace",
                Spans::Sliding(_) => "twice their time difference and grace",
            };
            faults.push(format!(
                "store `{name}` keeps windows for {retention:?}, which is less than {needed}, {least:?}"
            ));
        }
        faults
    }
}

impl<K: Data, V: Data> TableLogic<Windowed<K>, V> for WindowedTable<K, V> {
    fn enable_old_values(&self, _force: bool) -> bool {
        // A final result is the only one of its window: there is none before it.
        self.send_old.set(self.emit == EmitStrategy::OnWindowUpdate);
        true
    }

    fn view(&self) -> View<Windowed<K>, V> {
        let store = self.store.clone();
        View {
            stores: vec![Arc::clone(&store.name)],
            make: Arc::new(move |context| Ok(Box::new(WindowView(store.open(context)?)))),
        }
    }

    fn materialize(&self, store: TableStore<Windowed<K>, V>) -> Result<(), String> {
        Err(has_a_store("a windowed aggregation", &self.store.name, &store.name))
    }
}

/// The fault of a windowed table that is to keep former values.
pub(super) fn never_versioned(store: &str, options: &StoreOptions) -> Vec<String> {
    let fault = |_| {
        format!(
            "store `{store}` keeps windows, which have no versions: leave `.versioned(..)` out; how long windows are \
             kept is said by `.retention(..)`"
        )
    };
    options.history.map(fault).into_iter().collect()
}

/// The fault of a table that is to be kept twice.
pub(super) fn has_a_store(what: &str, store: &str, second: &str) -> String {
    format!(
        "{what} has a store already, `{store}`: name it where it is made, by the variant with `_with`, not by \
         `.materialized({second})`"
    )
}

struct WindowView<K, V>(WindowHandle<K, V>);

impl<K: Data, V: Data> Getter<Windowed<K>, V> for WindowView<K, V> {
    fn get(&mut self, key: &Windowed<K>, context: &mut NodeContext<'_>) -> Lookup<V> {
        Ok(context.store_mut(self.0).fetch(&key.key, key.window.start)?)
    }
}
