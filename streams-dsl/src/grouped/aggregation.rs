//! The node behind count, reduce and aggregate without windows.

use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use state_stores::ValueAndTimestamp;
use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::{Data, Record};
use streams_core::topology::ProcessorSpec;

use super::KGroupedStream;
use crate::change::Change;
use crate::ktable::{KTable, OpenStore, TableLogic, TableStore, View};
use crate::options::{Materialized, SharedSerde};
use crate::plan::NodeTag;

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
pub(super) fn row_before<K, V, A: Clone>(
    fold: &impl Fold<K, V, A>,
    aggregates: &SharedSerde<A>,
    row: Option<&A>,
) -> Option<A>
where
    A: 'static,
{
    row.cloned().or_else(|| fold.initial()).filter(|initial| !aggregates.is_null(initial))
}

impl<K: Data, V: Data> KGroupedStream<K, V> {
    /// Adds an aggregation; `prefix` is that of its generated names.
    pub(super) fn fold<A: Data>(
        &self,
        prefix: &'static str,
        materialized: Materialized<K, A>,
        fold: impl Fold<K, V, A>,
    ) -> KTable<K, A> {
        let store_name =
            materialized.name.unwrap_or_else(|| self.place.plan.borrow_mut().generate_store(prefix));
        let (operator, name) = self.place.generate(prefix);
        let from = self.partitioned(&store_name);
        let store = TableStore {
            name: store_name.into(),
            keys: materialized.key_serde.or_carried(Some(&self.key_serde)),
            values: materialized.value_serde.or_carried(None),
            options: materialized.settings,
        };
        let (key_serde, value_serde) = (Some(Arc::clone(&store.keys)), Some(Arc::clone(&store.values)));
        let logic = Rc::new(Aggregated { store, send_old: Cell::new(false) });
        let of_node = Rc::clone(&logic);
        let fold = Arc::new(fold);
        let inputs = Arc::clone(&self.value_serde);
        let place = from.append(operator, name, NodeTag::Plain, move |lowering| {
            let (store, send_old) = (of_node.store.clone(), of_node.send_old.get());
            let (fold, inputs) = (Arc::clone(&fold), Arc::clone(&inputs));
            lowering.processor(ProcessorSpec::from_factory::<K, V, K, Change<A>>(
                move |context: &mut InitContext<'_>| {
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
                },
            ));
            of_node.store.add_to(lowering);
        });
        KTable { place, logic, key_serde, value_serde }
    }
}

/// The plan's side of an aggregation: it always has a store.
pub(crate) struct Aggregated<K, A> {
    pub(crate) store: TableStore<K, A>,
    pub(crate) send_old: Cell<bool>,
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
        self.store.options.history.is_some()
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
        let (change, timestamp) = self.store.update(&key, context, |row| {
            let (old, timestamp) = match row.take() {
                Some(row) => (Some(row.value), row.timestamp.max(timestamp)),
                None => (None, timestamp),
            };
            let before = if keep_old { row_before(&**fold, aggregates, old.as_ref()) } else { None };
            let new = Some(fold.add(&key, value, old)).filter(|new| !aggregates.is_null(new));
            let change = (!caching).then(|| Change::new(before, new.clone()));
            *row = new.map(|value| ValueAndTimestamp { value, timestamp });
            (change, timestamp)
        })?;
        match change {
            Some(value) => context.forward(Record { key, value, timestamp, headers }),
            None => Ok(()),
        }
    }

    fn flush(&mut self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        self.store.flush(context)
    }
}
