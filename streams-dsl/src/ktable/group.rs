//! `group_by` of tables: rows under other keys, to be aggregated.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use streams_core::processor::{
    InitContext, Node, NodeContext, Partitioner, ProcessorError, SinkTopic, SourceNode, TimestampExtractor,
    slot_of,
};
use streams_core::record::{Data, Record};
use streams_core::serdes::DefaultSerde;
use streams_core::topology::{InternalTopic, ProcessorSpec, SinkSpec, SourceSpec, Topics};

use super::KTable;
use super::change_serde::ChangeSerde;
use crate::change::Change;
use crate::options::{Grouped, SharedSerde};
use crate::plan::{Name, Place, PlanNode};

impl<K: Data, V: Data> KTable<K, V> {
    /// Groups rows by another key and value made from each. When a row changes, what it was is subtracted from its old
    /// group, and what it is added to its new one, through a repartition topic.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let homes = builder.table::<String, String>("homes");
    /// homes.group_by(|name, city| (city, name.clone())).count().to_stream().to("people");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let homes = driver.input_topic::<String, String>("homes");
    /// homes.pipe(&mut driver, "ada".to_owned(), "Bonn".to_owned())?;
    /// homes.pipe(&mut driver, "ada".to_owned(), "Kiel".to_owned())?;
    /// let people = driver.output_topic::<String, i64>("people");
    /// let (bonn, kiel) = ("Bonn".to_owned(), "Kiel".to_owned());
    /// assert_eq!(people.read_key_values(&mut driver)?, [(bonn.clone(), 1), (bonn, 0), (kiel, 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn group_by<K2: Data + DefaultSerde, V2: Data + DefaultSerde>(
        &self,
        select: impl Fn(&K, V) -> (K2, V2) + Send + Sync + 'static,
    ) -> KGroupedTable<K2, V2> {
        self.group_by_with(select, Grouped::new())
    }

    /// As [`group_by`](KTable::group_by), with serdes of your choice.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let homes = builder.table::<String, String>("homes");
    /// let by_city = homes.group_by_with(|name, city| (city, name.clone()), Grouped::with(Utf8, Json));
    /// by_city.named("by-city").count().to_stream().to("people");
    /// ```
    pub fn group_by_with<K2: Data, V2: Data>(
        &self,
        select: impl Fn(&K, V) -> (K2, V2) + Send + Sync + 'static,
        grouped: Grouped<K2, V2>,
    ) -> KGroupedTable<K2, V2> {
        self.logic.enable_old_values(true);
        let keys = grouped.key_serde.or_carried(None);
        let values = grouped.value_serde.or_carried(None);
        let select = Arc::new(select);
        let (of_keys, of_values) = (Arc::clone(&keys), Arc::clone(&values));
        let place = self.place.then("KTABLE-SELECT-", move |lowering| {
            let (keys, values, select) = (Arc::clone(&of_keys), Arc::clone(&of_values), Arc::clone(&select));
            lowering.processor(ProcessorSpec::from_factory::<K, Change<V>, K2, Change<V2>>(
                move |_: &mut InitContext<'_>| {
                    let (keys, values) = (Arc::clone(&keys), Arc::clone(&values));
                    let select = Arc::clone(&select);
                    let regroup = Regroup { select, keys, values, row: PhantomData };
                    Ok(Box::new(RegroupNode { regroup, key: PhantomData::<fn(K)> }))
                },
            ));
        });
        KGroupedTable { place, keys, values, behind: Rc::default() }
    }
}

/// A table's rows under other keys: see [`KTable::group_by`].
#[must_use = "a grouping does nothing until it is aggregated"]
pub struct KGroupedTable<K, V> {
    pub(crate) place: Place,
    pub(crate) keys: SharedSerde<K>,
    pub(crate) values: SharedSerde<V>,
    /// The place behind the repartition topic, where it has a name and so is shared by all aggregations.
    behind: Rc<RefCell<Option<Place>>>,
}

impl<K: Data, V: Data> KGroupedTable<K, V> {
    /// Names the key selection and the repartition topic, `<application>-<name>-repartition`.
    pub fn named(self, name: impl Into<String>) -> Self {
        self.place.set_name(name);
        self
    }

    /// The place behind the repartition topic, which without a name is called after the aggregation's store.
    pub(crate) fn partitioned(&self, store: &str) -> Place {
        let mut plan = self.place.plan.borrow_mut();
        let operator = plan.operator();
        let sink_name = Name::new(operator, plan.generate("KSTREAM-SINK-"));
        let source_name = Name::new(operator, plan.generate("KSTREAM-SOURCE-"));
        let shared = plan.is_named(self.place.operator);
        if let (true, Some(place)) = (shared, &*self.behind.borrow()) {
            return place.clone();
        }
        let base = Name::new(self.place.operator, store).resolve(plan.names());
        let topic: Arc<str> = format!("{base}-repartition").into();
        let (keys, to_topic) = (Arc::clone(&self.keys), Arc::clone(&topic));
        let changes: SharedSerde<Change<V>> = Arc::new(ChangeSerde(Arc::clone(&self.values)));
        let (of_source, from_topic) = (Arc::clone(&changes), Arc::clone(&topic));
        let of_keys = Arc::clone(&self.keys);
        plan.add(PlanNode::new(sink_name, [self.place.node], move |lowering| {
            let topic = SinkTopic::Fixed(Arc::clone(&to_topic));
            let (keys, changes) = (Arc::clone(&keys), Arc::clone(&changes));
            lowering.builder.add_internal_topic(Arc::clone(&to_topic), InternalTopic { partitions: None });
            lowering.sink(SinkSpec::new(topic, keys, changes, Partitioner::default()));
        }));
        let source = plan.add(PlanNode::new(source_name, [], move |lowering| {
            let (keys, changes) = (Arc::clone(&of_keys), Arc::clone(&of_source));
            let decoder = SourceNode::new(keys, changes, TimestampExtractor::FailOnInvalid);
            lowering.source(SourceSpec::new(Topics::Named(vec![Arc::clone(&from_topic)]), decoder));
        }));
        drop(plan);
        let place =
            Place { plan: Rc::clone(&self.place.plan), node: source, operator, sources: [source].into() };
        *self.behind.borrow_mut() = Some(place.clone());
        place
    }
}

impl<K, V> fmt::Debug for KGroupedTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KGroupedTable").field("node", &self.place.node).finish_non_exhaustive()
    }
}

struct Regroup<F, K2, V, V2> {
    select: Arc<F>,
    keys: SharedSerde<K2>,
    values: SharedSerde<V2>,
    row: PhantomData<fn(V)>,
}

impl<F, K2: Data, V: Data, V2: Data> Regroup<F, K2, V, V2> {
    /// The row under its group's key; none where either stands for null.
    fn grouped<K>(&self, key: &K, row: Option<V>) -> Option<(K2, V2)>
    where
        F: Fn(&K, V) -> (K2, V2),
    {
        let (key, row) = (self.select)(key, row?);
        (!self.keys.is_null(&key) && !self.values.is_null(&row)).then_some((key, row))
    }

    /// Keys need no equality of their own: what counts is their bytes.
    fn same_key(&self, one: &K2, other: &K2) -> Result<bool, ProcessorError> {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        self.keys.serialize(one, &mut first)?;
        self.keys.serialize(other, &mut second)?;
        Ok(first == second)
    }
}

impl<F, K, K2, V, V2> Node for RegroupNode<F, K, K2, V, V2>
where
    F: Fn(&K, V) -> (K2, V2) + Send + Sync,
    K: Data,
    K2: Data,
    V: Data,
    V2: Data,
{
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, Change<V>>(slot)?.take() else { return Ok(()) };
        let Record { key, value: Change { old, new, is_latest }, timestamp, headers } = record;
        if !is_latest {
            // A late change of a versioned table is none to aggregations (KIP-914).
            return Ok(());
        }
        let (old, new) = (self.regroup.grouped(&key, old), self.regroup.grouped(&key, new));
        let (old, new) = match (old, new) {
            (Some((key, old)), Some((new_key, new))) if self.regroup.same_key(&key, &new_key)? => {
                let value = Change::new(Some(old), Some(new));
                return context.forward(Record { key, value, timestamp, headers });
            }
            pair => pair,
        };
        if let Some((key, old)) = old {
            let value: Change<V2> = Change::new(Some(old), None);
            context.forward(Record { key, value, timestamp, headers: headers.clone() })?;
        }
        match new {
            Some((key, new)) => {
                let value: Change<V2> = Change::new(None, Some(new));
                context.forward(Record { key, value, timestamp, headers })
            }
            None => Ok(()),
        }
    }
}

struct RegroupNode<F, K, K2, V, V2> {
    regroup: Regroup<F, K2, V, V2>,
    key: PhantomData<fn(K)>,
}
