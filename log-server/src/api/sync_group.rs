//! SyncGroup (key 14), versions 0 to 5: the leader hands in the assignment, every member gets its part.
//!
//! A follower's answer comes when the leader has synced. Version 3 brings static members, 5 protocol type and
//! name, which must be the group's. Left out: nothing.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;

use super::outcome::code_if;
use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::group::classic::SyncRequest;
use crate::security::{Operation, Resource};

/// The handler.
pub(crate) struct SyncGroup;

impl Api for SyncGroup {
    type Request = SyncGroupRequest;
    const VERSIONS: (i16, i16) = (0, 5);
    const SHAPE: &'static str = "s 4 s 3+:s 5+:s 5+:s [(s b)]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: SyncGroupRequest,
    ) -> Reply<SyncGroupResponse> {
        if let Err(code) = context.check(Operation::Read, Resource::Group(&request.group_id)) {
            return Reply::Now(SyncGroupResponse::default().with_error_code(code.code()));
        }
        // Copies, because the assignments outlive the frame that these are slices of.
        let assignments = request
            .assignments
            .iter()
            .map(|a| (a.member_id.to_string(), Bytes::copy_from_slice(&a.assignment)))
            .collect();
        let syncing = SyncRequest {
            generation: request.generation_id,
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.map(|id| id.to_string()),
            protocol_type: request.protocol_type.map(|kind| kind.to_string()),
            protocol: request.protocol_name.map(|name| name.to_string()),
            assignments,
        };
        let syncing = broker.groups().sync(&request.group_id, syncing);
        Reply::Later(Box::pin(async move {
            let reply = syncing.await;
            SyncGroupResponse::default()
                .with_error_code(code_if(reply.error))
                .with_protocol_type(reply.protocol_type.map(StrBytes::from_string))
                .with_protocol_name(reply.protocol.map(StrBytes::from_string))
                .with_assignment(reply.assignment)
        }))
    }
}
