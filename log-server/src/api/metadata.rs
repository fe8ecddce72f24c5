//! Metadata (key 3), versions 0 to 12: the one broker, and topics with their partitions.
//!
//! The broker's address is the one by which the client reached it. Topics that do not exist are created if the
//! request and the server allow it (always before version 4, which has no flag for it). Version 10 brought topic
//! ids, version 12 asking by id alone. Topics that the client may not
//! look at are hidden when it asks for all, and refused when it names them.

use std::sync::Arc;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext, blocking};
use crate::broker::{Broker, NODE_ID};
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};
use crate::topics::{CreateTopic, Topic, validate_name};

/// All operations on a topic, as a bit each: read, write, create, delete, alter, describe, configs.
pub(super) const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// All operations on a cluster.
pub(super) const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

/// The handler.
pub(crate) struct Metadata;

impl Api for Metadata {
    type Request = MetadataRequest;
    const VERSIONS: (i16, i16) = (0, 12);
    const SHAPE: &'static str = "[(10+:16 s)] 4+:1 8-10:1 8+:1";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: MetadataRequest,
    ) -> Reply<MetadataResponse> {
        let version = context.version;
        let may_create = version < 4 || request.allow_auto_topic_creation;
        let with_operations = version >= 8 && request.include_topic_authorized_operations;
        let wanted = request.topics.filter(|topics| version > 0 || !topics.is_empty());
        let mut topics = Vec::new();
        match wanted {
            None => {
                let all = broker.topics().all();
                let visible = all
                    .iter()
                    .filter(|topic| context.allows(Operation::Describe, Resource::Topic(&topic.name)));
                topics.extend(visible.map(|topic| describe(topic)));
            }
            Some(wanted) => {
                for topic in wanted {
                    topics.push(find_or_create(&broker, &context, topic, may_create).await);
                }
            }
        }
        for topic in topics.iter_mut().filter(|topic| with_operations && topic.error_code == 0) {
            let name = topic.name.as_ref().map_or("", |name| name.as_str());
            topic.topic_authorized_operations =
                context.access().operations(TOPIC_OPERATIONS, Resource::Topic(name));
        }
        let (host, port) = context.session.advertised();
        let mut response = MetadataResponse::default()
            .with_brokers(vec![
                MetadataResponseBroker::default()
                    .with_node_id(NODE_ID)
                    .with_host(StrBytes::from_string(host))
                    .with_port(i32::from(port)),
            ])
            .with_cluster_id(Some(StrBytes::from_string(broker.cluster_id().to_owned())))
            .with_controller_id(NODE_ID)
            .with_topics(topics);
        if (8..=10).contains(&version) && request.include_cluster_authorized_operations {
            response.cluster_authorized_operations =
                context.access().operations(CLUSTER_OPERATIONS, Resource::Cluster);
        }
        Reply::Now(response)
    }
}

async fn find_or_create(
    broker: &Arc<Broker>,
    context: &RequestContext,
    wanted: MetadataRequestTopic,
    may_create: bool,
) -> MetadataResponseTopic {
    let Some(name) = wanted.name else {
        return match broker.topics().get_by_id(&wanted.topic_id) {
            Some(topic) => match context.check(Operation::Describe, Resource::Topic(&topic.name)) {
                Ok(()) => describe(&topic),
                // The id is not secret, the name is.
                Err(code) => MetadataResponseTopic::default()
                    .with_name(None)
                    .with_topic_id(wanted.topic_id)
                    .with_error_code(code.code()),
            },
            None => MetadataResponseTopic::default()
                .with_topic_id(wanted.topic_id)
                .with_error_code(ErrorCode::UnknownTopicId.code()),
        };
    };
    let refused = |code: ErrorCode| {
        MetadataResponseTopic::default().with_name(Some(name.clone())).with_error_code(code.code())
    };
    if let Err(code) = context.check(Operation::Describe, Resource::Topic(&name)) {
        return refused(code);
    }
    if let Some(topic) = broker.topics().get(&name) {
        return describe(&topic);
    }
    if validate_name(&name).is_err() {
        return refused(ErrorCode::InvalidTopicException);
    }
    if !may_create || !broker.config().auto_create_topics || name.starts_with("__") {
        return refused(ErrorCode::UnknownTopicOrPartition);
    }
    if !super::create_topics::may_create(context, &name) {
        return refused(ErrorCode::TopicAuthorizationFailed);
    }
    let request = CreateTopic { name: name.to_string(), ..CreateTopic::default() };
    let creating = Arc::clone(broker);
    match blocking(move || creating.topics().create(&request)).await {
        Ok(Ok(topic)) => describe(&topic),
        Ok(Err((ErrorCode::TopicAlreadyExists, _))) => broker
            .topics()
            .get(&name)
            .map_or_else(|| refused(ErrorCode::LeaderNotAvailable), |topic| describe(&topic)),
        Ok(Err((code, _))) | Err(code) => refused(code),
    }
}

fn describe(topic: &Topic) -> MetadataResponseTopic {
    let partitions = topic
        .partitions()
        .iter()
        .map(|log| {
            MetadataResponsePartition::default()
                .with_partition_index(log.partition())
                .with_leader_id(NODE_ID)
                .with_leader_epoch(log.leader_epoch())
                .with_replica_nodes(vec![NODE_ID])
                .with_isr_nodes(vec![NODE_ID])
        })
        .collect();
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(topic.name.to_string()))))
        .with_topic_id(topic.id)
        .with_is_internal(topic.is_internal())
        .with_partitions(partitions)
}
