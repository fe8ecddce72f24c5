//! Produce (key 0), versions 3 to 12: appends one batch per partition.
//!
//! Batches are judged by header and checksum and stored as they came; only base offset and leader epoch are
//! filled in. Records are looked at where the topic demands it: a compacted topic needs keys, and a topic with its
//! own codec is recompressed. The answer waits until the records are as durable as the fsync policy promises,
//! with `acks=1` as with `acks=all`, as there are no other replicas; `acks=0` gets none.
//!
//! Transactional batches are admitted only to partitions that take part in an open transaction of their producer;
//! from version 12 on they add their partition themselves (KIP-890).
//!
//! Left out: version 13 (topic ids). `timeout_ms` has no use with one replica.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::journal::ProducerIdentity;
use crate::log::{Appended, PartitionLog, now_ms};
use crate::protocol::ErrorCode;
use crate::records::{BatchError, BatchHeader, Compression, Records};
use crate::security::{Operation, Resource};
use crate::topics::{Refusal, Topic, TopicConfig};
use crate::txn::coordinator::Request;
use crate::txn::driver::Admission;

/// The handler.
pub(crate) struct Produce;

/// The first version whose clients know zstd (KIP-110).
const ZSTD_FROM_VERSION: i16 = 7;

/// From this version on a transactional batch adds its partition to the transaction (KIP-890).
const JOINS_TRANSACTION: i16 = 12;

impl Api for Produce {
    type Request = ProduceRequest;
    const VERSIONS: (i16, i16) = (3, 12);
    const SHAPE: &'static str = "s 2 4 [(s [(4 b)])]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: ProduceRequest,
    ) -> Reply<ProduceResponse> {
        let version = context.version;
        let mut waits = Vec::new();
        let mut topics = Vec::with_capacity(request.topic_data.len());
        let acks_valid = matches!(request.acks, -1..=1);
        if version >= JOINS_TRANSACTION {
            join_transaction(&broker, &context, &request).await;
        }
        let for_transaction = match &request.transactional_id {
            Some(id) => context.check(Operation::Write, Resource::TransactionalId(id)),
            None => Ok(()),
        };
        for data in request.topic_data {
            let topic = broker.topics().get(&data.name);
            let allowed =
                for_transaction.and_then(|()| context.check(Operation::Write, Resource::Topic(&data.name)));
            let mut partitions = Vec::with_capacity(data.partition_data.len());
            for partition in data.partition_data {
                let index = partition.index;
                let appended = if let Err(code) = allowed {
                    Err((code, String::new()))
                } else if acks_valid {
                    append(&broker, topic.as_deref(), partition, version)
                } else {
                    Err((ErrorCode::InvalidRequiredAcks, String::new()))
                };
                if let Ok((log, appended)) = &appended {
                    log.request_sync();
                    waits.push((topics.len(), partitions.len(), Arc::clone(log), appended.end_offset));
                }
                partitions.push(answer(index, appended.map(|(_, appended)| appended), version));
            }
            topics.push(
                TopicProduceResponse::default().with_name(data.name).with_partition_responses(partitions),
            );
        }
        if request.acks == 0 {
            return Reply::Nothing;
        }
        let mut response = ProduceResponse::default().with_responses(topics);
        waits.retain(|(_, _, log, end_offset)| log.watermarks().high < *end_offset);
        if waits.is_empty() {
            return Reply::Now(response);
        }
        Reply::Later(Box::pin(async move {
            for (topic, partition, log, end_offset) in waits {
                if let Err(code) = log.wait_durable(end_offset).await {
                    let place = &mut response.responses[topic].partition_responses[partition];
                    *place = answer(place.index, Err((code, String::new())), version);
                }
            }
            response
        }))
    }
}

/// Has the partitions of transactional batches take part in their producer's transaction, as far as they do not yet.
/// What is refused here is refused again, with the reason, when the batch is to be written.
async fn join_transaction(broker: &Broker, context: &RequestContext, request: &ProduceRequest) {
    let Some(transactional_id) = &request.transactional_id else { return };
    if !context.allows(Operation::Write, Resource::TransactionalId(transactional_id)) {
        return;
    }
    let (mut joining, mut partitions) = (None, Vec::new());
    let may_write = |data: &&TopicProduceData| context.allows(Operation::Write, Resource::Topic(&data.name));
    for data in request.topic_data.iter().filter(may_write) {
        for partition in &data.partition_data {
            let header = BatchHeader::parse(partition.records.as_deref().unwrap_or_default());
            let Some(header) = header.ok().filter(BatchHeader::is_transactional) else { continue };
            let producer = ProducerIdentity { id: header.producer_id, epoch: header.producer_epoch };
            let exists = broker.topics().log(&data.name, partition.index).is_some();
            if exists && !broker.transactions().is_participant(producer, &data.name, partition.index) {
                joining = Some(producer);
                partitions.push((data.name.to_string(), partition.index));
            }
        }
    }
    if let Some(producer) = joining {
        let adding = Request::Add { producer, partitions };
        if let Err(code) = broker.transactions().request(transactional_id, adding).await {
            tracing::debug!(id = %transactional_id.0, code = code.code(), "partitions cannot join the transaction");
        }
    }
}

/// Judges a partition's batch and appends it.
fn append(
    broker: &Broker,
    topic: Option<&Topic>,
    data: PartitionProduceData,
    version: i16,
) -> Result<(Arc<PartitionLog>, Appended), Refusal> {
    let unknown = || (ErrorCode::UnknownTopicOrPartition, String::new());
    let topic = topic.ok_or_else(unknown)?;
    let log = topic.partition(data.index).ok_or_else(unknown)?;
    if topic.is_internal() {
        let reason = format!("topic {} belongs to the server", topic.name);
        return Err((ErrorCode::InvalidTopicException, reason));
    }
    let config = log.config();
    let batch = data.records.unwrap_or_default();
    let (header, batch) = validate(batch, &config, version)?;
    // Held until the batch is in the log, so that the transaction's marker comes after it.
    let _admission = admit(broker, &header, &topic.name, data.index)?;
    let appended = log.append(header, &batch).map_err(|code| (code, String::new()))?;
    Ok((log, appended))
}

/// Checks that a transactional batch belongs to an open transaction in which the partition takes part (KIP-890).
fn admit(
    broker: &Broker,
    header: &BatchHeader,
    topic: &str,
    partition: i32,
) -> Result<Option<Admission>, Refusal> {
    if !header.is_transactional() {
        return Ok(None);
    }
    let producer = ProducerIdentity { id: header.producer_id, epoch: header.producer_epoch };
    let admission = broker.transactions().admit(producer, topic, partition);
    admission.map(Some).ok_or_else(|| {
        let code = broker.transactions().refusal_to_write(producer);
        (code, "the producer has no open transaction that this partition takes part in".to_owned())
    })
}

/// Checks that the bytes are one sound batch that clients may write to a topic of this configuration; recompresses
/// it if the topic has its own codec.
fn validate(batch: Bytes, config: &TopicConfig, version: i16) -> Result<(BatchHeader, Bytes), Refusal> {
    let invalid = |reason: &str| Err((ErrorCode::InvalidRecord, reason.to_owned()));
    let header = BatchHeader::parse_checked(&batch).map_err(|fault| {
        let code = match fault {
            BatchError::Magic(_) => ErrorCode::InvalidRecord,
            _ => ErrorCode::CorruptMessage,
        };
        (code, fault.to_string())
    })?;
    if header.size_bytes() != batch.len() {
        return invalid("a produce request must have exactly one batch per partition");
    }
    if batch.len() > config.max_message_bytes {
        let reason = format!(
            "batch of {} bytes is larger than the topic's max.message.bytes of {}",
            batch.len(),
            config.max_message_bytes
        );
        return Err((ErrorCode::MessageTooLarge, reason));
    }
    if header.record_count <= 0 || header.last_offset_delta != header.record_count - 1 {
        return invalid("the batch's record count does not agree with its offsets");
    }
    if header.is_control() {
        return invalid("clients must not write control batches");
    }
    if header.producer_id >= 0 && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return invalid("a batch with a producer id must have a sequence number and an epoch");
    }
    let codec = header.compression();
    let Some(codec) = codec.filter(|codec| *codec != Compression::Zstd || version >= ZSTD_FROM_VERSION)
    else {
        return Err((ErrorCode::UnsupportedCompressionType, "the codec is not supported".to_owned()));
    };
    check_time(&header, config)?;
    if config.compact {
        check_keys(header, &batch)?;
    }
    match config.compression {
        Some(wanted) if wanted != codec => recompress(header, &batch, wanted),
        _ => Ok((header, batch)),
    }
}

fn check_time(header: &BatchHeader, config: &TopicConfig) -> Result<(), Refusal> {
    let bounded = config.timestamp_before_max_ms != i64::MAX || config.timestamp_after_max_ms != i64::MAX;
    if config.log_append_time || !bounded {
        return Ok(());
    }
    let now = now_ms();
    let earliest = now.saturating_sub(config.timestamp_before_max_ms);
    let latest = now.saturating_add(config.timestamp_after_max_ms);
    if header.base_timestamp < earliest || header.max_timestamp > latest {
        let reason = format!("timestamps of the batch are not within {earliest} and {latest}");
        return Err((ErrorCode::InvalidTimestamp, reason));
    }
    Ok(())
}

fn check_keys(header: BatchHeader, batch: &[u8]) -> Result<(), Refusal> {
    let invalid = |reason: String| (ErrorCode::InvalidRecord, reason);
    let records = Records::read(header, batch).map_err(|fault| invalid(fault.to_string()))?;
    for record in records.iter() {
        let record = record.map_err(|fault| invalid(fault.to_string()))?;
        if record.key.is_none() {
            return Err(invalid("a compacted topic cannot take a record without key".to_owned()));
        }
    }
    Ok(())
}

fn recompress(
    header: BatchHeader,
    batch: &[u8],
    wanted: Compression,
) -> Result<(BatchHeader, Bytes), Refusal> {
    let invalid = |fault: &dyn std::fmt::Display| (ErrorCode::InvalidRecord, fault.to_string());
    let records = Records::read(header, batch).map_err(|fault| invalid(&fault))?;
    records.recompressed(wanted).map_err(|fault| invalid(&fault))
}

fn answer(index: i32, appended: Result<Appended, Refusal>, version: i16) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    match appended {
        Ok(appended) => response
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.log_append_time)
            .with_log_start_offset(if version >= 5 { appended.log_start_offset } else { -1 }),
        Err((code, reason)) => {
            let message = (version >= 8 && !reason.is_empty()).then(|| StrBytes::from_string(reason));
            response.with_error_code(code.code()).with_base_offset(-1).with_error_message(message)
        }
    }
}
