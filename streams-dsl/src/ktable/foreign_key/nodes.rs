//! The nodes, topics and the store of a foreign-key join, as the plan has them.

use std::rc::Rc;
use std::sync::Arc;

use streams_core::processor::{Partitioner, SinkTopic, SourceNode, TimestampExtractor};
use streams_core::record::Data;
use streams_core::serdes::Nullable;
use streams_core::topology::{InternalTopic, SinkSpec, SourceSpec, Topics};

use super::super::KTable;
use super::parts::Parts;
use super::result::SharedResult;
use super::wire::{Response, ResponseSerde, Subscription};
use super::{resolve, send, subscribe};
use crate::options::{SharedSerde, TableJoined};
use crate::plan::{Lowering, Name, NodeId, NodeTag, OperatorId, Place, Plan, PlanNode};

const REGISTRATION: &str = "KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-";
const RESPONSE: &str = "KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-";
const SUBSCRIPTION: &str = "KTABLE-FK-JOIN-SUBSCRIPTION-PROCESSOR-";
const SINK: &str = "KSTREAM-SINK-";
const SOURCE: &str = "KSTREAM-SOURCE-";

/// The names, in the order in which Kafka Streams takes their numbers.
pub(super) struct Nodes {
    operator: OperatorId,
    registration_topic: Name,
    send: Name,
    registration_sink: Name,
    registration_source: Name,
    store: Name,
    receive: Name,
    join: Name,
    foreign: Name,
    response_topic: Name,
    response_sink: Name,
    response_source: Name,
    resolver: Name,
    result: Name,
}

impl Nodes {
    /// Takes the numbers.
    pub(super) fn generate(at: &Place) -> Nodes {
        let mut plan = at.plan.borrow_mut();
        let operator = plan.operator();
        let mut name = |suffix: &str, prefix: &str| Name::suffixed(operator, suffix, plan.generate(prefix));
        Nodes {
            operator,
            registration_topic: name("-subscription-registration", REGISTRATION),
            send: name("-subscription-registration-processor", REGISTRATION),
            registration_sink: name("-subscription-registration-sink", SINK),
            registration_source: name("-subscription-registration-source", SOURCE),
            store: name("-subscription-store", "KTABLE-FK-JOIN-SUBSCRIPTION-STATE-STORE-"),
            receive: name("-subscription-receive", SUBSCRIPTION),
            join: name("-subscription-join-foreign", SUBSCRIPTION),
            foreign: name("-foreign-join-subscription", SUBSCRIPTION),
            response_topic: name("-subscription-response", RESPONSE),
            response_sink: name("-subscription-response-sink", SINK),
            response_source: name("-subscription-response-source", SOURCE),
            resolver: name(
                "-subscription-response-resolver",
                "KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-RESOLVER-PROCESSOR-",
            ),
            result: name("-result", "KTABLE-FK-JOIN-OUTPUT-"),
        }
    }

    /// Adds all nodes but the last, and answers with the place of the resolver.
    pub(super) fn add<K: Data, V: Data, FK: Data, FV: Data, R: Data>(
        &self,
        left: &KTable<K, V>,
        right: &KTable<FK, FV>,
        parts: &Rc<Parts<K, V, FK, FV, R>>,
        joined: &TableJoined<K, V, FK, FV>,
    ) -> Place {
        if !left.place.shares_plan(&right.place) {
            left.place.sources_with(&right.place);
            return left.place.clone();
        }
        let (left_rows, right_rows) = (left.logic.view(), right.logic.view());
        let mut plan = left.place.plan.borrow_mut();
        let of_node = Rc::clone(parts);
        let send = plan.add(PlanNode::new(self.send.clone(), [left.place.node], move |lowering| {
            lowering.processor(send::spec(&of_node));
        }));
        let subscriptions = self.add_subscription_topic(&mut plan, send, parts, joined);
        let (store_name, of_node) = (self.store.clone(), Rc::clone(parts));
        let receive = plan.add(PlanNode::new(self.receive.clone(), [subscriptions], move |lowering| {
            let name = lowering.resolve(&store_name);
            lowering.processor(subscribe::receive_spec::<K, FK>(Arc::clone(&name)));
            lowering.builder.add_store::<&str>(of_node.store(name), &[]);
        }));
        let join = plan.add(PlanNode::new(self.join.clone(), [receive], move |lowering| {
            lowering.processor(subscribe::join_spec::<K, FK, FV>(&right_rows));
        }));
        let (store_name, of_node) = (self.store.clone(), Rc::clone(parts));
        let foreign = plan.add(PlanNode::new(self.foreign.clone(), [right.place.node], move |lowering| {
            lowering.processor(subscribe::foreign_spec(&of_node, lowering.resolve(&store_name)));
        }));
        let responses = self.add_response_topic(&mut plan, [join, foreign], parts, joined);
        let (of_node, left_sources) = (Rc::clone(parts), Rc::clone(&left.place.sources));
        let right_sources = Rc::clone(&right.place.sources);
        let resolver = plan.add(PlanNode::new(self.resolver.clone(), [responses], move |lowering| {
            lowering.processor(resolve::spec(&of_node, &left_rows));
            lowering.copartition(&with(&right_sources, subscriptions));
            lowering.copartition(&with(&left_sources, responses));
        }));
        let sources = with(&left.place.sources, responses).into();
        drop(plan);
        Place { plan: Rc::clone(&left.place.plan), node: resolver, operator: self.operator, sources }
    }

    /// Adds the node of the result behind the resolver.
    pub(super) fn add_result<K: Data, R: Data>(&self, resolver: &Place, result: SharedResult<K, R>) -> Place {
        resolver.append(self.operator, self.result.clone(), NodeTag::Plain, move |lowering| {
            lowering.processor(result.spec());
            if let Some(store) = result.store() {
                store.add_to(lowering);
            }
        })
    }

    fn add_subscription_topic<K: Data, V: Data, FK: Data, FV: Data, R: Data>(
        &self,
        plan: &mut Plan,
        send: NodeId,
        parts: &Parts<K, V, FK, FV, R>,
        joined: &TableJoined<K, V, FK, FV>,
    ) -> NodeId {
        let partitioner = match joined.other_partitioner.clone() {
            None => Partitioner::default(),
            Some(chosen) => Partitioner::Custom(Arc::new(
                move |topic: &str, key: &Option<FK>, _: &Subscription<K>, partitions: i32| {
                    key.as_ref().and_then(|key| chosen.partition(topic, key, &(), partitions))
                },
            )),
        };
        let keys: SharedSerde<Option<FK>> = Arc::new(Nullable(Arc::clone(&parts.foreign_keys)));
        let topic = Topic { name: self.registration_topic.clone(), keys, values: parts.subscriptions() };
        topic.add(plan, &[send], (&self.registration_sink, &self.registration_source), partitioner)
    }

    fn add_response_topic<K: Data, V: Data, FK: Data, FV: Data, R: Data>(
        &self,
        plan: &mut Plan,
        parents: [NodeId; 2],
        parts: &Parts<K, V, FK, FV, R>,
        joined: &TableJoined<K, V, FK, FV>,
    ) -> NodeId {
        let chosen = joined.partitioner.clone();
        let partitioner = Partitioner::Custom(Arc::new(
            move |topic: &str, key: &K, response: &Response<FV>, partitions: i32| match &chosen {
                Some(chosen) => chosen.partition(topic, key, &(), partitions),
                None => response.partition,
            },
        ));
        let values: SharedSerde<Response<FV>> = Arc::new(ResponseSerde(Arc::clone(&parts.foreign_values)));
        let topic = Topic { name: self.response_topic.clone(), keys: Arc::clone(&parts.keys), values };
        topic.add(plan, &parents, (&self.response_sink, &self.response_source), partitioner)
    }
}

/// A topic between both tables.
struct Topic<K, V> {
    /// Its name but for the end, `-topic`.
    name: Name,
    keys: SharedSerde<K>,
    values: SharedSerde<V>,
}

impl<K: Data, V: Data> Topic<K, V> {
    /// Adds the topic's sink and source, and answers with the source.
    fn add(
        self,
        plan: &mut Plan,
        parents: &[NodeId],
        (sink, source): (&Name, &Name),
        partitioner: Partitioner<K, V>,
    ) -> NodeId {
        let topic = Rc::new(self);
        let of_sink = Rc::clone(&topic);
        plan.add(PlanNode::new(sink.clone(), parents, move |lowering| {
            let name = of_sink.full_name(lowering);
            let (keys, values) = (Arc::clone(&of_sink.keys), Arc::clone(&of_sink.values));
            lowering.builder.add_internal_topic(Arc::clone(&name), InternalTopic { partitions: None });
            lowering.sink(SinkSpec::new(SinkTopic::Fixed(name), keys, values, partitioner.clone()));
        }));
        plan.add(PlanNode::new(source.clone(), [], move |lowering| {
            let (keys, values) = (Arc::clone(&topic.keys), Arc::clone(&topic.values));
            let decoder = SourceNode::new(keys, values, TimestampExtractor::FailOnInvalid);
            let topics = Topics::Named(vec![topic.full_name(lowering)]);
            lowering.source(SourceSpec::new(topics, decoder));
        }))
    }

    fn full_name(&self, lowering: &Lowering<'_>) -> Arc<str> {
        format!("{}-topic", lowering.resolve(&self.name)).into()
    }
}

fn with(sources: &[NodeId], one: NodeId) -> Vec<NodeId> {
    sources.iter().copied().chain([one]).collect()
}
