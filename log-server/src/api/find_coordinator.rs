//! FindCoordinator (key 10), versions 0 to 5: which broker coordinates a group or a transactional id.
//!
//! There is one broker, so the answer is always this one, at the address by which the client reached it. Key
//! types are 0 for a group and 1 for a transactional id; version 4 asks for many keys at once.
//! Left out: share groups (key type 2, version 6).

use std::sync::Arc;

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext};
use crate::broker::{Broker, NODE_ID};
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};

/// The key type of groups.
const GROUP: i8 = 0;
/// Key types that have a coordinator here: groups and transactional ids.
const KEY_TYPES: std::ops::RangeInclusive<i8> = 0..=1;

/// From this version on many keys are asked for at once.
const BATCHED: i16 = 4;

/// The handler.
pub(crate) struct FindCoordinator;

impl Api for FindCoordinator {
    type Request = FindCoordinatorRequest;
    const VERSIONS: (i16, i16) = (0, 5);
    const SHAPE: &'static str = "-3:s 1+:1 4+:[s]";

    async fn handle(
        _broker: Arc<Broker>,
        context: RequestContext,
        request: FindCoordinatorRequest,
    ) -> Reply<FindCoordinatorResponse> {
        let response = FindCoordinatorResponse::default();
        if context.version >= BATCHED {
            let found =
                request.coordinator_keys.into_iter().map(|key| coordinator(&context, key, request.key_type));
            return Reply::Now(response.with_coordinators(found.collect()));
        }
        let found = coordinator(&context, request.key, request.key_type);
        Reply::Now(
            response
                .with_error_code(found.error_code)
                .with_error_message(found.error_message)
                .with_node_id(found.node_id)
                .with_host(found.host)
                .with_port(found.port),
        )
    }
}

fn coordinator(context: &RequestContext, key: StrBytes, key_type: i8) -> Coordinator {
    let resource = if key_type == GROUP { Resource::Group(&key) } else { Resource::TransactionalId(&key) };
    let allowed = context.check(Operation::Describe, resource);
    let found = Coordinator::default().with_key(key);
    if let Err(code) = allowed {
        return found.with_node_id((-1).into()).with_port(-1).with_error_code(code.code());
    }
    if !KEY_TYPES.contains(&key_type) {
        let message = "only groups and transactional ids have a coordinator on this server";
        return found
            .with_node_id((-1).into())
            .with_port(-1)
            .with_error_code(ErrorCode::InvalidRequest.code())
            .with_error_message(Some(StrBytes::from_static_str(message)));
    }
    let (host, port) = context.session.advertised();
    found.with_node_id(NODE_ID).with_host(StrBytes::from_string(host)).with_port(i32::from(port))
}
