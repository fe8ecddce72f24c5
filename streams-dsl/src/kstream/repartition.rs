//! `repartition`, and the repartition topics that other operators put in.

use std::rc::Rc;
use std::sync::Arc;

use streams_core::processor::{Partitioner, SinkTopic, SourceNode, TimestampExtractor};
use streams_core::record::Data;
use streams_core::serdes::DefaultSerde;
use streams_core::topology::{InternalTopic, ProcessorSpec, SinkSpec, SourceSpec, Topics};

use super::{KStream, step};
use crate::options::{Repartitioned, SharedSerde};
use crate::plan::{Lowering, Name, NodeTag, OperatorId, Place, PlanNode, RepartitionName};

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Sends the stream through a topic of its own, `<application>-<name>-repartition`, so that what follows runs in
    /// tasks of its own and finds each key in its partition. Records without a key are left out.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("words");
    /// words.select_key(|_, word| word.clone()).repartition().named("by-word").to("same");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let same = driver.output_topic::<String, String>("same");
    /// assert_eq!(same.read_values(&mut driver)?, ["red", "green"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn repartition(&self) -> KStream<K, V>
    where
        K: Data + DefaultSerde,
        V: Data + DefaultSerde,
    {
        self.repartition_with(Repartitioned::new())
    }

    /// As [`repartition`](KStream::repartition), with serdes, a number of partitions or a partitioner of your choice.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("words");
    /// words.repartition_with(Repartitioned::with(Utf8, Json).partitions(4)).named("spread").to("same");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let same = driver.output_topic_with::<String, String>("same", Utf8, Json);
    /// assert_eq!(same.read_values(&mut driver)?, ["red".to_owned(), "green".to_owned()]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn repartition_with(&self, repartitioned: Repartitioned<K, V>) -> KStream<K, V>
    where
        K: Data,
        V: Data,
    {
        let (operator, base) = match repartitioned.name {
            // Here, and only here, Kafka Streams takes no number where a name is given.
            Some(name) => {
                let mut plan = self.place.plan.borrow_mut();
                let operator = plan.operator();
                plan.set_name(operator, name.clone());
                (operator, Name::new(operator, name))
            }
            None => self.place.generate("KSTREAM-REPARTITION-"),
        };
        self.through(NewRepartition {
            operator,
            base,
            key_serde: repartitioned.key_serde.or_carried(self.key_serde.as_ref()),
            value_serde: repartitioned.value_serde.or_carried(self.value_serde.as_ref()),
            mergeable: false,
            partitions: repartitioned.partitions,
            partitioner: repartitioned.partitioner,
        })
    }

    /// The stream behind a repartition topic.
    pub(crate) fn through(&self, repartition: NewRepartition<K, V>) -> KStream<K, V>
    where
        K: Data,
        V: Data,
    {
        let (key_serde, value_serde) =
            (Arc::clone(&repartition.key_serde), Arc::clone(&repartition.value_serde));
        let place = add_repartition(&self.place, repartition);
        KStream { place, rekeyed: false, key_serde: Some(key_serde), value_serde: Some(value_serde) }
    }
}

/// A repartition topic to be put in.
pub(crate) struct NewRepartition<K, V> {
    /// The operator that `.named(..)` names.
    pub(crate) operator: OperatorId,
    /// What topic and nodes are named after.
    pub(crate) base: Name,
    pub(crate) key_serde: SharedSerde<K>,
    pub(crate) value_serde: SharedSerde<V>,
    /// See [`RepartitionName::mergeable`].
    pub(crate) mergeable: bool,
    pub(crate) partitions: Option<i32>,
    pub(crate) partitioner: Partitioner<K, V>,
}

impl<K, V> NewRepartition<K, V> {
    /// A repartition that belongs to another operator, named after `base`.
    pub(crate) fn of(
        operator: OperatorId,
        base: &Name,
        keys: &SharedSerde<K>,
        values: &SharedSerde<V>,
    ) -> Self {
        NewRepartition {
            operator,
            base: base.clone(),
            key_serde: Arc::clone(keys),
            value_serde: Arc::clone(values),
            mergeable: true,
            partitions: None,
            partitioner: Partitioner::default(),
        }
    }
}

/// Puts a repartition topic behind a place.
pub(crate) fn add_repartition<K: Data, V: Data>(place: &Place, new: NewRepartition<K, V>) -> Place {
    let mut plan = place.plan.borrow_mut();
    let mut generate = |prefix| plan.generate(prefix).into();
    let generated = [generate("KSTREAM-SINK-"), generate("KSTREAM-FILTER-"), generate("KSTREAM-SOURCE-")];
    let operator = new.operator;
    let name = new.base.clone();
    let tag =
        NodeTag::Repartition(RepartitionName { base: new.base.clone(), generated, mergeable: new.mergeable });
    let lower = move |lowering: &mut Lowering<'_>| lower(&new, lowering);
    let node = plan.add(PlanNode::new(name, [place.node], lower).tagged(tag));
    drop(plan);
    Place { plan: Rc::clone(&place.plan), node, operator, sources: [node].into() }
}

fn lower<K: Data, V: Data>(new: &NewRepartition<K, V>, lowering: &mut Lowering<'_>) {
    let Some(nodes) = lowering.repartition() else { return };
    let keep_null_keys = lowering.keeps_null_keys();
    let parents = lowering.parents().to_vec();
    let (keys, values) = (&new.key_serde, &new.value_serde);
    let sink = SinkSpec::new(
        SinkTopic::Fixed(Arc::clone(&nodes.topic)),
        Arc::clone(keys),
        Arc::clone(values),
        new.partitioner.clone(),
    );
    let source = SourceNode::new(Arc::clone(keys), Arc::clone(values), TimestampExtractor::FailOnInvalid);
    let source = SourceSpec::new(Topics::Named(vec![Arc::clone(&nodes.topic)]), source);
    let filter = key_filter::<K, V>(Arc::clone(keys), keep_null_keys);
    let topic = InternalTopic { partitions: new.partitions };
    lowering
        .builder
        .add_internal_topic(Arc::clone(&nodes.topic), topic)
        .add_processor(Arc::clone(&nodes.filter), &parents, filter)
        .add_sink(nodes.sink, &[nodes.filter], sink)
        .add_source(nodes.source, source);
}

/// Keeps records without a key out, silently as in Kafka Streams.
fn key_filter<K: Data, V: Data>(keys: SharedSerde<K>, keep_null_keys: bool) -> ProcessorSpec {
    step::<K, V, K, V>(move |slot, context| match slot {
        Some(record) if keep_null_keys || !keys.is_null(&record.key) => context.forward_slot(slot),
        _ => Ok(()),
    })
}
