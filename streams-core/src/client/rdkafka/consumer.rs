//! The consumer that fetches records of assigned partitions, in batches, on a thread of its own.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::oneshot;

use super::config::ClientProperties;
use super::error::ClientError;
use super::fetch_buffer::{FetchBudget, FetchPermit};
use super::fetch_thread::FetchThread;
use super::ffi::{ClientEvents, FetchedMessage, Kind, NativeClient};
use crate::record::TopicPartition;

/// Where to begin in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchFrom {
    /// The first record there is.
    Beginning,
    /// Behind the last record there is.
    End,
    /// The record of this offset, or the next one there is.
    Offset(i64),
}

/// What a partition's owner is told.
#[derive(Debug)]
pub enum FetchEvent {
    /// Records, in the order of their offsets.
    Records(FetchedBatch),
    /// Everything up to this offset was delivered, and there was no more at that moment.
    End {
        /// The offset that the next record will have at least.
        offset: i64,
    },
    /// Fetching does not go on by itself.
    Fault(ClientError),
}

/// Records of one partition. Their bytes count against the consumer's budget until the permit is dropped.
#[derive(Debug)]
pub struct FetchedBatch {
    /// The records, in the order of their offsets.
    pub records: Vec<FetchedMessage>,
    /// What they take of the budget.
    pub permit: FetchPermit,
    /// The offset behind the partition's last record as the latest answer had it: minus the last offset + 1 it is
    /// the lag.
    pub high_watermark: Option<i64>,
}

/// Takes the events of one partition, on the fetching thread: it must not block.
pub type FetchSink = Box<dyn Fn(FetchEvent) + Send>;

/// A partition to fetch, from where, for whom.
pub struct FetchAssignment {
    /// The partition.
    pub partition: TopicPartition,
    /// Where to begin.
    pub from: FetchFrom,
    /// Who takes its records.
    pub sink: FetchSink,
}

impl fmt::Debug for FetchAssignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchAssignment")
            .field("partition", &self.partition)
            .field("from", &self.from)
            .finish()
    }
}

/// A consumer of assigned partitions: no group is joined and nothing committed through it.
///
/// All calls reach its thread through a queue, and return when librdkafka has taken them. Dropping it ends the thread.
#[derive(Debug)]
pub struct DataConsumer {
    commands: mpsc::Sender<Command>,
    client: Arc<NativeClient>,
    budget: Arc<FetchBudget>,
    fault: Arc<ConsumerFault>,
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, ClientError>>;

pub(super) enum Command {
    Assign(Vec<FetchAssignment>, Reply<()>),
    Unassign(Vec<TopicPartition>, Reply<()>),
    Seek(Vec<(TopicPartition, FetchFrom)>, Reply<()>),
    Close,
}

impl DataConsumer {
    /// Starts a consumer that holds at most `buffer_bytes` of records which its user has not processed; what
    /// librdkafka fetches ahead comes on top (`queued.max.messages.kbytes`).
    ///
    /// # Errors
    /// When a property is unknown or out of bounds, or the thread cannot be started.
    pub fn start(
        properties: &ClientProperties,
        group_id: &str,
        buffer_bytes: usize,
    ) -> Result<Self, ClientError> {
        let fault = Arc::new(ConsumerFault::default());
        let events: Arc<dyn ClientEvents> = fault.clone();
        let client = Arc::new(NativeClient::new(&properties.consumer(group_id), Kind::Consumer, events)?);
        let budget = Arc::new(FetchBudget::new(buffer_bytes.max(1)));
        let (commands, received) = mpsc::channel();
        let mut fetching = FetchThread::new(Arc::clone(&client), Arc::clone(&budget), received);
        let name = format!("fetch-{}", properties.client_id);
        thread::Builder::new()
            .name(name.clone())
            .spawn(move || fetching.run())
            .map_err(|fault| ClientError::Thread { name, reason: fault.to_string() })?;
        Ok(DataConsumer { commands, client, budget, fault })
    }

    /// Fetches these partitions as well; those fetched already are not disturbed.
    ///
    /// # Errors
    /// When librdkafka refuses, or the consumer is closed.
    pub async fn assign(&self, partitions: Vec<FetchAssignment>) -> Result<(), ClientError> {
        self.command(|reply| Command::Assign(partitions, reply)).await
    }

    /// Stops fetching these partitions. No event of theirs comes after this call has returned.
    ///
    /// # Errors
    /// As [`DataConsumer::assign`].
    pub async fn unassign(&self, partitions: Vec<TopicPartition>) -> Result<(), ClientError> {
        self.command(|reply| Command::Unassign(partitions, reply)).await
    }

    /// As [`DataConsumer::unassign`], without waiting for it.
    pub fn unassign_later(&self, partitions: Vec<TopicPartition>) {
        let (reply, _) = oneshot::channel();
        // A consumer that is closed fetches nothing.
        let _ = self.commands.send(Command::Unassign(partitions, reply));
        self.wake();
    }

    /// Goes on from other offsets in partitions that are fetched. Records of the old place do not come after this
    /// call has returned.
    ///
    /// # Errors
    /// As [`DataConsumer::assign`].
    pub async fn seek(&self, places: Vec<(TopicPartition, FetchFrom)>) -> Result<(), ClientError> {
        self.command(|reply| Command::Seek(places, reply)).await
    }

    /// A fault of the whole client since the last call: no broker reachable, authentication refused.
    pub fn take_fault(&self) -> Option<ClientError> {
        if let Some((code, reason)) = self.client.fatal_error() {
            return Some(ClientError::Client { code, reason });
        }
        self.fault.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn command<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, ClientError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).map_err(|_| ClientError::Closed)?;
        self.wake();
        answer.await.map_err(|_| ClientError::Closed)?
    }

    fn wake(&self) {
        self.client.wake();
        self.budget.wake();
    }
}

impl Drop for DataConsumer {
    fn drop(&mut self) {
        // The thread may be gone already.
        let _ = self.commands.send(Command::Close);
        self.wake();
    }
}

/// The last fault that librdkafka reported for the whole consumer.
#[derive(Debug, Default)]
struct ConsumerFault {
    last: Mutex<Option<ClientError>>,
}

impl ClientEvents for ConsumerFault {
    fn client_error(&self, code: RDKafkaErrorCode, reason: &str) {
        tracing::warn!(?code, reason, "the consumer reports a fault");
        let fault = ClientError::Client { code, reason: reason.to_owned() };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    fn delivery_error(&self, _: &str, _: i32, _: RDKafkaErrorCode, _: &str) {}
}
