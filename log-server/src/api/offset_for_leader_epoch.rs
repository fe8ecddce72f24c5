//! OffsetForLeaderEpoch (key 23), versions 2 to 4: where a leader epoch ended.
//!
//! A client that sees a new leader epoch asks where the epoch of its last record ended; if that is before its
//! position, records that it has seen were lost in an unclean stop (KIP-320).

use std::sync::Arc;

use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::{Api, Reply, RequestContext, check_leader_epoch};
use crate::broker::Broker;
use crate::log::PartitionLog;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};

/// The handler.
pub(crate) struct OffsetForLeaderEpoch;

impl Api for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;
    const VERSIONS: (i16, i16) = (2, 4);
    const SHAPE: &'static str = "3+:4 [(s [(4 4 4)])]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: OffsetForLeaderEpochRequest,
    ) -> Reply<OffsetForLeaderEpochResponse> {
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let allowed = context.check(Operation::Describe, Resource::Topic(&topic.topic));
            let partitions = topic
                .partitions
                .iter()
                .map(|partition| match allowed {
                    Ok(()) => answer(broker.topics().log(&topic.topic, partition.partition), partition),
                    Err(code) => EpochEndOffset::default()
                        .with_partition(partition.partition)
                        .with_error_code(code.code()),
                })
                .collect();
            topics.push(
                OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions),
            );
        }
        Reply::Now(OffsetForLeaderEpochResponse::default().with_topics(topics))
    }
}

fn answer(log: Option<Arc<PartitionLog>>, request: &OffsetForLeaderPartition) -> EpochEndOffset {
    let response = EpochEndOffset::default().with_partition(request.partition);
    let checked = log.ok_or(ErrorCode::UnknownTopicOrPartition).and_then(|log| {
        check_leader_epoch(&log, request.current_leader_epoch)?;
        Ok(log.end_of_epoch(request.leader_epoch))
    });
    match checked {
        Err(code) => response.with_error_code(code.code()),
        Ok(None) => response,
        Ok(Some((epoch, end_offset))) => response.with_leader_epoch(epoch).with_end_offset(end_offset),
    }
}
