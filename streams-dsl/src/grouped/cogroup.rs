//! `cogroup`: several grouped streams folded into one table (KIP-150).

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use streams_core::processor::NodeContext;
use streams_core::record::{Data, Record};
use streams_core::serdes::DefaultSerde;
use streams_core::topology::ProcessorSpec;

use super::KGroupedStream;
use super::aggregate::addition;
use super::aggregation::{Aggregated, Aggregation};
use super::session_store::SessionTable;
use super::window_store::WindowedTable;
use crate::change::Change;
use crate::kstream::step;
use crate::ktable::KTable;
use crate::options::{Materialized, SharedSerde};
use crate::plan::{Name, NodeId, NodeTag, OperatorId, Place, PlanNode};

pub(super) const AGGREGATE: &str = "COGROUPKSTREAM-AGGREGATE-";
const MERGE: &str = "COGROUPKSTREAM-MERGE-";

/// Makes the first aggregate of a key.
pub(super) type Init<A> = Arc<dyn Fn() -> A + Send + Sync>;

impl<K: Data, V: Data> KGroupedStream<K, V> {
    /// Begins an aggregate that more than one grouped stream is folded into: `add` takes a record of this one into it.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares").group_by_key();
    /// let reviews = builder.stream::<String, String>("reviews").group_by_key();
    /// let profile = fares
    ///     .cogroup(|_, fare, profile: String| format!("{profile}{fare} "))
    ///     .cogroup(&reviews, |_, review, profile| format!("{profile}{review} "));
    /// profile.aggregate(String::new).to_stream().to("profiles");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// driver.input_topic::<String, i64>("fares").pipe(&mut driver, "ada".to_owned(), 7)?;
    /// driver.input_topic::<String, String>("reviews").pipe(&mut driver, "ada".to_owned(), "good".to_owned())?;
    /// let out = driver.output_topic::<String, String>("profiles");
    /// assert_eq!(out.read_values(&mut driver)?, ["7 ", "7 good "]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cogroup<A: Data>(
        &self,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> CogroupedKStream<K, A> {
        CogroupedKStream {
            first: Rc::new(Grouping { grouped: self.clone(), add: Arc::new(add) }),
            others: Vec::new(),
        }
    }
}

/// Several grouped streams with keys of one type, to be folded into one table: see [`KGroupedStream::cogroup`].
///
/// Records without key or value are dropped, as by [`KGroupedStream::aggregate`]; with windows, as those say. Each of
/// the streams tells by its own records how late one is.
#[must_use = "streams that are grouped together do nothing until they are aggregated"]
pub struct CogroupedKStream<K, A> {
    first: Rc<dyn Group<K, A>>,
    others: Vec<Rc<dyn Group<K, A>>>,
}

impl<K: Data, A: Data> CogroupedKStream<K, A> {
    /// Takes one more grouped stream in: `add` takes a record of it into the aggregate.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares").group_by_key();
    /// let tips = builder.stream::<String, i64>("tips").group_by_key();
    /// let income = fares.cogroup(|_, fare, sum: i64| sum + fare).cogroup(&tips, |_, tip, sum| sum + tip);
    /// income.aggregate(|| 0).to_stream().to("sums");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let (fares, tips) = (driver.input_topic::<String, i64>("fares"), driver.input_topic::<String, i64>("tips"));
    /// fares.pipe_at(&mut driver, "ada".to_owned(), 12, 1_000)?;
    /// tips.pipe_at(&mut driver, "ada".to_owned(), 2, 3_000)?;
    /// fares.pipe_at(&mut driver, "ada".to_owned(), 9, 61_000)?;
    /// let sums = driver.output_topic::<String, Option<i64>>("sums");
    /// assert_eq!(sums.read_values(&mut driver)?, [Some(12), Some(14), Some(23)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cogroup<V: Data>(
        &self,
        grouped: &KGroupedStream<K, V>,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> CogroupedKStream<K, A> {
        let mut others = self.others.clone();
        others.push(Rc::new(Grouping { grouped: grouped.clone(), add: Arc::new(add) }));
        CogroupedKStream { first: Rc::clone(&self.first), others }
    }

    /// The table of an aggregate of each key: `init` makes the first one, each stream's own function takes its records
    /// into it. An aggregate that stands for null deletes the row.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares").group_by_key();
    /// let tips = builder.stream::<String, i64>("tips").group_by_key();
    /// let income = fares.cogroup(|_, fare, sum: i64| sum + fare).cogroup(&tips, |_, tip, sum| sum + tip);
    /// income.aggregate(|| 0).named("income").to_stream().to("sums");
    /// assert!(builder.build()?.describe().contains("income-cogroup-merge"));
    /// # Ok::<(), TopologyError>(())
    /// ```
    pub fn aggregate(&self, init: impl Fn() -> A + Send + Sync + 'static) -> KTable<K, A>
    where
        K: DefaultSerde,
        A: DefaultSerde,
    {
        self.aggregate_with(init, Materialized::new())
    }

    /// As [`aggregate`](CogroupedKStream::aggregate), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares").group_by_key();
    /// let tips = builder.stream::<String, i64>("tips").group_by_key();
    /// let income = fares.cogroup(|_, fare, sum: i64| sum + fare).cogroup(&tips, |_, tip, sum| sum + tip);
    /// income.aggregate_with(|| 0, Materialized::named("income")).to_stream().to("sums");
    /// assert!(builder.build()?.describe().contains("stores: [income]"));
    /// # Ok::<(), TopologyError>(())
    /// ```
    pub fn aggregate_with(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        materialized: Materialized<K, A>,
    ) -> KTable<K, A> {
        let store_name = self.first.place().store_name(materialized.name.as_deref(), AGGREGATE);
        let table = Aggregated::new(&store_name, materialized, Some(self.first.key_serde()));
        let init: Init<A> = Arc::new(init);
        self.build(table, move |group, table| group.whole(table, &init))
    }

    pub(super) fn first(&self) -> &dyn Group<K, A> {
        &*self.first
    }

    /// Adds a node for each of the streams, and one behind them that stands for the table. `processor` is the node of one
    /// stream.
    pub(super) fn build<T: Aggregation<K, A>>(
        &self,
        table: T,
        processor: impl Fn(&dyn Group<K, A>, &T) -> ProcessorSpec + 'static,
    ) -> KTable<T::Key, A> {
        let home = self.first.place();
        let operator = home.plan.borrow_mut().operator();
        table.faults().into_iter().for_each(|fault| home.fault(fault));
        let (key_serde, value_serde) = (Some(table.key_serde()), Some(table.value_serde()));
        let (logic, processor) = (Rc::new(table), Rc::new(processor));
        let mut groups = vec![&self.first];
        for group in &self.others {
            match home.shares_plan(group.place()) {
                true => groups.push(group),
                // It notes the fault.
                false => drop(home.sources_with(group.place())),
            }
        }
        let places: Vec<_> = groups.iter().map(|group| group.partitioned(logic.store_name())).collect();
        let mut parents = Vec::with_capacity(places.len());
        for (number, (group, place)) in groups.into_iter().zip(&places).enumerate() {
            let generated = home.plan.borrow_mut().generate(AGGREGATE);
            let name = Name::suffixed(operator, format!("-cogroup-agg-{number}"), generated);
            let (group, table, processor) = (Rc::clone(group), Rc::clone(&logic), Rc::clone(&processor));
            let node = place.append(operator, name, NodeTag::Plain, move |lowering| {
                lowering.processor(processor(&*group, &table));
                match number {
                    0 => table.add_store(lowering),
                    _ => lowering.connect(table.store_name()),
                }
            });
            parents.push(node);
        }
        let place = merge::<T::Key, A>(home, &parents, operator);
        if let Some(grace) = logic.window_grace() {
            place.set_window_grace(grace);
        }
        KTable { place, logic, key_serde, value_serde }
    }
}

/// The node that stands for the table behind those of the streams, which are all of one builder.
fn merge<K: Data, A: Data>(home: &Place, parents: &[Place], operator: OperatorId) -> Place {
    let mut sources: Vec<NodeId> = parents.iter().flat_map(|parent| parent.sources.iter().copied()).collect();
    sources.sort_unstable();
    sources.dedup();
    let sources: Rc<[NodeId]> = sources.into();
    let of_node = Rc::clone(&sources);
    let mut plan = home.plan.borrow_mut();
    let name = Name::suffixed(operator, "-cogroup-merge", plan.generate(MERGE));
    let nodes: Vec<_> = parents.iter().map(|parent| parent.node).collect();
    let node = plan.add(PlanNode::new(name, nodes, move |lowering| {
        lowering.processor(step::<K, Change<A>, K, Change<A>>(
            |slot: &mut Option<Record<K, Change<A>>>, context: &mut NodeContext<'_>| {
                context.forward_slot(slot)
            },
        ));
        lowering.copartition(&of_node);
    }));
    Place { plan: Rc::clone(&home.plan), node, operator, sources }
}

/// One of the streams, its values' type forgotten.
pub(super) trait Group<K, A> {
    /// Where it is grouped.
    fn place(&self) -> &Place;

    /// Where an aggregation reads it: behind a repartition topic if its keys were changed.
    fn partitioned(&self, store: &str) -> Place;

    fn key_serde(&self) -> &SharedSerde<K>;

    /// Its node of an aggregation without windows.
    fn whole(&self, table: &Aggregated<K, A>, init: &Init<A>) -> ProcessorSpec;

    /// Its node of an aggregation over windows.
    fn windowed(&self, table: &WindowedTable<K, A>, init: &Init<A>) -> ProcessorSpec;

    /// Its node of an aggregation over sessions.
    fn sessions(&self, table: &SessionTable<K, A>, init: &Init<A>) -> ProcessorSpec;
}

struct Grouping<K, V, F> {
    grouped: KGroupedStream<K, V>,
    add: Arc<F>,
}

impl<K: Data, V: Data, F> Grouping<K, V, F> {
    fn processor<A: Data, T: Aggregation<K, A>>(&self, table: &T, init: &Init<A>) -> ProcessorSpec
    where
        F: Fn(&K, V, A) -> A + Send + Sync + 'static,
    {
        let (init, add) = (Arc::clone(init), Arc::clone(&self.add));
        let fold = addition(move || init(), move |key: &K, value, aggregate| add(key, value, aggregate));
        table.processor(&self.grouped.value_serde, Arc::new(fold))
    }
}

impl<K: Data, V: Data, A: Data, F> Group<K, A> for Grouping<K, V, F>
where
    F: Fn(&K, V, A) -> A + Send + Sync + 'static,
{
    fn place(&self) -> &Place {
        &self.grouped.place
    }

    fn partitioned(&self, store: &str) -> Place {
        self.grouped.partitioned(store)
    }

    fn key_serde(&self) -> &SharedSerde<K> {
        &self.grouped.key_serde
    }

    fn whole(&self, table: &Aggregated<K, A>, init: &Init<A>) -> ProcessorSpec {
        self.processor(table, init)
    }

    fn windowed(&self, table: &WindowedTable<K, A>, init: &Init<A>) -> ProcessorSpec {
        self.processor(table, init)
    }

    fn sessions(&self, table: &SessionTable<K, A>, init: &Init<A>) -> ProcessorSpec {
        self.processor(table, init)
    }
}

impl<K, A> Clone for CogroupedKStream<K, A> {
    fn clone(&self) -> Self {
        CogroupedKStream { first: Rc::clone(&self.first), others: self.others.clone() }
    }
}

impl<K, A> fmt::Debug for CogroupedKStream<K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CogroupedKStream").field("streams", &(1 + self.others.len())).finish_non_exhaustive()
    }
}
