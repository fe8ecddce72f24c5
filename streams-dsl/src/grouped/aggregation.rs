//! The node behind count, reduce and aggregate without windows.

use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::{Data, Record};
use streams_core::topology::ProcessorSpec;

use super::KGroupedStream;
use crate::change::Change;
use crate::ktable::{KTable, OpenStore, TableLogic, TableStore, View};
use crate::options::{Materialized, SharedSerde};
use crate::plan::{Lowering, NodeTag};

/// Makes aggregates of records.
pub(crate) trait Fold<K, V, A>: Send + Sync + 'static {
    /// Takes a record into the aggregate so far.
    fn add(&self, key: &K, value: V, so_far: Option<A>) -> A;

    /// What a new row is said to have been before: as in Kafka Streams, where the first record is added to it.
    fn initial(&self) -> Option<A> {
        None
    }
}

impl<K, V, A, F: Fn(&K, V, Option<A>) -> A + Send + Sync + 'static> Fold<K, V, A> for F {
    fn add(&self, key: &K, value: V, so_far: Option<A>) -> A {
        self(key, value, so_far)
    }
}

/// The row before a record is taken in, as changes tell it.
pub(super) fn row_before<K, V, A: Clone + 'static>(
    fold: &impl Fold<K, V, A>,
    aggregates: &SharedSerde<A>,
    row: Option<&A>,
) -> Option<A> {
    row.cloned().or_else(|| fold.initial()).filter(|initial| !aggregates.is_null(initial))
}

/// The plan's side of an aggregation: a table with a store, which one node fills, or several where groups are joined.
pub(crate) trait Aggregation<K, A>: TableLogic<Self::Key, A> + 'static {
    /// The table's keys: those of the stream, alone or with their windows.
    type Key: Data;

    /// The node that folds the records of one grouped stream into the store; `inputs` tells values that stand for null.
    fn processor<V: Data>(&self, inputs: &SharedSerde<V>, fold: Arc<impl Fold<K, V, A>>) -> ProcessorSpec;

    /// The store's name.
    fn store_name(&self) -> &Arc<str>;

    /// Adds the store and connects it with the node that is being lowered.
    fn add_store(&self, lowering: &mut Lowering<'_>);

    /// The serde of the table's keys.
    fn key_serde(&self) -> SharedSerde<Self::Key>;

    /// The serde of the aggregates.
    fn value_serde(&self) -> SharedSerde<A>;

    /// How long behind their ends its windows are closed; none where it has no windows.
    fn window_grace(&self) -> Option<Duration> {
        None
    }

    /// What is wrong with its settings.
    fn faults(&self) -> Vec<String> {
        Vec::new()
    }
}

impl<K: Data, V: Data> KGroupedStream<K, V> {
    /// Adds an aggregation over all of a key's records; `prefix` is that of its generated names.
    pub(super) fn fold<A: Data>(
        &self,
        prefix: &'static str,
        materialized: Materialized<K, A>,
        fold: impl Fold<K, V, A>,
    ) -> KTable<K, A> {
        let store_name = self.place.store_name(materialized.name.as_deref(), prefix);
        let table = Aggregated::new(&store_name, materialized, Some(&self.key_serde));
        self.aggregate_into(prefix, table, fold)
    }

    /// Adds the node of an aggregation, behind a repartition topic where one is needed.
    pub(super) fn aggregate_into<A: Data, T: Aggregation<K, A>>(
        &self,
        prefix: &'static str,
        table: T,
        fold: impl Fold<K, V, A>,
    ) -> KTable<T::Key, A> {
        let (operator, name) = self.place.generate(prefix);
        let from = self.partitioned(table.store_name());
        table.faults().into_iter().for_each(|fault| self.place.fault(fault));
        let (key_serde, value_serde) = (Some(table.key_serde()), Some(table.value_serde()));
        let logic = Rc::new(table);
        let of_node = Rc::clone(&logic);
        let (fold, inputs) = (Arc::new(fold), Arc::clone(&self.value_serde));
        let place = from.append(operator, name, NodeTag::Plain, move |lowering| {
            lowering.processor(of_node.processor(&inputs, Arc::clone(&fold)));
            of_node.add_store(lowering);
        });
        if let Some(grace) = logic.window_grace() {
            place.set_window_grace(grace);
        }
        KTable { place, logic, key_serde, value_serde }
    }
}

/// The plan's side of an aggregation without windows.
pub(crate) struct Aggregated<K, A> {
    pub(crate) store: TableStore<K, A>,
    pub(crate) send_old: Cell<bool>,
}

impl<K: Data, A: Data> Aggregated<K, A> {
    /// A table that is kept as `materialized` says; `keys` is the serde that came with the stream.
    pub(super) fn new(
        store_name: &str,
        materialized: Materialized<K, A>,
        keys: Option<&SharedSerde<K>>,
    ) -> Self {
        let store = TableStore {
            name: store_name.into(),
            keys: materialized.key_serde.or_carried(keys),
            values: materialized.value_serde.or_carried(None),
            options: materialized.settings,
        };
        Aggregated { store, send_old: Cell::new(false) }
    }
}

impl<K: Data, A: Data> Aggregation<K, A> for Aggregated<K, A> {
    type Key = K;

    fn processor<V: Data>(&self, inputs: &SharedSerde<V>, fold: Arc<impl Fold<K, V, A>>) -> ProcessorSpec {
        let (store, send_old, inputs) = (self.store.clone(), self.send_old.get(), Arc::clone(inputs));
        ProcessorSpec::from_factory::<K, V, K, Change<A>>(move |context: &mut InitContext<'_>| {
            let open = store.open(context)?;
            if send_old {
                open.keep_old_values(context);
            }
            Ok(Box::new(AggregationNode {
                store: open,
                keys: Arc::clone(&store.keys),
                inputs: Arc::clone(&inputs),
                aggregates: Arc::clone(&store.values),
                fold: Arc::clone(&fold),
                send_old,
            }))
        })
    }

    fn store_name(&self) -> &Arc<str> {
        &self.store.name
    }

    fn add_store(&self, lowering: &mut Lowering<'_>) {
        self.store.add_to(lowering);
    }

    fn key_serde(&self) -> SharedSerde<K> {
        Arc::clone(&self.store.keys)
    }

    fn value_serde(&self) -> SharedSerde<A> {
        Arc::clone(&self.store.values)
    }
}

impl<K: Data, A: Data> TableLogic<K, A> for Aggregated<K, A> {
    fn enable_old_values(&self, _force: bool) -> bool {
        self.send_old.set(true);
        true
    }

    fn view(&self) -> View<K, A> {
        View::of_store(&self.store)
    }

    fn materialize(&self, store: TableStore<K, A>) -> Result<(), String> {
        Err(format!(
            "an aggregation has a store already, `{}`: name it where it is made, by the variant with `_with`, not by \
             `.materialized({})`",
            self.store.name, store.name
        ))
    }

    fn is_versioned(&self) -> bool {
        self.store.is_versioned()
    }
}

struct AggregationNode<K, V, A, F> {
    store: OpenStore<K, A>,
    keys: SharedSerde<K>,
    inputs: SharedSerde<V>,
    aggregates: SharedSerde<A>,
    fold: Arc<F>,
    send_old: bool,
}

impl<K: Data, V: Data, A: Data, F: Fold<K, V, A>> Node for AggregationNode<K, V, A, F> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(Record { key, value, timestamp, headers }) = slot_of::<K, V>(slot)?.take() else {
            return Ok(());
        };
        if self.keys.is_null(&key) || self.inputs.is_null(&value) {
            context.shared().dropped_records += 1;
            return Ok(());
        }
        let caching = self.store.caching;
        let keep_old = self.send_old && !caching;
        let (fold, aggregates) = (&self.fold, &self.aggregates);
        let ((change, timestamp), put) = self.store.update(&key, context, |row| {
            let (old, timestamp) = match row {
                Some(row) => (Some(row.value), row.timestamp.max(timestamp)),
                None => (None, timestamp),
            };
            let before = if keep_old { row_before(&**fold, aggregates, old.as_ref()) } else { None };
            let new = Some(fold.add(&key, value, old)).filter(|new| !aggregates.is_null(new));
            let change = (!caching).then(|| Change::new(before, new.clone()));
            (new, timestamp, (change, timestamp))
        })?;
        match change.and_then(|change| change.after(put)) {
            Some(value) => context.forward(Record { key, value, timestamp, headers }),
            None => Ok(()),
        }
    }

    fn flush(&mut self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        self.store.flush(context)
    }
}
