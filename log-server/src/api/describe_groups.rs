//! DescribeGroups (key 15), versions 0 to 5: state, members and assignments of groups.
//!
//! A group that does not exist is answered as `Dead`, without an error. Metadata and assignments are shown in a
//! stable group only. Version 4 brings static names. Left out: authorized operations (version 3 asks for them; the
//! answer says that they are not known), version 6 with its error text.

use std::sync::Arc;

use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::group::member::Member;

/// What is answered where authorized operations are not known.
const NOT_KNOWN: i32 = i32::MIN;

/// The handler.
pub(crate) struct DescribeGroups;

impl Api for DescribeGroups {
    type Request = DescribeGroupsRequest;
    const VERSIONS: (i16, i16) = (0, 5);
    const SHAPE: &'static str = "[s] 3+:1";

    async fn handle(
        broker: Arc<Broker>,
        _context: RequestContext,
        request: DescribeGroupsRequest,
    ) -> Reply<DescribeGroupsResponse> {
        let groups = request.groups.into_iter().map(|id| describe(&broker, id)).collect();
        Reply::Now(DescribeGroupsResponse::default().with_groups(groups))
    }
}

fn describe(broker: &Broker, id: GroupId) -> DescribedGroup {
    let described = broker.groups().describe(&id);
    let answer = DescribedGroup::default().with_group_id(id).with_authorized_operations(NOT_KNOWN);
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
