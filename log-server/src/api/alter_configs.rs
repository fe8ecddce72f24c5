//! AlterConfigs (key 33), versions 0 to 2: replaces all that is set for a topic.
//!
//! Old clients know only this one; see `incremental_alter_configs`. Left out: brokers, loggers, groups.

use std::sync::Arc;

use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::describe_configs::TOPIC_RESOURCE;
use super::{Api, Reply, RequestContext, blocking};
use crate::broker::Broker;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};
use crate::topics::Refusal;

/// The handler.
pub(crate) struct AlterConfigs;

impl Api for AlterConfigs {
    type Request = AlterConfigsRequest;
    const VERSIONS: (i16, i16) = (0, 2);
    const SHAPE: &'static str = "[(1 s [(s s)])] 1";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: AlterConfigsRequest,
    ) -> Reply<AlterConfigsResponse> {
        let mut responses = Vec::with_capacity(request.resources.len());
        for resource in request.resources {
            let mut response = AlterConfigsResourceResponse::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone());
            if let Err((code, reason)) = alter(&broker, &context, resource, request.validate_only).await {
                response.error_code = code.code();
                response.error_message = Some(StrBytes::from_string(reason));
            }
            responses.push(response);
        }
        Reply::Now(AlterConfigsResponse::default().with_responses(responses))
    }
}

async fn alter(
    broker: &Arc<Broker>,
    context: &RequestContext,
    resource: AlterConfigsResource,
    validate_only: bool,
) -> Result<(), Refusal> {
    configure(
        broker,
        context,
        (resource.resource_type, &resource.resource_name),
        validate_only,
        move |overrides| {
            overrides.clear();
            for config in resource.configs {
                let value = config.value.ok_or_else(|| {
                    (ErrorCode::InvalidRequest, format!("Null value not supported for {}", config.name))
                })?;
                overrides.insert(config.name.to_string(), value.to_string());
            }
            Ok(())
        },
    )
    .await
}

/// Changes what is set for a topic, on a thread that may block.
pub(super) async fn configure(
    broker: &Arc<Broker>,
    context: &RequestContext,
    (resource_type, name): (i8, &str),
    validate_only: bool,
    change: impl FnOnce(&mut std::collections::BTreeMap<String, String>) -> Result<(), Refusal> + Send + 'static,
) -> Result<(), Refusal> {
    let resource = match resource_type {
        TOPIC_RESOURCE => Resource::Topic(name),
        _ => Resource::Cluster,
    };
    context.check(Operation::AlterConfigs, resource).map_err(|code| (code, String::new()))?;
    if resource_type != TOPIC_RESOURCE {
        let reason = format!("Resource type {resource_type} cannot be changed at run time, only topics (2).");
        return Err((ErrorCode::InvalidRequest, reason));
    }
    let topic = broker
        .topics()
        .get(name)
        .ok_or_else(|| (ErrorCode::UnknownTopicOrPartition, format!("The topic '{name}' does not exist.")))?;
    let broker = Arc::clone(broker);
    blocking(move || broker.topics().configure(&topic, change, validate_only))
        .await
        .unwrap_or_else(|code| Err((code, String::new())))
}
