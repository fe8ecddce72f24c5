//! DescribeProducers (key 61), version 0: the producers that partitions remember, and their open transactions.
//!
//! Left out: nothing.

use std::sync::Arc;

use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};

use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::log::ProducerEntry;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};

/// The handler.
pub(crate) struct DescribeProducers;

impl Api for DescribeProducers {
    type Request = DescribeProducersRequest;
    const VERSIONS: (i16, i16) = (0, 0);
    const SHAPE: &'static str = "[(s [4])]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: DescribeProducersRequest,
    ) -> Reply<DescribeProducersResponse> {
        let topic = |topic: TopicRequest| {
            let allowed = context.check(Operation::Read, Resource::Topic(&topic.name));
            let partitions = topic.partition_indexes.iter().map(|index| match allowed {
                Ok(()) => describe(&broker, &topic.name, *index),
                Err(code) => {
                    PartitionResponse::default().with_partition_index(*index).with_error_code(code.code())
                }
            });
            let partitions = partitions.collect();
            TopicResponse::default().with_name(topic.name).with_partitions(partitions)
        };
        let topics = request.topics.into_iter().map(topic).collect();
        Reply::Now(DescribeProducersResponse::default().with_topics(topics))
    }
}

fn describe(broker: &Broker, topic: &str, partition: i32) -> PartitionResponse {
    let answer = PartitionResponse::default().with_partition_index(partition);
    match broker.topics().log(topic, partition) {
        None => answer.with_error_code(ErrorCode::UnknownTopicOrPartition.code()),
        Some(log) => answer.with_active_producers(log.producers().into_iter().map(producer).collect()),
    }
}

fn producer((id, entry): (i64, ProducerEntry)) -> ProducerState {
    ProducerState::default()
        .with_producer_id(id.into())
        .with_producer_epoch(i32::from(entry.epoch))
        .with_last_sequence(entry.batches.back().map_or(-1, |batch| batch.last_sequence))
        .with_last_timestamp(entry.last_timestamp)
        .with_coordinator_epoch(entry.coordinator_epoch)
        .with_current_txn_start_offset(entry.transaction_start.unwrap_or(-1))
}
