//! Fetch (key 1), versions 4 to 16: reads from many partitions, and waits for records if there are too few.
//!
//! A waiting request is woken by appends, nothing polls. Whole batches are answered, the first one even if it is
//! larger than the limits. Version 9 brought the leader epoch of the client, 12 the check for diverging epochs, 13
//! topic ids. Every request stands for itself: the answer to a request for a session (version 7) has session
//! id 0, which keeps clients sessionless.

mod encode;

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, PartitionData,
};
use kafka_protocol::messages::{FetchRequest, FetchResponse, ProducerId};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Api, Reply, RequestContext, RequestFault, blocking, check_leader_epoch};
use crate::broker::Broker;
use crate::log::{FetchedRecords, Isolation, PartitionLog};
use crate::memory::MemoryPart;
use crate::protocol::{AnswerFrame, ErrorCode};
use crate::security::{Operation, Resource};
use crate::topics::Topic;

/// The longest that a request may wait, whatever it asks for.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// The most bytes of records in an answer, whatever the request asks for.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The handler.
pub(crate) struct Fetch;

/// A partition of the request.
struct Wanted {
    /// The place in the answer.
    topic: usize,
    place: usize,
    log: Arc<PartitionLog>,
    offset: i64,
    max_bytes: usize,
}

/// The outcome of one round of reading.
type ReadResults = Vec<Result<FetchedRecords, ErrorCode>>;

impl Api for Fetch {
    type Request = FetchRequest;
    const VERSIONS: (i16, i16) = (4, 16);
    const SHAPE: &'static str = "-14:4 4 4 4 1 7+:4 7+:4 [(-12:s 13+:16 [(4 9+:4 8 12+:4 5+:8 4)])] \
                                 7+:[(-12:s 13+:16 [4])] 11+:s";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: FetchRequest,
    ) -> Reply<FetchResponse> {
        if request.session_id != 0 && request.session_epoch > 0 {
            let code = ErrorCode::FetchSessionIdNotFound.code();
            return Reply::Now(FetchResponse::default().with_error_code(code));
        }
        let isolation = match request.isolation_level {
            1 => Isolation::ReadCommitted,
            _ => Isolation::ReadUncommitted,
        };
        let mut wanted = Vec::new();
        let mut responses = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            responses.push(resolve(&broker, &context, topic, responses.len(), &mut wanted));
        }
        let refused = responses.iter().any(|topic| topic.partitions.iter().any(|data| data.error_code != 0));
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(MAX_WAIT);
        let min_bytes = u64::try_from(request.min_bytes).unwrap_or(0);
        let wait = if refused { Duration::ZERO } else { wait };
        let readable = wait_for_bytes(&broker, &wanted, isolation, min_bytes, wait).await;
        let max_bytes = usize::try_from(request.max_bytes).unwrap_or(0).min(MAX_ANSWER_BYTES);
        let (max_bytes, memory) = reserve(&broker, readable, max_bytes);
        let (wanted, results) = read_all(&broker, wanted, isolation, max_bytes).await;
        for (partition, result) in wanted.iter().zip(results) {
            fill(&mut responses[partition.topic].partitions[partition.place], result, isolation);
        }
        Reply::Holding(FetchResponse::default().with_responses(responses), memory)
    }

    fn encode(
        version: i16,
        correlation_id: i32,
        response: &FetchResponse,
    ) -> Result<AnswerFrame, RequestFault> {
        Ok(encode::encode(version, correlation_id, response))
    }
}

/// Finds the logs of a topic's partitions; those that cannot be read are answered at once.
fn resolve(
    broker: &Broker,
    context: &RequestContext,
    request: &FetchTopic,
    at: usize,
    wanted: &mut Vec<Wanted>,
) -> FetchableTopicResponse {
    let by_id = !request.topic_id.is_nil();
    let topic = if by_id {
        broker.topics().get_by_id(&request.topic_id)
    } else {
        broker.topics().get(&request.topic)
    };
    let name = topic.as_ref().map_or(&**request.topic, |topic| &topic.name);
    let is_named = topic.is_some() || !by_id;
    let allowed = if is_named { context.check(Operation::Read, Resource::Topic(name)) } else { Ok(()) };
    let missing = if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
    let mut partitions = Vec::with_capacity(request.partitions.len());
    for partition in &request.partitions {
        let mut data = PartitionData::default()
            .with_partition_index(partition.partition)
            .with_high_watermark(-1)
            .with_records(Some(bytes::Bytes::new()));
        match allowed.and_then(|()| find_log(topic.as_deref(), partition, missing)) {
            Ok(log) => match diverging(&log, partition) {
                Some(end) => data = data.with_diverging_epoch(end),
                None => wanted.push(Wanted {
                    topic: at,
                    place: partitions.len(),
                    log,
                    offset: partition.fetch_offset,
                    max_bytes: usize::try_from(partition.partition_max_bytes).unwrap_or(0),
                }),
            },
            Err(code) => data.error_code = code.code(),
        }
        partitions.push(data);
    }
    FetchableTopicResponse::default()
        .with_topic(request.topic.clone())
        .with_topic_id(request.topic_id)
        .with_partitions(partitions)
}

fn find_log(
    topic: Option<&Topic>,
    partition: &FetchPartition,
    missing: ErrorCode,
) -> Result<Arc<PartitionLog>, ErrorCode> {
    let topic = topic.ok_or(missing)?;
    let log = topic.partition(partition.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    check_leader_epoch(&log, partition.current_leader_epoch)?;
    Ok(log)
}

/// Where the client's copy parts from the log, if the epoch of its last record ended before its offset.
fn diverging(log: &PartitionLog, partition: &FetchPartition) -> Option<EpochEndOffset> {
    if partition.last_fetched_epoch < 0 {
        return None;
    }
    let (epoch, end_offset) = log.end_of_epoch(partition.last_fetched_epoch)?;
    let parted = epoch < partition.last_fetched_epoch || end_offset < partition.fetch_offset;
    parted.then(|| EpochEndOffset::default().with_epoch(epoch).with_end_offset(end_offset))
}

/// Waits until the partitions have `min_bytes` together, one of them cannot be read, the time is up or the server
/// stops; returns how many bytes they have.
async fn wait_for_bytes(
    broker: &Broker,
    wanted: &[Wanted],
    isolation: Isolation,
    min_bytes: u64,
    wait: Duration,
) -> u64 {
    let look = || {
        let (mut bytes, mut failed) = (0, false);
        for partition in wanted {
            match partition.log.readable_bytes(partition.offset, isolation) {
                Ok(readable) => bytes += readable.min(partition.max_bytes as u64),
                Err(_) => failed = true,
            }
        }
        (bytes, failed || bytes >= min_bytes)
    };
    let (mut readable, mut enough) = look();
    if wait.is_zero() || enough {
        return readable;
    }
    let deadline = Instant::now() + wait;
    let waiter = Arc::new(Notify::new());
    loop {
        // Registered before the look, so that an append between look and wait is not missed.
        for partition in wanted {
            partition.log.register_fetch(&waiter);
        }
        (readable, enough) = look();
        if enough {
            return readable;
        }
        tokio::select! {
            () = waiter.notified() => {}
            () = tokio::time::sleep_until(deadline) => return readable,
            () = broker.shutdown_token().cancelled() => return readable,
        }
    }
}

/// What an answer may have without taking from the memory that all connections share.
const FREE_ANSWER_BYTES: usize = 64 * 1024;

/// Takes memory for the answer: for all that is asked for and there is; when too little is left, the answer is a small
/// one, so that readers who do not take their answers cannot stop the others.
fn reserve(broker: &Broker, readable: u64, max_bytes: usize) -> (usize, Option<MemoryPart>) {
    let expected = usize::try_from(readable).unwrap_or(usize::MAX).min(max_bytes);
    if expected <= FREE_ANSWER_BYTES {
        return (max_bytes, None);
    }
    match broker.response_memory().try_take(expected) {
        Some(memory) => (expected, Some(memory)),
        None => (max_bytes.min(FREE_ANSWER_BYTES), None),
    }
}

/// Reads all partitions: at once if they surely are in memory, else on a thread that may block.
async fn read_all(
    broker: &Broker,
    wanted: Vec<Wanted>,
    isolation: Isolation,
    max_bytes: usize,
) -> (Vec<Wanted>, ReadResults) {
    let first = broker.next_fetch_turn();
    let hot = wanted.iter().all(|partition| partition.log.is_hot(partition.offset));
    if hot {
        let results = read_in_turn(&wanted, first, isolation, max_bytes);
        return (wanted, results);
    }
    let places: Vec<(usize, usize)> =
        wanted.iter().map(|partition| (partition.topic, partition.place)).collect();
    let logs: Vec<Arc<PartitionLog>> = wanted.iter().map(|partition| Arc::clone(&partition.log)).collect();
    let read = blocking(move || {
        let results = read_in_turn(&wanted, first, isolation, max_bytes);
        (wanted, results)
    });
    read.await.unwrap_or_else(|code| {
        let failed: Vec<Wanted> = places
            .into_iter()
            .zip(logs)
            .map(|((topic, place), log)| Wanted { topic, place, log, offset: 0, max_bytes: 0 })
            .collect();
        let results = failed.iter().map(|_| Err(code)).collect();
        (failed, results)
    })
}

/// Reads until the answer is full, each time beginning with another partition, so that a full one does not starve
/// those behind it.
fn read_in_turn(wanted: &[Wanted], first: usize, isolation: Isolation, max_bytes: usize) -> ReadResults {
    let mut results: Vec<Option<Result<FetchedRecords, ErrorCode>>> = wanted.iter().map(|_| None).collect();
    let mut left = max_bytes;
    let mut empty = true;
    for turn in 0..wanted.len() {
        let at = (first + turn) % wanted.len();
        let partition = &wanted[at];
        let result = partition.log.read(partition.offset, partition.max_bytes.min(left), isolation, empty);
        if let Ok(fetched) = &result {
            empty &= fetched.records.is_empty();
            left = left.saturating_sub(fetched.records.len());
        }
        results[at] = Some(result);
    }
    results.into_iter().map(|result| result.unwrap_or(Err(ErrorCode::UnknownServerError))).collect()
}

fn fill(data: &mut PartitionData, result: Result<FetchedRecords, ErrorCode>, isolation: Isolation) {
    match result {
        Err(code) => data.error_code = code.code(),
        Ok(fetched) => {
            data.high_watermark = fetched.watermarks.high;
            data.last_stable_offset = fetched.watermarks.last_stable;
            data.log_start_offset = fetched.watermarks.log_start;
            data.records = Some(fetched.records);
            if isolation == Isolation::ReadCommitted {
                let aborted = fetched.aborted.iter().map(|aborted| {
                    AbortedTransaction::default()
                        .with_producer_id(ProducerId(aborted.producer_id))
                        .with_first_offset(aborted.first_offset)
                });
                data.aborted_transactions = Some(aborted.collect());
            } else {
                data.aborted_transactions = None;
            }
        }
    }
}
