//! CreateTopics (key 19), versions 2 to 7.
//!
//! -1 partitions or replicas mean the default; there is one replica, so any other number is refused. Replica
//! assignments are taken for their number of partitions. Version 5 answers with the configuration, 7 with the id.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{Api, Reply, RequestContext, blocking};
use crate::broker::{Broker, NODE_ID};
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};
use crate::topics::{CreateTopic, DEFINITIONS, Refusal, Topic, TopicConfig};

/// The handler.
pub(crate) struct CreateTopics;

impl Api for CreateTopics {
    type Request = CreateTopicsRequest;
    const VERSIONS: (i16, i16) = (2, 7);
    const SHAPE: &'static str = "[(s 4 2 [(4 [4])] [(s s)])] 4 1";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: CreateTopicsRequest,
    ) -> Reply<CreateTopicsResponse> {
        let mut seen = HashSet::new();
        let repeated: HashSet<_> = request
            .topics
            .iter()
            .filter(|topic| !seen.insert(&topic.name))
            .map(|topic| topic.name.clone())
            .collect();
        let mut results = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let name = topic.name.clone();
            let created = if repeated.contains(&name) {
                Err((ErrorCode::InvalidRequest, "Duplicate topic name.".to_owned()))
            } else if may_create(&context, &name) {
                create(&broker, topic, request.validate_only).await
            } else {
                Err((ErrorCode::TopicAuthorizationFailed, String::new()))
            };
            let mut result = answer(created, context.version);
            if !context.allows(Operation::DescribeConfigs, Resource::Topic(&name)) {
                hide_configs(&mut result);
            }
            result.name = name;
            results.push(result);
        }
        Reply::Now(CreateTopicsResponse::default().with_topics(results))
    }
}

/// Whether the client may create the topic: the right to create any topic is one on the cluster.
pub(super) fn may_create(context: &RequestContext, name: &str) -> bool {
    context.allows(Operation::Create, Resource::Cluster)
        || context.allows(Operation::Create, Resource::Topic(name))
}

/// Leaves out what a client is not to know that may create a topic but not see its configuration.
fn hide_configs(result: &mut CreatableTopicResult) {
    if result.error_code == 0 && result.configs.take().is_some() {
        result.topic_config_error_code = ErrorCode::TopicAuthorizationFailed.code();
        result.num_partitions = -1;
        result.replication_factor = -1;
    }
}

/// A topic that was created, or could have been.
struct Created {
    id: Uuid,
    partitions: i32,
    config: Arc<TopicConfig>,
}

async fn create(
    broker: &Arc<Broker>,
    topic: CreatableTopic,
    validate_only: bool,
) -> Result<Created, Refusal> {
    let mut request = CreateTopic {
        name: topic.name.to_string(),
        partitions: (topic.num_partitions != -1).then_some(topic.num_partitions),
        configs: BTreeMap::new(),
    };
    if Topic::is_internal_name(&request.name) {
        let reason =
            format!("Topic '{}' belongs to the server, which makes it when it is needed.", request.name);
        return Err((ErrorCode::TopicAlreadyExists, reason));
    }
    if !topic.assignments.is_empty() {
        let ours =
            |assignment: &kafka_protocol::messages::create_topics_request::CreatableReplicaAssignment| {
                assignment.broker_ids == [NODE_ID]
            };
        if !topic.assignments.iter().all(ours) {
            let reason = format!("The only broker is {}.", NODE_ID.0);
            return Err((ErrorCode::InvalidReplicaAssignment, reason));
        }
        request.partitions = Some(topic.assignments.len() as i32);
    } else if !matches!(topic.replication_factor, -1 | 1) {
        let reason = format!(
            "Replication factor is {}, but there is one broker: use 1 or -1.",
            topic.replication_factor
        );
        return Err((ErrorCode::InvalidReplicationFactor, reason));
    }
    for config in topic.configs {
        let value = config.value.ok_or_else(|| {
            (ErrorCode::InvalidConfig, format!("Null value not supported for topic config: {}", config.name))
        })?;
        request.configs.insert(config.name.to_string(), value.to_string());
    }
    let broker = Arc::clone(broker);
    let created = blocking(move || {
        if validate_only {
            let (partitions, config) = broker.topics().check_creation(&request)?;
            return Ok(Created { id: Uuid::nil(), partitions, config: Arc::new(config) });
        }
        let topic = broker.topics().create(&request)?;
        Ok(Created { id: topic.id, partitions: topic.partitions().len() as i32, config: topic.config() })
    });
    created.await.unwrap_or_else(|code| Err((code, String::new())))
}

fn answer(created: Result<Created, Refusal>, version: i16) -> CreatableTopicResult {
    let result = CreatableTopicResult::default();
    match created {
        Err((code, reason)) => result
            .with_error_code(code.code())
            .with_error_message(Some(StrBytes::from_string(reason)))
            .with_configs(if version >= 5 { Some(Vec::new()) } else { None }),
        Ok(created) if version >= 5 => {
            let configs = DEFINITIONS.iter().map(|definition| {
                let (value, source) = created.config.get(definition.name);
                CreatableTopicConfigs::default()
                    .with_name(StrBytes::from_static_str(definition.name))
                    .with_value(Some(StrBytes::from_string(value.to_owned())))
                    .with_config_source(source as i8)
            });
            let id = if version >= 7 { created.id } else { Uuid::nil() };
            result
                .with_topic_id(id)
                .with_num_partitions(created.partitions)
                .with_replication_factor(1)
                .with_configs(Some(configs.collect()))
        }
        Ok(_) => result,
    }
}
