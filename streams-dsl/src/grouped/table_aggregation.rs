//! Aggregations of grouped tables: what leaves a group is subtracted, what enters it is added.

use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::{Data, Record};
use streams_core::serdes::{BigEndian, DefaultSerde};
use streams_core::topology::ProcessorSpec;

use super::aggregation::Aggregated;
use crate::change::Change;
use crate::ktable::{KGroupedTable, KTable, OpenStore, TableStore};
use crate::options::{Materialized, SerdeChoice, SharedSerde};
use crate::plan::NodeTag;

const AGGREGATE: &str = "KTABLE-AGGREGATE-";
const REDUCE: &str = "KTABLE-REDUCE-";

impl<K: Data, V: Data> KGroupedTable<K, V> {
    /// The table of the number of rows of each group.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let homes = builder.table::<String, String>("homes");
    /// homes.group_by(|name, city| (city, name.clone())).count().to_stream().to("people");
    /// ```
    pub fn count(&self) -> KTable<K, i64> {
        let mut materialized = Materialized::with(Arc::clone(&self.keys), BigEndian);
        materialized.key_serde = SerdeChoice::Default(Arc::clone(&self.keys));
        self.count_with(materialized)
    }

    /// As [`count`](KGroupedTable::count), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let homes = builder.table::<String, String>("homes");
    /// let by_city = homes.group_by(|name, city| (city, name.clone()));
    /// by_city.count_with(Materialized::named("people")).to_stream().to("people-out");
    /// ```
    pub fn count_with(&self, materialized: Materialized<K, i64>) -> KTable<K, i64> {
        let add = |_: &K, _: V, count: Option<i64>| count.unwrap_or(0) + 1;
        self.fold(AGGREGATE, materialized, add, |_, _, count| count - 1)
    }

    /// The table of each group's values made one: `add` takes a value in, `subtract` takes one out. The first value is
    /// the beginning.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.table::<String, i64>("fares");
    /// let parity = fares.group_by(|_, fare| (fare % 2, fare));
    /// parity.reduce(|sum, fare| sum + fare, |sum, fare| sum - fare).to_stream().to("sums");
    /// ```
    pub fn reduce(
        &self,
        add: impl Fn(V, V) -> V + Send + Sync + 'static,
        subtract: impl Fn(V, V) -> V + Send + Sync + 'static,
    ) -> KTable<K, V>
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        self.reduce_with(add, subtract, Materialized::new())
    }

    /// As [`reduce`](KGroupedTable::reduce), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.table::<String, i64>("fares");
    /// let parity = fares.group_by(|_, fare| (fare % 2, fare));
    /// let sums = parity.reduce_with(|sum, fare| sum + fare, |sum, fare| sum - fare, Materialized::named("sums"));
    /// sums.to_stream().to("sums-out");
    /// ```
    pub fn reduce_with(
        &self,
        add: impl Fn(V, V) -> V + Send + Sync + 'static,
        subtract: impl Fn(V, V) -> V + Send + Sync + 'static,
        mut materialized: Materialized<K, V>,
    ) -> KTable<K, V> {
        materialized.inherit_value_serde(&self.values);
        let add = move |_: &K, value, so_far| match so_far {
            Some(so_far) => add(so_far, value),
            None => value,
        };
        self.fold(REDUCE, materialized, add, move |_, value, so_far| subtract(so_far, value))
    }

    /// The table of an aggregate of each group: `init` makes the first one, `add` takes a value in, `subtract` takes
    /// one out. An aggregate that stands for null deletes the row.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.table::<String, i64>("fares");
    /// let parity = fares.group_by(|_, fare| (fare % 2, fare));
    /// parity.aggregate(|| 0i64, |_, fare, sum| sum + fare, |_, fare, sum| sum - fare).to_stream().to("sums");
    /// ```
    pub fn aggregate<A: Data + DefaultSerde>(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        subtract: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<K, A>
    where
        K: DefaultSerde,
    {
        self.aggregate_with(init, add, subtract, Materialized::new())
    }

    /// As [`aggregate`](KGroupedTable::aggregate), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.table::<String, i64>("fares");
    /// let sums = fares.group_by(|_, fare| (fare % 2, fare)).aggregate_with(
    ///     || 0i64,
    ///     |_, fare, sum| sum + fare,
    ///     |_, fare, sum| sum - fare,
    ///     Materialized::named("sums"),
    /// );
    /// sums.to_stream().to("sums-out");
    /// ```
    pub fn aggregate_with<A: Data>(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        subtract: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        materialized: Materialized<K, A>,
    ) -> KTable<K, A> {
        let add = move |key: &K, value, so_far: Option<A>| add(key, value, so_far.unwrap_or_else(&init));
        self.fold(AGGREGATE, materialized, add, subtract)
    }

    fn fold<A: Data>(
        &self,
        prefix: &'static str,
        materialized: Materialized<K, A>,
        add: impl Fn(&K, V, Option<A>) -> A + Send + Sync + 'static,
        subtract: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<K, A> {
        let plan = &self.place.plan;
        let store_name = materialized.name.unwrap_or_else(|| plan.borrow_mut().generate_store(prefix));
        let from = self.partitioned(&store_name);
        let (operator, name) = self.place.generate(prefix);
        let store = TableStore {
            name: store_name.into(),
            keys: materialized.key_serde.or_carried(Some(&self.keys)),
            values: materialized.value_serde.or_carried(None),
            options: materialized.settings,
        };
        let (key_serde, value_serde) = (Some(Arc::clone(&store.keys)), Some(Arc::clone(&store.values)));
        let logic = Rc::new(Aggregated { store, send_old: Cell::new(false) });
        let of_node = Rc::clone(&logic);
        let (add, subtract) = (Arc::new(add), Arc::new(subtract));
        let place = from.append(operator, name, NodeTag::Plain, move |lowering| {
            let (store, send_old) = (of_node.store.clone(), of_node.send_old.get());
            let (add, subtract) = (Arc::clone(&add), Arc::clone(&subtract));
            lowering.processor(ProcessorSpec::from_factory::<K, Change<V>, K, Change<A>>(
                move |context: &mut InitContext<'_>| {
                    let open = store.open(context)?;
                    if send_old {
                        open.keep_old_values(context);
                    }
                    Ok(Box::new(TableAggregation {
                        store: open,
                        aggregates: Arc::clone(&store.values),
                        add: Arc::clone(&add),
                        subtract: Arc::clone(&subtract),
                        send_old,
                        value: PhantomData::<fn(V)>,
                    }))
                },
            ));
            of_node.store.add_to(lowering);
        });
        KTable { place, logic, key_serde, value_serde }
    }
}

struct TableAggregation<K, V, A, F, G> {
    store: OpenStore<K, A>,
    aggregates: SharedSerde<A>,
    add: Arc<F>,
    subtract: Arc<G>,
    send_old: bool,
    value: PhantomData<fn(V)>,
}

impl<K, V, A, F, G> Node for TableAggregation<K, V, A, F, G>
where
    K: Data,
    V: Data,
    A: Data,
    F: Fn(&K, V, Option<A>) -> A + Send + Sync,
    G: Fn(&K, V, A) -> A + Send + Sync,
{
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, Change<V>>(slot)?.take() else { return Ok(()) };
        let Record { key, value: Change { old, new, .. }, timestamp, headers } = record;
        let caching = self.store.caching;
        let keep_old = self.send_old && !caching;
        let (add, subtract, aggregates) = (&self.add, &self.subtract, &self.aggregates);
        let ((change, timestamp), put) = self.store.update(&key, context, |row| {
            let (mut aggregate, timestamp) = match row {
                Some(row) => (Some(row.value), row.timestamp.max(timestamp)),
                None => (None, timestamp),
            };
            let before = if keep_old { aggregate.clone() } else { None };
            if let Some(old) = old {
                aggregate = aggregate.map(|aggregate| subtract(&key, old, aggregate));
                aggregate = aggregate.filter(|aggregate| !aggregates.is_null(aggregate));
            }
            if let Some(new) = new {
                aggregate =
                    Some(add(&key, new, aggregate)).filter(|aggregate| !aggregates.is_null(aggregate));
            }
            let change = (!caching).then(|| Change::new(before, aggregate.clone()));
            (aggregate, timestamp, (change, timestamp))
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
