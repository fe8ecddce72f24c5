//! What the three APIs of access control lists share.

use std::sync::Arc;

use kafka_protocol::protocol::StrBytes;

use super::RequestContext;
use crate::broker::Broker;
use crate::protocol::ErrorCode;
use crate::security::{AclFilter, Authorizer, FilterNumbers, Operation, Resource};
use crate::topics::Refusal;

/// The lists, if the client may do that with them.
///
/// # Errors
/// The error code for the client and a sentence: it may not, or there are none.
pub(super) fn authorizer(
    broker: &Broker,
    context: &RequestContext,
    operation: Operation,
) -> Result<Arc<Authorizer>, Refusal> {
    context
        .check(operation, Resource::Cluster)
        .map_err(|code| (code, "Access to ACLs needs the operation on the cluster.".to_owned()))?;
    broker.authorizer().cloned().ok_or_else(|| {
        let reason = "No Authorizer is configured: set authorizer.class.name (--authorizer).";
        (ErrorCode::SecurityDisabled, reason.to_owned())
    })
}

/// A filter as requests have it.
///
/// # Errors
/// The error code for the client and a sentence.
pub(super) fn filter(
    numbers: FilterNumbers,
    name: Option<StrBytes>,
    principal: Option<StrBytes>,
    host: Option<StrBytes>,
) -> Result<AclFilter, Refusal> {
    let text = |text: Option<StrBytes>| text.map(|text| text.to_string());
    AclFilter::new(numbers, text(name), text(principal), text(host))
        .map_err(|reason| (ErrorCode::InvalidRequest, reason))
}
