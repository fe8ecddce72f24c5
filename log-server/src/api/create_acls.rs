//! CreateAcls (key 30), versions 1 to 3: adds access control entries; they are on the disk before the answer.
//!
//! All sound entries of a request are added, the others are answered with an error each. Without an authorizer all are
//! answered with error 54. Left out: delegation tokens and users as resources.

use std::sync::Arc;

use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::{CreateAclsRequest, CreateAclsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext, acls, blocking};
use crate::broker::Broker;
use crate::protocol::ErrorCode;
use crate::security::{AclBinding, CLUSTER_NAME, Operation, PatternType, Permission, ResourceType};
use crate::topics::Refusal;

/// The handler.
pub(crate) struct CreateAcls;

impl Api for CreateAcls {
    type Request = CreateAclsRequest;
    const VERSIONS: (i16, i16) = (1, 3);
    const SHAPE: &'static str = "[(1 s 1 s s 1 1)]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: CreateAclsRequest,
    ) -> Reply<CreateAclsResponse> {
        let authorizer = acls::authorizer(&broker, &context, Operation::Alter);
        let checked: Vec<Result<AclBinding, Refusal>> = request.creations.into_iter().map(binding).collect();
        let sound: Vec<AclBinding> =
            checked.iter().filter_map(|entry| entry.as_ref().ok().cloned()).collect();
        let added = match authorizer {
            Ok(authorizer) => {
                tracing::info!(principal = %context.access().principal(), entries = sound.len(), "adding ACLs");
                blocking(move || authorizer.add(sound))
                    .await
                    .unwrap_or_else(|code| Err((code, String::new())))
            }
            Err(refusal) => Err(refusal),
        };
        let results = checked.into_iter().map(|entry| answer(added.clone().and(entry.map(|_| ()))));
        Reply::Now(CreateAclsResponse::default().with_results(results.collect()))
    }
}

fn answer(outcome: Result<(), Refusal>) -> AclCreationResult {
    match outcome {
        Ok(()) => AclCreationResult::default(),
        Err((code, reason)) => AclCreationResult::default()
            .with_error_code(code.code())
            .with_error_message(Some(StrBytes::from_string(reason))),
    }
}

fn binding(creation: AclCreation) -> Result<AclBinding, Refusal> {
    let invalid = |what: &str| (ErrorCode::InvalidRequest, format!("The {what} of the ACL is not valid."));
    let resource_type =
        ResourceType::from_number(creation.resource_type).ok_or_else(|| invalid("resource type"))?;
    let pattern_type =
        PatternType::from_number(creation.resource_pattern_type).ok_or_else(|| invalid("pattern type"))?;
    let operation = Operation::from_number(creation.operation).ok_or_else(|| invalid("operation"))?;
    let permission =
        Permission::from_number(creation.permission_type).ok_or_else(|| invalid("permission type"))?;
    let (name, principal) = (creation.resource_name.to_string(), creation.principal.to_string());
    if name.is_empty() || (resource_type == ResourceType::Cluster && name != CLUSTER_NAME) {
        return Err(invalid("resource name"));
    }
    if principal.split_once(':').is_none_or(|(kind, name)| kind.is_empty() || name.is_empty()) {
        return Err((
            ErrorCode::InvalidRequest,
            format!("The principal {principal:?} is not like User:name."),
        ));
    }
    if creation.host.is_empty() {
        return Err(invalid("host"));
    }
    let host = creation.host.to_string();
    Ok(AclBinding { resource_type, name, pattern_type, principal, host, operation, permission })
}
