//! ListGroups (key 16), versions 0 to 5: the groups of the server.
//!
//! Version 4 filters by state, 5 by type; all groups here are of the type `classic`. Filters ignore case.
//! Left out: nothing.

use std::sync::Arc;

use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::security::{Operation, Resource};

/// The type of all groups here.
const GROUP_TYPE: &str = "classic";

/// The handler.
pub(crate) struct ListGroups;

impl Api for ListGroups {
    type Request = ListGroupsRequest;
    const VERSIONS: (i16, i16) = (0, 5);
    const SHAPE: &'static str = "4+:[s] 5+:[s]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: ListGroupsRequest,
    ) -> Reply<ListGroupsResponse> {
        // Who may look at the cluster sees all groups, others those that they may look at.
        let sees_all = context.allows(Operation::Describe, Resource::Cluster);
        let mut groups = Vec::new();
        for group in broker.groups().list() {
            if !(sees_all || context.allows(Operation::Describe, Resource::Group(&group.id))) {
                continue;
            }
            let state = group.state.to_string();
            if !(passes(&request.states_filter, &state) && passes(&request.types_filter, GROUP_TYPE)) {
                continue;
            }
            let listed = ListedGroup::default()
                .with_group_id(StrBytes::from_string(group.id).into())
                .with_protocol_type(StrBytes::from_string(group.protocol_type))
                .with_group_state(StrBytes::from_string(state))
                .with_group_type(StrBytes::from_static_str(GROUP_TYPE));
            groups.push(listed);
        }
        Reply::Now(ListGroupsResponse::default().with_groups(groups))
    }
}

/// An empty filter lets everything pass.
fn passes(filter: &[StrBytes], value: &str) -> bool {
    filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
}
