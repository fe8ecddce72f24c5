//! JoinGroup (key 11), versions 0 to 9: a member asks to be part of the next generation of its group.
//!
//! The answer comes when the generation begins. Version 1 brings the rebalance time-out (before, it is the session
//! time-out), 4 has new members told their id first (error 79), 5 static members, 7 the protocol type in the
//! answer, 8 a reason for the log, 9 lets a returning static leader skip the assignment.
//! Left out: nothing of the classic protocol; KIP-848 groups have APIs of their own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use kafka_protocol::protocol::StrBytes;

use super::outcome::code_if;
use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::group::classic::JoinRequest;
use crate::group::effects::{JoinReply, JoinedMember};
use crate::group::member::Protocol;
use crate::security::{Operation, Resource};

/// From this version on a rebalance time-out is sent.
const REBALANCE_TIMEOUT: i16 = 1;
/// From this version on new members are told their id first.
const KNOWN_ID: i16 = 4;
/// From this version on the answer may lack a protocol.
const NULLABLE_PROTOCOL: i16 = 7;
/// From this version on a leader may be told to skip the assignment.
const SKIP_ASSIGNMENT: i16 = 9;

/// The handler.
pub(crate) struct JoinGroup;

impl Api for JoinGroup {
    type Request = JoinGroupRequest;
    const VERSIONS: (i16, i16) = (0, 9);
    const SHAPE: &'static str = "s 4 1+:4 s 5+:s s [(s b)] 8+:s";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: JoinGroupRequest,
    ) -> Reply<JoinGroupResponse> {
        let group_id = request.group_id.to_string();
        if let Err(code) = context.check(Operation::Read, Resource::Group(&group_id)) {
            let refused = JoinGroupResponse::default().with_error_code(code.code()).with_generation_id(-1);
            let protocol = (context.version < NULLABLE_PROTOCOL).then(StrBytes::new);
            let member_id = request.member_id;
            return Reply::Now(refused.with_protocol_name(protocol).with_member_id(member_id));
        }
        if let Some(reason) = &request.reason {
            tracing::info!(group = group_id, member = %request.member_id, %reason, "member joins");
        }
        let joining = broker.groups().join(&group_id, joining(&context, request));
        Reply::Later(Box::pin(async move { response(context.version, joining.await) }))
    }
}

fn joining(context: &RequestContext, request: JoinGroupRequest) -> JoinRequest {
    let session_timeout = millis(request.session_timeout_ms);
    let rebalance_timeout = match context.version {
        REBALANCE_TIMEOUT.. => millis(request.rebalance_timeout_ms),
        _ => session_timeout,
    };
    // Copies, because the member outlives the frame that these are slices of.
    let protocols = request
        .protocols
        .iter()
        .map(|p| Protocol { name: p.name.to_string(), metadata: Bytes::copy_from_slice(&p.metadata) })
        .collect();
    JoinRequest {
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.map(|id| id.to_string()),
        client_id: context.client_id.to_string(),
        client_host: format!("/{}", context.session.peer.ip()),
        session_timeout,
        rebalance_timeout,
        protocol_type: request.protocol_type.to_string(),
        protocols,
        fresh_id: uuid::Uuid::new_v4(),
        needs_known_id: context.version >= KNOWN_ID,
        can_skip_assignment: context.version >= SKIP_ASSIGNMENT,
    }
}

fn response(version: i16, reply: JoinReply) -> JoinGroupResponse {
    let protocol = reply.protocol.map(StrBytes::from_string);
    let protocol = if version >= NULLABLE_PROTOCOL { protocol } else { Some(protocol.unwrap_or_default()) };
    let member = |member: JoinedMember| {
        JoinGroupResponseMember::default()
            .with_member_id(StrBytes::from_string(member.id))
            .with_group_instance_id(member.instance_id.map(StrBytes::from_string))
            .with_metadata(member.metadata)
    };
    JoinGroupResponse::default()
        .with_error_code(code_if(reply.error))
        .with_generation_id(reply.generation)
        .with_protocol_type(reply.protocol_type.map(StrBytes::from_string))
        .with_protocol_name(protocol)
        .with_leader(StrBytes::from_string(reply.leader))
        .with_skip_assignment(reply.skip_assignment)
        .with_member_id(StrBytes::from_string(reply.member_id))
        .with_members(reply.members.into_iter().map(member).collect())
}

/// A time-out of the protocol; negative ones are none at all and get refused as too short.
fn millis(value: i32) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}
