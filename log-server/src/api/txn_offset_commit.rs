//! TxnOffsetCommit (key 28), versions 0 to 5: offsets that count when the producer's transaction commits.
//!
//! The group must have been added to the transaction (AddOffsetsToTxn); from version 5 on it is added by this request
//! (KIP-890). Version 3 brings generation, member and static name, by which a member that has lost its partitions is
//! fenced (KIP-447). The answer comes when the offsets are durable. Left out: nothing.

use std::sync::Arc;

use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use super::offset_commit::refusal;
use super::outcome::{code_if, code_of, known_to};
use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::group::classic::Committer;
use crate::group::coordinator::CommitRequest;
use crate::group::offsets::{CommittedOffset, PartitionOffset};
use crate::group::open::OFFSETS_TOPIC;
use crate::journal::ProducerIdentity;
use crate::log::now_ms;
use crate::security::{Operation, Resource};
use crate::txn::coordinator::Request;

/// From this version on the group is added to the transaction by the commit.
const ADDS_GROUP: i16 = 5;

/// The handler.
pub(crate) struct TxnOffsetCommit;

impl Api for TxnOffsetCommit {
    type Request = TxnOffsetCommitRequest;
    const VERSIONS: (i16, i16) = (0, 5);
    const SHAPE: &'static str = "s s 8 2 3+:4 3+:s 3+:s [(s [(4 8 2+:4 s)])]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: TxnOffsetCommitRequest,
    ) -> Reply<TxnOffsetCommitResponse> {
        let allowed = context
            .check(Operation::Write, Resource::TransactionalId(&request.transactional_id))
            .and_then(|()| context.check(Operation::Read, Resource::Group(&request.group_id)));
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
            return Reply::Now(TxnOffsetCommitResponse::default().with_topics(topics));
        }
        let producer = ProducerIdentity { id: request.producer_id.0, epoch: request.producer_epoch };
        let partition = broker.groups().partition_of(&request.group_id);
        if context.version >= ADDS_GROUP {
            let partitions = vec![(OFFSETS_TOPIC.to_owned(), partition)];
            let adding = Request::Add { producer, partitions };
            if let Err(code) = broker.transactions().request(&request.transactional_id, adding).await {
                return Reply::Now(decided(topics, known_to(0, 1, code).code()));
            }
        }
        let Some(admission) = broker.transactions().admit(producer, OFFSETS_TOPIC, partition) else {
            let code = broker.transactions().refusal(&request.transactional_id, producer).code();
            return Reply::Now(decided(topics, code));
        };
        let committer = Committer {
            generation: request.generation_id,
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.map(|id| id.to_string()),
        };
        let commit = CommitRequest { committer, producer: Some(producer), offsets };
        let committing = broker.groups().commit(&request.group_id, commit);
        Reply::Later(Box::pin(async move {
            let code = code_of(&committing.await);
            drop(admission);
            decided(topics, code)
        }))
    }
}

/// Adds a topic's offsets to `offsets` and returns its answer, in which only refused partitions are decided.
fn accept(
    broker: &Broker,
    context: &RequestContext,
    topic: &TxnOffsetCommitRequestTopic,
    commit_ms: i64,
    offsets: &mut Vec<PartitionOffset>,
) -> TxnOffsetCommitResponseTopic {
    let forbidden = context.check(Operation::Read, Resource::Topic(&topic.name)).err();
    let answer = |partition: &TxnOffsetCommitRequestPartition| {
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
        TxnOffsetCommitResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_error_code(code_if(refusal))
    };
    let partitions = topic.partitions.iter().map(answer).collect();
    TxnOffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions)
}

/// The answer once the outcome of the accepted partitions is known.
fn decided(mut topics: Vec<TxnOffsetCommitResponseTopic>, code: i16) -> TxnOffsetCommitResponse {
    let undecided = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    undecided.filter(|partition| partition.error_code == 0).for_each(|p| p.error_code = code);
    TxnOffsetCommitResponse::default().with_topics(topics)
}
