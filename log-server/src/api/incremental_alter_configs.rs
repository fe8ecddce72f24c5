//! IncrementalAlterConfigs (key 44), versions 0 and 1: sets, deletes, and changes lists of single configurations of
//! a topic. Left out: brokers, loggers, groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::alter_configs::configure;
use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::protocol::ErrorCode;
use crate::topics::{ConfigType, Refusal, definition};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// The handler.
pub(crate) struct IncrementalAlterConfigs;

impl Api for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    const VERSIONS: (i16, i16) = (0, 1);
    const SHAPE: &'static str = "[(1 s [(s 1 s)])] 1";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: IncrementalAlterConfigsRequest,
    ) -> Reply<IncrementalAlterConfigsResponse> {
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
        Reply::Now(IncrementalAlterConfigsResponse::default().with_responses(responses))
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
        move |overrides| resource.configs.iter().try_for_each(|config| apply(overrides, config)),
    )
    .await
}

fn apply(overrides: &mut BTreeMap<String, String>, config: &AlterableConfig) -> Result<(), Refusal> {
    let name = config.name.to_string();
    if config.config_operation == DELETE {
        overrides.remove(&name);
        return Ok(());
    }
    let invalid = |reason: String| (ErrorCode::InvalidConfig, reason);
    let value =
        config.value.as_deref().ok_or_else(|| invalid(format!("Null value not supported for {name}")))?;
    let known = definition(&name).ok_or_else(|| invalid(format!("Unknown topic config name: {name}")))?;
    if config.config_operation == SET {
        overrides.insert(name, value.to_owned());
        return Ok(());
    }
    if known.kind != ConfigType::List {
        return Err(invalid(format!("Can't {} to {name}: it is no list", config.config_operation)));
    }
    let current = overrides.get(&name).map_or(known.default, String::as_str).to_owned();
    let mut items: Vec<&str> = current.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    for item in value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        match config.config_operation {
            APPEND if !items.contains(&item) => items.push(item),
            APPEND => {}
            SUBTRACT => items.retain(|known| *known != item),
            other => return Err((ErrorCode::InvalidRequest, format!("Unknown operation {other}"))),
        }
    }
    overrides.insert(name, items.join(","));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(operation: i8, value: &str, before: &str) -> Result<String, Refusal> {
        let mut overrides = BTreeMap::from([("cleanup.policy".to_owned(), before.to_owned())]);
        let config = AlterableConfig::default()
            .with_name(StrBytes::from_static_str("cleanup.policy"))
            .with_config_operation(operation)
            .with_value(Some(StrBytes::from_string(value.to_owned())));
        apply(&mut overrides, &config)?;
        Ok(overrides.remove("cleanup.policy").unwrap_or_default())
    }

    #[test]
    fn lists_are_appended_to_and_subtracted_from() {
        assert_eq!(change(APPEND, "compact", "delete").unwrap(), "delete,compact");
        assert_eq!(change(APPEND, "compact", "compact").unwrap(), "compact");
        assert_eq!(change(SUBTRACT, "delete", "delete,compact").unwrap(), "compact");
        assert_eq!(change(SET, "compact", "delete").unwrap(), "compact");
        assert_eq!(change(DELETE, "", "delete").unwrap(), "");
        assert!(change(9, "x", "delete").is_err());
    }
}
