//! The producer: records are copied into librdkafka's queue, its threads send them, failures are gathered here.

use std::ffi::{CString, NulError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::config::ClientProperties;
use super::error::{ClientError, TransactionFault, is_refused_record};
use super::ffi::{ClientEvents, NativeClient, NativeMember, NativeTopic};
use super::record_size::batch_bytes;
use super::undelivered::{RefusalJudge, UndeliveredRecord, Verdict};
use crate::record::{Headers, TopicPartition};
use crate::time::Timestamp;

/// How long the producer's thread waits for an event before it looks whether it shall end.
const SERVE_WAIT_MS: i32 = 500;
/// How long a sender sleeps when the queue is full, before it tries again.
const FULL_QUEUE_WAIT: Duration = Duration::from_millis(1);

/// Lets librdkafka choose the partition, by the key where there is one.
const ANY_PARTITION: i32 = -1;

/// A producer. Sending never blocks and may be done from any thread; a thread of its own takes the failures.
#[derive(Debug)]
pub struct DataProducer {
    client: Arc<NativeClient>,
    state: Arc<ProducerState>,
}

/// Whether a record was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Enqueued {
    /// It was copied into the queue.
    Taken,
    /// The queue is full: wait for [`DataProducer::room`] and send the same record again.
    Full,
}

/// A member of a consumer group, for offsets in a transaction.
#[derive(Debug, Clone)]
pub struct GroupMember {
    /// The group.
    pub group_id: String,
    /// The generation that the member is in.
    pub generation: i32,
    /// The member's id.
    pub member_id: String,
    /// The id of a static member.
    pub instance_id: Option<String>,
}

impl DataProducer {
    /// Starts a producer; transactional where an id is given.
    ///
    /// # Errors
    /// When a property is unknown or out of bounds, or the thread cannot be started.
    pub fn start(properties: &ClientProperties, transactional_id: Option<&str>) -> Result<Self, ClientError> {
        let config = properties.producer(transactional_id);
        let state = Arc::new(ProducerState::new(&config));
        let events: Arc<dyn ClientEvents> = state.clone();
        let client = Arc::new(NativeClient::new(&config, events)?);
        let name = format!("produce-{}", properties.client_id);
        let (served, ending) = (Arc::clone(&client), Arc::clone(&state));
        thread::Builder::new()
            .name(name.clone())
            .spawn(move || {
                while !ending.closed.load(Ordering::Acquire) {
                    served.serve(SERVE_WAIT_MS, &mut |record| ending.note_undelivered(&served, record));
                }
            })
            .map_err(|fault| ClientError::Thread { name, reason: fault.to_string() })?;
        Ok(DataProducer { client, state })
    }

    /// A handle to send to a topic; make it once and keep it.
    ///
    /// # Errors
    /// When the name cannot be one of a topic.
    pub fn topic(&self, name: &Arc<str>) -> Result<ProducerTopic, ClientError> {
        Ok(ProducerTopic { native: NativeTopic::new(&self.client, name)?, name: Arc::clone(name) })
    }

    /// How many records were taken and are not yet acknowledged.
    pub fn in_flight(&self) -> usize {
        self.client.in_flight()
    }

    /// Whether any record failed or the producer is broken: the first failure, which stays. A producer that failed
    /// is of no further use; make another, and begin again from the last commit.
    ///
    /// # Errors
    /// That failure.
    pub fn check(&self) -> Result<(), ClientError> {
        if !self.state.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        match &*self.state.first_failure.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// From now on `judge` says what is to become of a record that the broker refuses for what it is, for instance because it is
    /// too large; else it is a failure. Not within transactions, which such a record ends. The first judge given counts.
    pub fn judge_refusals_by(&self, judge: Arc<RefusalJudge>) {
        self.state.judge.get_or_init(|| judge);
    }

    /// Whether batches are compressed, so that a record's size does not say whether the broker takes it.
    pub fn compresses(&self) -> bool {
        self.state.compresses
    }

    /// How many records were passed over.
    pub fn refused(&self) -> u64 {
        self.state.refused.load(Ordering::Relaxed)
    }

    /// Waits a little for room in a full queue.
    pub async fn room(&self) {
        tokio::time::sleep(FULL_QUEUE_WAIT).await;
    }

    /// Sends what waits and returns when everything was acknowledged.
    ///
    /// # Errors
    /// The first record that failed, or that records are still under way after `timeout`.
    pub async fn flush(&self, timeout: Duration) -> Result<(), ClientError> {
        if self.client.in_flight() > 0 {
            let client = Arc::clone(&self.client);
            let timeout_ms = millis(timeout);
            let done = tokio::task::spawn_blocking(move || client.flush(timeout_ms)).await.unwrap_or(false);
            self.check()?;
            if !done {
                let timeout_ms = timeout.as_millis() as u64;
                return Err(ClientError::FlushTimeout { records: self.client.in_flight(), timeout_ms });
            }
        }
        self.check()
    }

    /// Gives up what waits or is under way: what an unclean end asks for.
    pub fn purge(&self) {
        self.client.purge();
    }

    /// Fences former producers of the same transactional id and finishes what they left. Once, before the first
    /// transaction.
    ///
    /// # Errors
    /// Those of the transaction coordinator.
    pub async fn init_transactions(&self, timeout: Duration) -> Result<(), ClientError> {
        self.blocking(move |client| client.init_transactions(millis(timeout))).await
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// When one is open already, or the producer is fenced.
    pub fn begin_transaction(&self) -> Result<(), ClientError> {
        Ok(self.client.begin_transaction()?)
    }

    /// Puts the offsets to go on from, each with its metadata, into the transaction.
    ///
    /// # Errors
    /// When the member is no longer of the group's generation, or as [`DataProducer::init_transactions`].
    pub async fn send_offsets(
        &self,
        offsets: &[(TopicPartition, i64, String)],
        member: &GroupMember,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, offset, metadata) in offsets {
            let mut place = list.add_partition(&partition.topic, partition.partition);
            place.set_metadata(metadata.as_str());
            place.set_offset(Offset::Offset(*offset)).map_err(|fault| ClientError::Offset {
                partition: partition.clone(),
                code: fault.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::InvalidArgument),
            })?;
        }
        let native = |text: &str| {
            CString::new(text)
                .map_err(|fault: NulError| ClientError::Configuration { reason: fault.to_string() })
        };
        let (group_id, member_id) = (native(&member.group_id)?, native(&member.member_id)?);
        let instance_id = member.instance_id.as_deref().map(native).transpose()?;
        let generation = member.generation;
        self.blocking(move |client| {
            let instance_id = instance_id.as_deref();
            let member = NativeMember { group_id: &group_id, generation, member_id: &member_id, instance_id };
            client.send_offsets(&list, &member, millis(timeout))
        })
        .await
    }

    /// Commits the transaction once everything in it was acknowledged.
    ///
    /// # Errors
    /// As [`DataProducer::flush`] and [`DataProducer::init_transactions`].
    pub async fn commit_transaction(&self, timeout: Duration) -> Result<(), ClientError> {
        self.flush(timeout).await?;
        self.blocking(move |client| client.commit_transaction(millis(timeout))).await
    }

    /// Gives the transaction up.
    ///
    /// # Errors
    /// As [`DataProducer::init_transactions`].
    pub async fn abort_transaction(&self, timeout: Duration) -> Result<(), ClientError> {
        self.purge();
        self.blocking(move |client| client.abort_transaction(millis(timeout))).await
    }

    async fn blocking(
        &self,
        call: impl FnOnce(&NativeClient) -> Result<(), TransactionFault> + Send + 'static,
    ) -> Result<(), ClientError> {
        let client = Arc::clone(&self.client);
        match tokio::task::spawn_blocking(move || call(&client)).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(ClientError::Closed),
        }
    }
}

impl Drop for DataProducer {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::Release);
        self.client.wake();
    }
}

/// A topic of a producer.
#[derive(Debug)]
pub struct ProducerTopic {
    native: NativeTopic,
    name: Arc<str>,
}

impl ProducerTopic {
    /// Copies one record into the queue of the producer.
    ///
    /// # Errors
    /// When the partition does not exist, or the record is larger than `message.max.bytes`.
    pub fn send(
        &self,
        partition: i32,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &Headers,
    ) -> Result<Enqueued, ClientError> {
        match self.native.produce(partition, timestamp, key, value, headers) {
            Ok(()) => Ok(Enqueued::Taken),
            Err(RDKafkaErrorCode::QueueFull) => Ok(Enqueued::Full),
            Err(code) => Err(ClientError::Refused {
                partition: TopicPartition::new(Arc::clone(&self.name), partition),
                size: key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len),
                code,
            }),
        }
    }
}

/// What the producer's thread found out.
struct ProducerState {
    compresses: bool,
    // A larger record is alone in its batch.
    shared_batch_bytes_max: usize,
    closed: AtomicBool,
    failed: AtomicBool,
    judge: OnceLock<Arc<RefusalJudge>>,
    refused: AtomicU64,
    first_failure: Mutex<Option<ClientError>>,
}

impl ProducerState {
    fn new(config: &ClientConfig) -> Self {
        let compression = ["compression.type", "compression.codec"].iter().find_map(|key| config.get(key));
        let batch_bytes = config.get("batch.size").and_then(|text| text.parse().ok());
        ProducerState {
            compresses: compression.is_some_and(|kind| kind != "none"),
            shared_batch_bytes_max: batch_bytes.unwrap_or(usize::MAX),
            closed: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            judge: OnceLock::new(),
            refused: AtomicU64::new(0),
            first_failure: Mutex::new(None),
        }
    }

    fn fail(&self, failure: ClientError) {
        self.first_failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.failed.store(true, Ordering::Release);
    }

    fn note_undelivered(&self, client: &Arc<NativeClient>, record: &UndeliveredRecord<'_>) {
        let judge = self.judge.get().filter(|_| is_refused_record(record.code) && self.is_meant(record));
        let outcome = match judge.map_or(Verdict::Fail, |judge| judge(record)) {
            Verdict::Fail => Err(record.error()),
            Verdict::PassOver => Ok(()),
            Verdict::SendTo { topic, headers } => send_to(client, &topic, &headers, record),
        };
        match outcome {
            Ok(()) => {
                tracing::warn!(fault = %record.error(), "a record was refused and is passed over");
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            Err(failure) => self.fail(failure),
        }
    }

    /// Whether the record itself is refused: a batch that is too large comes back whole, with records that are not.
    fn is_meant(&self, record: &UndeliveredRecord<'_>) -> bool {
        record.code != RDKafkaErrorCode::MessageSizeTooLarge
            || batch_bytes(record.key, record.value, &record.headers) > self.shared_batch_bytes_max
    }
}

/// Sends a refused record to another topic. One that comes back from there, or is larger than the producer lets through, goes
/// without its value: its key and headers say what it was.
fn send_to(
    client: &Arc<NativeClient>,
    topic: &str,
    headers: &Headers,
    record: &UndeliveredRecord<'_>,
) -> Result<(), ClientError> {
    let target = NativeTopic::new(client, topic)?;
    let send = |value| target.produce(ANY_PARTITION, record.timestamp, record.key, value, headers);
    let came_back = record.topic == topic;
    if came_back && record.value.is_none() {
        return Err(record.error());
    }
    let sent = match send(record.value.filter(|_| !came_back)) {
        Err(code) if is_refused_record(code) => send(None),
        sent => sent,
    };
    sent.map_err(|code| ClientError::Refused {
        partition: TopicPartition::new(topic, ANY_PARTITION),
        size: record.key.map_or(0, <[u8]>::len),
        code,
    })
}

impl ClientEvents for ProducerState {
    fn client_error(&self, code: RDKafkaErrorCode, reason: &str) {
        tracing::warn!(?code, reason, "the producer reports a fault");
        if code == RDKafkaErrorCode::Fatal || code == RDKafkaErrorCode::Fenced {
            self.fail(ClientError::Client { code, reason: reason.to_owned() });
        }
    }
}

impl std::fmt::Debug for ProducerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProducerState").field("failed", &self.failed).finish_non_exhaustive()
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
