//! OffsetDelete (key 47), version 0: deletes committed offsets of a group.
//!
//! Topics that members of the group read are answered with error 86. The answer comes when the deletion is durable.
//! Left out: nothing.

use std::sync::Arc;

use kafka_protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::outcome::{code_if, code_of};
use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};

/// The handler.
pub(crate) struct OffsetDelete;

impl Api for OffsetDelete {
    type Request = OffsetDeleteRequest;
    const VERSIONS: (i16, i16) = (0, 0);
    const SHAPE: &'static str = "s [(s [(4)])]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: OffsetDeleteRequest,
    ) -> Reply<OffsetDeleteResponse> {
        if let Err(code) = context.check(Operation::Delete, Resource::Group(&request.group_id)) {
            return Reply::Now(OffsetDeleteResponse::default().with_error_code(code.code()));
        }
        let forbidden = |topic: &str| context.check(Operation::Read, Resource::Topic(topic)).err();
        let partitions = |topic: &OffsetDeleteRequestTopic| {
            let name = topic.name.to_string();
            topic.partitions.iter().map(move |p| (name.clone(), p.partition_index)).collect::<Vec<_>>()
        };
        let named: Vec<(String, i32)> = request.topics.iter().flat_map(partitions).collect();
        let refusals: Vec<Option<ErrorCode>> = named.iter().map(|(topic, _)| forbidden(topic)).collect();
        let allowed = named.into_iter().zip(&refusals).filter(|(_, refusal)| refusal.is_none());
        let allowed = allowed.map(|(place, _)| place).collect();
        let (judged, deleting) = match broker.groups().delete_offsets(&request.group_id, allowed) {
            Ok(begun) => begun,
            Err(error) => {
                return Reply::Now(OffsetDeleteResponse::default().with_error_code(error.code()));
            }
        };
        Reply::Later(Box::pin(async move {
            let outcome = deleting.await;
            let mut judged = judged.into_iter();
            let refusals: Vec<_> =
                refusals.into_iter().map(|refusal| refusal.or_else(|| judged.next().flatten())).collect();
            let answers = answers(request.topics, &refusals);
            OffsetDeleteResponse::default().with_error_code(code_of(&outcome)).with_topics(answers)
        }))
    }
}

/// One answer per partition, in the order of the request, which is that of `refusals`.
fn answers(
    topics: Vec<OffsetDeleteRequestTopic>,
    refusals: &[Option<ErrorCode>],
) -> Vec<OffsetDeleteResponseTopic> {
    let mut refusals = refusals.iter().copied();
    let mut answers = Vec::with_capacity(topics.len());
    for topic in topics {
        let partitions = topic.partitions.iter().map(|partition| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code_if(refusals.next().flatten()))
        });
        let partitions = partitions.collect();
        answers.push(OffsetDeleteResponseTopic::default().with_name(topic.name).with_partitions(partitions));
    }
    answers
}
