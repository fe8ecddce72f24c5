//! DescribeAcls (key 29), versions 1 to 3: the access control entries that a filter means, by resource.
//!
//! Without an authorizer it is answered with error 54. Left out: delegation tokens and users as resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::describe_acls_response::{AclDescription, DescribeAclsResource};
use kafka_protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext, acls};
use crate::broker::Broker;
use crate::security::{AclBinding, FilterNumbers, Operation, PatternType, ResourceType};
use crate::topics::Refusal;

/// The handler.
pub(crate) struct DescribeAcls;

impl Api for DescribeAcls {
    type Request = DescribeAclsRequest;
    const VERSIONS: (i16, i16) = (1, 3);
    const SHAPE: &'static str = "1 s 1 s s 1 1";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: DescribeAclsRequest,
    ) -> Reply<DescribeAclsResponse> {
        let response = DescribeAclsResponse::default();
        Reply::Now(match find(&broker, &context, request) {
            Ok(entries) => response.with_resources(by_resource(entries)),
            Err((code, reason)) => {
                response.with_error_code(code.code()).with_error_message(Some(StrBytes::from_string(reason)))
            }
        })
    }
}

fn find(
    broker: &Broker,
    context: &RequestContext,
    request: DescribeAclsRequest,
) -> Result<Vec<AclBinding>, Refusal> {
    let authorizer = acls::authorizer(broker, context, Operation::Describe)?;
    let numbers = FilterNumbers {
        resource_type: request.resource_type_filter,
        pattern_type: request.pattern_type_filter,
        operation: request.operation,
        permission: request.permission_type,
    };
    let filter =
        acls::filter(numbers, request.resource_name_filter, request.principal_filter, request.host_filter)?;
    Ok(authorizer.find(&filter))
}

fn by_resource(entries: Vec<AclBinding>) -> Vec<DescribeAclsResource> {
    let mut resources: BTreeMap<_, Vec<AclDescription>> = BTreeMap::new();
    for entry in entries {
        let description = AclDescription::default()
            .with_principal(StrBytes::from_string(entry.principal))
            .with_host(StrBytes::from_string(entry.host))
            .with_operation(entry.operation as i8)
            .with_permission_type(entry.permission as i8);
        resources.entry((entry.resource_type, entry.pattern_type, entry.name)).or_default().push(description);
    }
    let resource = |((kind, pattern, name), acls): ((ResourceType, PatternType, String), _)| {
        DescribeAclsResource::default()
            .with_resource_type(kind as i8)
            .with_resource_name(StrBytes::from_string(name))
            .with_pattern_type(pattern as i8)
            .with_acls(acls)
    };
    resources.into_iter().map(resource).collect()
}
