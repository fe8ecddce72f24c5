//! DeleteAcls (key 31), versions 1 to 3: removes the access control entries that filters mean, and says which they
//! were; they are gone from the disk before the answer.
//!
//! Without an authorizer it is answered with error 54. Left out: delegation tokens and users as resources.

use std::sync::Arc;

use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl};
use kafka_protocol::messages::{DeleteAclsRequest, DeleteAclsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext, acls, blocking};
use crate::broker::Broker;
use crate::security::{AclBinding, AclFilter, FilterNumbers, Operation};
use crate::topics::Refusal;

/// The handler.
pub(crate) struct DeleteAcls;

impl Api for DeleteAcls {
    type Request = DeleteAclsRequest;
    const VERSIONS: (i16, i16) = (1, 3);
    const SHAPE: &'static str = "[(1 s 1 s s 1 1)]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: DeleteAclsRequest,
    ) -> Reply<DeleteAclsResponse> {
        let authorizer = acls::authorizer(&broker, &context, Operation::Alter);
        let filters: Vec<Result<AclFilter, Refusal>> = request.filters.into_iter().map(filter).collect();
        let sound: Vec<AclFilter> =
            filters.iter().filter_map(|filter| filter.as_ref().ok().cloned()).collect();
        let removed = match authorizer {
            Ok(authorizer) => {
                tracing::info!(principal = %context.access().principal(), filters = sound.len(), "removing ACLs");
                blocking(move || authorizer.remove(&sound))
                    .await
                    .unwrap_or_else(|code| Err((code, String::new())))
            }
            Err(refusal) => Err(refusal),
        };
        let results: Vec<_> = match removed {
            Err(refusal) => filters.iter().map(|_| refused(refusal.clone())).collect(),
            Ok(removed) => {
                let mut removed = removed.into_iter();
                let result = |filter: Result<AclFilter, Refusal>| match filter {
                    Ok(_) => matching(removed.next().unwrap_or_default()),
                    Err(refusal) => refused(refusal),
                };
                filters.into_iter().map(result).collect()
            }
        };
        Reply::Now(DeleteAclsResponse::default().with_filter_results(results))
    }
}

fn filter(filter: DeleteAclsFilter) -> Result<AclFilter, Refusal> {
    let numbers = FilterNumbers {
        resource_type: filter.resource_type_filter,
        pattern_type: filter.pattern_type_filter,
        operation: filter.operation,
        permission: filter.permission_type,
    };
    acls::filter(numbers, filter.resource_name_filter, filter.principal_filter, filter.host_filter)
}

fn refused((code, reason): Refusal) -> DeleteAclsFilterResult {
    DeleteAclsFilterResult::default()
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_string(reason)))
}

fn matching(entries: Vec<AclBinding>) -> DeleteAclsFilterResult {
    let acl = |entry: AclBinding| {
        DeleteAclsMatchingAcl::default()
            .with_resource_type(entry.resource_type as i8)
            .with_resource_name(StrBytes::from_string(entry.name))
            .with_pattern_type(entry.pattern_type as i8)
            .with_principal(StrBytes::from_string(entry.principal))
            .with_host(StrBytes::from_string(entry.host))
            .with_operation(entry.operation as i8)
            .with_permission_type(entry.permission as i8)
    };
    DeleteAclsFilterResult::default().with_matching_acls(entries.into_iter().map(acl).collect())
}
