//! LeaveGroup (key 13), versions 0 to 5: members leave, so that the rest need not wait for their sessions to end.
//!
//! Version 3 brings many members at once, static ones by name, with an error each; 5 a reason for the log.
//! Left out: nothing.

use std::sync::Arc;

use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::outcome::code_of;
use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::group::classic::LeavingMember;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};

/// From this version on many members leave at once.
const BATCHED: i16 = 3;

/// The handler.
pub(crate) struct LeaveGroup;

impl Api for LeaveGroup {
    type Request = LeaveGroupRequest;
    const VERSIONS: (i16, i16) = (0, 5);
    const SHAPE: &'static str = "s -2:s 3+:[(s 3+:s 5+:s)]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: LeaveGroupRequest,
    ) -> Reply<LeaveGroupResponse> {
        if let Err(code) = context.check(Operation::Read, Resource::Group(&request.group_id)) {
            return Reply::Now(LeaveGroupResponse::default().with_error_code(code.code()));
        }
        let is_batched = context.version >= BATCHED;
        let members = match is_batched {
            true => request.members,
            false => vec![MemberIdentity::default().with_member_id(request.member_id)],
        };
        let leaving = |member: &MemberIdentity| {
            if let Some(reason) = &member.reason {
                tracing::info!(group = %request.group_id.0, member = %member.member_id, %reason, "member leaves");
            }
            LeavingMember {
                member_id: member.member_id.to_string(),
                instance_id: member.group_instance_id.as_ref().map(|id| id.to_string()),
            }
        };
        let leaving: Vec<_> = members.iter().map(leaving).collect();
        let outcomes = broker.groups().leave(&request.group_id, &leaving);
        Reply::Now(match outcomes {
            Err(error) => LeaveGroupResponse::default().with_error_code(error.code()),
            Ok(outcomes) if !is_batched => {
                let error_code = outcomes.first().map_or(0, code_of);
                LeaveGroupResponse::default().with_error_code(error_code)
            }
            Ok(outcomes) => LeaveGroupResponse::default().with_members(answers(members, &outcomes)),
        })
    }
}

fn answers(members: Vec<MemberIdentity>, outcomes: &[Result<(), ErrorCode>]) -> Vec<MemberResponse> {
    let answer = |(member, outcome): (MemberIdentity, &Result<(), ErrorCode>)| {
        MemberResponse::default()
            .with_member_id(member.member_id)
            .with_group_instance_id(member.group_instance_id)
            .with_error_code(code_of(outcome))
    };
    members.into_iter().zip(outcomes).map(answer).collect()
}
