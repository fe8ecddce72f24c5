//! DeleteRecords (key 21), versions 0 to 2: moves the start of partitions forward.
//!
//! -1 means up to the high watermark. The new starts are on the disk before the answer and before any file is
//! deleted. Whole segments are deleted; the rest can no longer be read.

use std::sync::Arc;

use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::{Api, Reply, RequestContext, blocking};
use crate::broker::Broker;
use crate::error::Error;
use crate::log::PartitionLog;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};

/// Asks for the high watermark.
const HIGH_WATERMARK: i64 = -1;

/// The handler.
pub(crate) struct DeleteRecords;

impl Api for DeleteRecords {
    type Request = DeleteRecordsRequest;
    const VERSIONS: (i16, i16) = (0, 2);
    const SHAPE: &'static str = "[(s [(4 8)])] 4";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: DeleteRecordsRequest,
    ) -> Reply<DeleteRecordsResponse> {
        let mut logs = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let allowed = context.check(Operation::Delete, Resource::Topic(&topic.name));
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for wanted in topic.partitions {
                let result =
                    DeleteRecordsPartitionResult::default().with_partition_index(wanted.partition_index);
                let log = broker.topics().log(&topic.name, wanted.partition_index);
                let moved = allowed.and(log.ok_or(ErrorCode::UnknownTopicOrPartition)).and_then(|log| {
                    let start = advance(&log, wanted.offset)?;
                    logs.push(log);
                    Ok(start)
                });
                partitions.push(match moved {
                    Ok(start) => result.with_low_watermark(start),
                    Err(code) => result.with_low_watermark(-1).with_error_code(code.code()),
                });
            }
            topics
                .push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions));
        }
        let stored = blocking(move || store(&broker, &logs)).await;
        if !matches!(stored, Ok(Ok(()))) {
            for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
                partition.error_code = ErrorCode::KafkaStorageError.code();
            }
        }
        Reply::Now(DeleteRecordsResponse::default().with_topics(topics))
    }
}

fn advance(log: &PartitionLog, offset: i64) -> Result<i64, ErrorCode> {
    if !log.config().delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let offset = if offset == HIGH_WATERMARK { log.watermarks().high } else { offset };
    log.advance_log_start(offset)
}

fn store(broker: &Broker, logs: &[Arc<PartitionLog>]) -> Result<(), Error> {
    if logs.is_empty() {
        return Ok(());
    }
    broker.topics().checkpoint_log_starts()?;
    logs.iter().try_for_each(|log| log.delete_before_start().map(|_| ()))
}
