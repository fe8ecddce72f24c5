//! DescribeConfigs (key 32), versions 1 to 4: all configurations of topics and of the broker, with where each
//! value comes from.
//!
//! Version 1 brought synonyms, 3 types and documentation. Left out: loggers, client metrics and groups.

use std::sync::Arc;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext};
use crate::broker::{Broker, NODE_ID};
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};
use crate::topics::{ConfigSource, ConfigType, DEFINITIONS, Refusal, Topic};

/// Kinds of resources, by number.
pub(super) const TOPIC_RESOURCE: i8 = 2;
pub(super) const BROKER_RESOURCE: i8 = 4;

/// The handler.
pub(crate) struct DescribeConfigs;

/// What the request wants to know beside names and values.
#[derive(Clone, Copy)]
struct Detail {
    synonyms: bool,
    kinds: bool,
    documentation: bool,
}

impl Api for DescribeConfigs {
    type Request = DescribeConfigsRequest;
    const VERSIONS: (i16, i16) = (1, 4);
    const SHAPE: &'static str = "[(1 s [s])] 1 3+:1";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: DescribeConfigsRequest,
    ) -> Reply<DescribeConfigsResponse> {
        let detail = Detail {
            synonyms: request.include_synonyms,
            kinds: context.version >= 3,
            documentation: request.include_documentation,
        };
        let results = request
            .resources
            .into_iter()
            .map(|resource| describe(&broker, &context, resource, detail))
            .collect();
        Reply::Now(DescribeConfigsResponse::default().with_results(results))
    }
}

fn describe(
    broker: &Broker,
    context: &RequestContext,
    resource: DescribeConfigsResource,
    detail: Detail,
) -> DescribeConfigsResult {
    let named = match resource.resource_type {
        TOPIC_RESOURCE => Resource::Topic(&resource.resource_name),
        _ => Resource::Cluster,
    };
    let allowed = context.check(Operation::DescribeConfigs, named);
    let configs = match resource.resource_type {
        _ if allowed.is_err() => allowed.map(|()| Vec::new()).map_err(|code| (code, String::new())),
        TOPIC_RESOURCE => match broker.topics().get(&resource.resource_name) {
            Some(topic) => Ok(topic_configs(&topic, detail)),
            None => Err((
                ErrorCode::UnknownTopicOrPartition,
                format!("Topic '{}' does not exist.", resource.resource_name),
            )),
        },
        BROKER_RESOURCE => broker_configs(broker, &resource.resource_name, detail),
        other => Err((ErrorCode::InvalidRequest, format!("Resource type {other} is not supported."))),
    };
    let result = DescribeConfigsResult::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name);
    match configs {
        Err((code, reason)) => {
            result.with_error_code(code.code()).with_error_message(Some(StrBytes::from_string(reason)))
        }
        Ok(mut configs) => {
            if let Some(keys) = resource.configuration_keys.filter(|keys| !keys.is_empty()) {
                configs.retain(|config| keys.contains(&config.name));
            }
            result.with_configs(configs)
        }
    }
}

fn topic_configs(topic: &Topic, detail: Detail) -> Vec<DescribeConfigsResourceResult> {
    let config = topic.config();
    let describe_one = |definition: &crate::topics::ConfigDefinition| {
        let (value, source) = config.get(definition.name);
        let text = |value: &str| Some(StrBytes::from_string(value.to_owned()));
        let mut result = DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(definition.name))
            .with_value(text(value))
            .with_config_source(source as i8);
        if detail.synonyms {
            let known = [
                (config.overrides().get(definition.name).map(String::as_str), ConfigSource::Topic),
                (
                    config.server_defaults().get(definition.name).map(String::as_str),
                    ConfigSource::StaticBroker,
                ),
                (Some(definition.default), ConfigSource::Default),
            ];
            let synonyms = known.into_iter().filter_map(|(value, source)| {
                Some(
                    DescribeConfigsSynonym::default()
                        .with_name(StrBytes::from_static_str(definition.name))
                        .with_value(text(value?))
                        .with_source(source as i8),
                )
            });
            result.synonyms = synonyms.collect();
        }
        if detail.kinds {
            result.config_type = definition.kind as i8;
        }
        if detail.documentation {
            result.documentation = text(definition.doc);
        }
        result
    };
    DEFINITIONS.iter().map(describe_one).collect()
}

fn broker_configs(
    broker: &Broker,
    name: &str,
    detail: Detail,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    if !name.is_empty() && name != NODE_ID.0.to_string() {
        return Err((
            ErrorCode::InvalidRequest,
            format!("Unexpected broker id, expected {} but got {name}", NODE_ID.0),
        ));
    }
    let describe_one = |(name, value, kind): (&'static str, String, ConfigType)| {
        DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_string(value)))
            .with_read_only(true)
            .with_config_source(ConfigSource::StaticBroker as i8)
            .with_config_type(if detail.kinds { kind as i8 } else { 0 })
    };
    Ok(broker.config().described().into_iter().map(describe_one).collect())
}
