//! DeleteGroups (key 42), versions 0 to 2: deletes empty groups with their offsets.
//!
//! The answer comes when the deletion is durable. Left out: nothing.

use std::sync::Arc;

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse, GroupId};

use super::outcome::code_of;
use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::security::{Operation, Resource};

/// The handler.
pub(crate) struct DeleteGroups;

impl Api for DeleteGroups {
    type Request = DeleteGroupsRequest;
    const VERSIONS: (i16, i16) = (0, 2);
    const SHAPE: &'static str = "[s]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: DeleteGroupsRequest,
    ) -> Reply<DeleteGroupsResponse> {
        let names = request.groups_names.into_iter();
        let begin = |id: GroupId| {
            let allowed = context.check(Operation::Delete, Resource::Group(&id));
            (allowed.map(|()| broker.groups().delete_group(&id)), id)
        };
        let deleting: Vec<_> = names.map(begin).collect();
        Reply::Later(Box::pin(async move {
            let mut results = Vec::with_capacity(deleting.len());
            for (deleting, id) in deleting {
                let error_code = match deleting {
                    Ok(deleting) => code_of(&deleting.await),
                    Err(refusal) => refusal.code(),
                };
                results.push(DeletableGroupResult::default().with_group_id(id).with_error_code(error_code));
            }
            DeleteGroupsResponse::default().with_results(results)
        }))
    }
}
