//! Heartbeat (key 12), versions 0 to 4: a member shows that it lives and learns whether it must join again.
//!
//! Version 3 brings static members. Left out: nothing.

use std::sync::Arc;

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::outcome::code_of;
use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::group::classic;
use crate::security::{Operation, Resource};

/// The handler.
pub(crate) struct Heartbeat;

impl Api for Heartbeat {
    type Request = HeartbeatRequest;
    const VERSIONS: (i16, i16) = (0, 4);
    const SHAPE: &'static str = "s 4 s 3+:s";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: HeartbeatRequest,
    ) -> Reply<HeartbeatResponse> {
        let heartbeat = classic::HeartbeatRequest {
            generation: request.generation_id,
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.map(|id| id.to_string()),
        };
        let outcome = context
            .check(Operation::Read, Resource::Group(&request.group_id))
            .and_then(|()| broker.groups().heartbeat(&request.group_id, &heartbeat));
        Reply::Now(HeartbeatResponse::default().with_error_code(code_of(&outcome)))
    }
}
