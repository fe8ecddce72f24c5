//! OffsetCommit (key 8), versions 2 to 9: how far a group has read.
//!
//! The answer comes when the offsets are durable. Partitions that do not exist are answered with error 3, metadata
//! that is too long with 12, and the rest is committed all the same. Version 6 brings the leader epoch, 7 static
//! members. Left out: retention times of versions 2 to 4 (the group's own retention holds), KIP-848 member epochs,
//! topic ids (version 10).

use std::sync::Arc;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::outcome::{code_if, code_of};
use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::group::classic::Committer;
use crate::group::coordinator::CommitRequest;
use crate::group::offsets::{CommittedOffset, PartitionOffset};
use crate::log::now_ms;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};

/// The handler.
pub(crate) struct OffsetCommit;

impl Api for OffsetCommit {
    type Request = OffsetCommitRequest;
    const VERSIONS: (i16, i16) = (2, 9);
    const SHAPE: &'static str = "s 4 s 7+:s -4:8 [(s [(4 8 6+:4 s)])]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: OffsetCommitRequest,
    ) -> Reply<OffsetCommitResponse> {
        let allowed = context.check(Operation::Read, Resource::Group(&request.group_id));
        let commit_ms = now_ms();
        let mut offsets = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            topics.push(accept(&broker, &context, topic, commit_ms, &mut offsets));
        }
        if let Err(code) = allowed {
            topics
                .iter_mut()
                .flat_map(|topic| &mut topic.partitions)
                .for_each(|p| p.error_code = code.code());
            return Reply::Now(OffsetCommitResponse::default().with_topics(topics));
        }
        let committer = Committer {
            generation: request.generation_id_or_member_epoch,
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.map(|id| id.to_string()),
        };
        let commit = CommitRequest { committer, producer: None, offsets };
        let committing = broker.groups().commit(&request.group_id, commit);
        Reply::Later(Box::pin(async move {
            let code = code_of(&committing.await);
            let undecided = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
            undecided.filter(|partition| partition.error_code == 0).for_each(|p| p.error_code = code);
            OffsetCommitResponse::default().with_topics(topics)
        }))
    }
}

/// Adds a topic's offsets to `offsets` and returns its answer, in which only refused partitions are decided.
fn accept(
    broker: &Broker,
    context: &RequestContext,
    topic: &OffsetCommitRequestTopic,
    commit_ms: i64,
    offsets: &mut Vec<PartitionOffset>,
) -> OffsetCommitResponseTopic {
    let forbidden = context.check(Operation::Read, Resource::Topic(&topic.name)).err();
    let answer = |partition: &OffsetCommitRequestPartition| {
        let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
        let refusal = forbidden.or_else(|| refusal(broker, &topic.name, partition.partition_index, metadata));
        if refusal.is_none() {
            offsets.push(PartitionOffset {
                topic: topic.name.to_string(),
                partition: partition.partition_index,
                committed: CommittedOffset {
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata: metadata.to_owned(),
                    commit_ms,
                },
            });
        }
        OffsetCommitResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_error_code(code_if(refusal))
    };
    let partitions = topic.partitions.iter().map(answer).collect();
    OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions)
}

/// Why an offset cannot be committed, whoever commits it.
pub(super) fn refusal(broker: &Broker, topic: &str, partition: i32, metadata: &str) -> Option<ErrorCode> {
    if metadata.len() > broker.groups().max_offset_metadata_bytes() {
        return Some(ErrorCode::OffsetMetadataTooLarge);
    }
    broker.topics().log(topic, partition).is_none().then_some(ErrorCode::UnknownTopicOrPartition)
}
