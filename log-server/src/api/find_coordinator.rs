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
        let is_known = KEY_TYPES.contains(&request.key_type);
        let response = FindCoordinatorResponse::default();
        if context.version >= BATCHED {
            let found = request.coordinator_keys.into_iter().map(|key| coordinator(&context, key, is_known));
            return Reply::Now(response.with_coordinators(found.collect()));
        }
        let found = coordinator(&context, request.key, is_known);
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

fn coordinator(context: &RequestContext, key: StrBytes, is_known: bool) -> Coordinator {
    let found = Coordinator::default().with_key(key);
    if !is_known {
        let message = "only groups and transactional ids have a coordinator on this server";
        return found
            .with_node_id((-1).into())
            .with_port(-1)
            .with_error_code(ErrorCode::InvalidRequest.code())
            .with_error_message(Some(StrBytes::from_static_str(message)));
    }
    found
        .with_node_id(NODE_ID)
        .with_host(StrBytes::from_string(context.local.ip().to_string()))
        .with_port(i32::from(context.local.port()))
}
