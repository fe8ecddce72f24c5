//! ListOffsets (key 2), versions 1 to 8: offsets by time.
//!
//! -1 asks for the end (the last stable offset for readers of committed records), -2 for the start, -3
//! (version 7) for the record with the largest timestamp, -4 (version 8) for the start of what is local, which is
//! all; other numbers for the first record at or after that time.

use std::sync::Arc;

use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::{Api, Reply, RequestContext, blocking, check_leader_epoch};
use crate::broker::Broker;
use crate::log::{Isolation, PartitionLog, TimestampQuery};
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;

/// What "no such record" is answered with.
const NOTHING: (i64, i64) = (-1, -1);

/// The handler.
pub(crate) struct ListOffsets;

impl Api for ListOffsets {
    type Request = ListOffsetsRequest;
    const VERSIONS: (i16, i16) = (1, 8);
    const SHAPE: &'static str = "4 2+:1 [(s [(4 4+:4 8)])]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: ListOffsetsRequest,
    ) -> Reply<ListOffsetsResponse> {
        let isolation = match request.isolation_level {
            1 => Isolation::ReadCommitted,
            _ => Isolation::ReadUncommitted,
        };
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            let allowed = context.check(Operation::Describe, Resource::Topic(&topic.name));
            for partition in topic.partitions {
                if let Err(code) = allowed {
                    let refused = ListOffsetsPartitionResponse::default().with_error_code(code.code());
                    partitions.push(refused.with_partition_index(partition.partition_index));
                    continue;
                }
                let log = broker.topics().log(&topic.name, partition.partition_index);
                partitions.push(answer(log, &partition, isolation, context.version).await);
            }
            topics
                .push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions));
        }
        Reply::Now(ListOffsetsResponse::default().with_topics(topics))
    }
}

async fn answer(
    log: Option<Arc<PartitionLog>>,
    request: &ListOffsetsPartition,
    isolation: Isolation,
    version: i16,
) -> ListOffsetsPartitionResponse {
    let response = ListOffsetsPartitionResponse::default().with_partition_index(request.partition_index);
    let Some(log) = log else {
        return response.with_error_code(ErrorCode::UnknownTopicOrPartition.code());
    };
    let found = match check_leader_epoch(&log, request.current_leader_epoch) {
        Ok(()) => find(&log, request.timestamp, isolation).await,
        Err(code) => Err(code),
    };
    match found {
        Err(code) => response.with_error_code(code.code()).with_timestamp(-1).with_offset(-1),
        Ok((timestamp, offset)) => {
            let epoch = if version >= 4 && offset >= 0 { log.epoch_of(offset) } else { -1 };
            response.with_timestamp(timestamp).with_offset(offset).with_leader_epoch(epoch)
        }
    }
}

async fn find(
    log: &Arc<PartitionLog>,
    timestamp: i64,
    isolation: Isolation,
) -> Result<(i64, i64), ErrorCode> {
    let marks = log.watermarks();
    let query = match timestamp {
        LATEST if isolation == Isolation::ReadCommitted => return Ok((-1, marks.last_stable)),
        LATEST => return Ok((-1, marks.high)),
        EARLIEST | EARLIEST_LOCAL => return Ok((-1, marks.log_start)),
        MAX_TIMESTAMP => TimestampQuery::Max,
        timestamp => TimestampQuery::At(timestamp),
    };
    let log = Arc::clone(log);
    let found = blocking(move || log.find_by_time(query, isolation)).await??;
    Ok(found.unwrap_or(NOTHING))
}
