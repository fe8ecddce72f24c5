//! DeleteTopics (key 20), versions 1 to 6: by name, from version 6 also by id.

use std::sync::Arc;

use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext, blocking};
use crate::broker::Broker;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};

/// The handler.
pub(crate) struct DeleteTopics;

impl Api for DeleteTopics {
    type Request = DeleteTopicsRequest;
    const VERSIONS: (i16, i16) = (1, 6);
    const SHAPE: &'static str = "6+:[(s 16)] -5:[s] 4";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: DeleteTopicsRequest,
    ) -> Reply<DeleteTopicsResponse> {
        let by_name =
            request.topic_names.into_iter().map(|name| DeleteTopicState::default().with_name(Some(name)));
        let mut responses = Vec::new();
        for state in request.topics.into_iter().chain(by_name) {
            responses.push(delete(&broker, &context, state).await);
        }
        Reply::Now(DeleteTopicsResponse::default().with_responses(responses))
    }
}

async fn delete(
    broker: &Arc<Broker>,
    context: &RequestContext,
    state: DeleteTopicState,
) -> DeletableTopicResult {
    let version = context.version;
    let (topic, missing) = match &state.name {
        Some(name) => (broker.topics().get(name), ErrorCode::UnknownTopicOrPartition),
        None => (broker.topics().get_by_id(&state.topic_id), ErrorCode::UnknownTopicId),
    };
    let mut result = DeletableTopicResult::default().with_name(state.name).with_topic_id(state.topic_id);
    // Without a topic that can be seen, only the name of the request is there to judge by.
    let name = topic.as_ref().map(|topic| topic.name.to_string());
    let name = name.or_else(|| result.name.as_ref().map(|name| name.to_string())).unwrap_or_default();
    let allowed = context.check(Operation::Delete, Resource::Topic(&name));
    let is_refused = allowed.is_err() && (topic.is_some() || result.name.is_some());
    let deleted = match topic {
        _ if is_refused => allowed.map_err(|code| (code, String::new())),
        None => Err((missing, "This server does not host this topic.".to_owned())),
        Some(topic) => {
            result.name = Some(TopicName(StrBytes::from_string(topic.name.to_string())));
            result.topic_id = topic.id;
            let broker = Arc::clone(broker);
            blocking(move || broker.topics().delete(&topic))
                .await
                .unwrap_or_else(|code| Err((code, String::new())))
        }
    };
    if version < 6 {
        result.topic_id = uuid::Uuid::nil();
    }
    if let Err((code, reason)) = deleted {
        result.error_code = code.code();
        result.error_message = (version >= 5).then(|| StrBytes::from_string(reason));
    }
    result
}
