//! DescribeGroups (key 15), versions 0 to 5: state, members and assignments of groups.
//!
//! A group that does not exist is answered as `Dead`, without an error. Metadata and assignments are shown in a
//! stable group only. Version 3 can ask for authorized operations, 4 brings static names. Left out: version 6 with its
//! error text.

use std::sync::Arc;

use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::group::member::Member;
use crate::security::{Operation, Resource};

/// All operations on a group, as a bit each: read, delete, describe.
const GROUP_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8;

/// What is answered where authorized operations are not asked for.
const NOT_KNOWN: i32 = i32::MIN;

/// The handler.
pub(crate) struct DescribeGroups;

impl Api for DescribeGroups {
    type Request = DescribeGroupsRequest;
    const VERSIONS: (i16, i16) = (0, 5);
    const SHAPE: &'static str = "[s] 3+:1";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: DescribeGroupsRequest,
    ) -> Reply<DescribeGroupsResponse> {
        let operations = request.include_authorized_operations;
        let groups =
            request.groups.into_iter().map(|id| describe(&broker, &context, id, operations)).collect();
        Reply::Now(DescribeGroupsResponse::default().with_groups(groups))
    }
}

fn describe(broker: &Broker, context: &RequestContext, id: GroupId, operations: bool) -> DescribedGroup {
    let described = broker.groups().describe(&id);
    let allowed = context.check(Operation::Describe, Resource::Group(&id));
    let operations = match operations && allowed.is_ok() {
        true => context.access().operations(GROUP_OPERATIONS, Resource::Group(&id)),
        false => NOT_KNOWN,
    };
    let answer = DescribedGroup::default().with_group_id(id).with_authorized_operations(operations);
    if let Err(code) = allowed {
        return answer.with_error_code(code.code());
    }
    let Some(group) = described else {
        return answer.with_group_state(StrBytes::from_static_str("Dead"));
    };
    let protocol = group.protocol;
    let members = group.members.into_iter().map(|member| describe_member(member, &protocol)).collect();
    answer
        .with_group_state(StrBytes::from_string(group.state.to_string()))
        .with_protocol_type(StrBytes::from_string(group.protocol_type))
        .with_members(members)
        .with_protocol_data(StrBytes::from_string(protocol))
}

fn describe_member(member: Member, protocol: &str) -> DescribedGroupMember {
    let metadata = member.metadata(Some(protocol));
    DescribedGroupMember::default()
        .with_member_id(StrBytes::from_string(member.id))
        .with_group_instance_id(member.instance_id.map(StrBytes::from_string))
        .with_client_id(StrBytes::from_string(member.client_id))
        .with_client_host(StrBytes::from_string(member.client_host))
        .with_member_metadata(metadata)
        .with_member_assignment(member.assignment)
}
