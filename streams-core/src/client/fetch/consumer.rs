//! The consumer that fetches records of assigned partitions, on a thread of its own.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::buffer::{FetchBudget, FetchPermit};
use super::fetcher::Fetcher;
use super::message::FetchedMessage;
use super::settings::FetchSettings;
use crate::client::rdkafka::{ClientError, ClientProperties};
use crate::client::wire::WireClient;
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
/// All calls reach its thread through a queue. Dropping it ends the thread; records that were fetched stay.
#[derive(Debug)]
pub struct DataConsumer {
    commands: mpsc::UnboundedSender<Command>,
    last_fault: Arc<Mutex<Option<ClientError>>>,
}

type Reply = oneshot::Sender<()>;

pub(super) enum Command {
    Assign(Vec<FetchAssignment>, Reply),
    Unassign(Vec<TopicPartition>, Reply),
    Seek(Vec<(TopicPartition, FetchFrom)>, Reply),
    Close,
}

impl DataConsumer {
    /// Starts a consumer that holds about `buffer_bytes` of records which its user has not processed, and one answer of
    /// each broker on top.
    ///
    /// # Errors
    /// When a property is unknown or out of bounds, or the thread cannot be started.
    pub fn start(
        properties: &ClientProperties,
        group_id: &str,
        buffer_bytes: usize,
    ) -> Result<Self, ClientError> {
        let settings = FetchSettings::new(properties, group_id)?;
        let wire = WireClient::new(settings.wire(properties)?);
        let budget = Arc::new(FetchBudget::new(buffer_bytes));
        let (commands, received) = mpsc::unbounded_channel();
        let last_fault = Arc::default();
        let fetcher = Fetcher::new(wire, settings, budget, received, Arc::clone(&last_fault));
        let name = format!("fetch-{}", properties.client_id);
        let refused =
            |fault: std::io::Error| ClientError::Thread { name: name.clone(), reason: fault.to_string() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
        thread::Builder::new()
            .name(name.clone())
            .spawn(move || runtime.block_on(fetcher.run()))
            .map_err(refused)?;
        Ok(DataConsumer { commands, last_fault })
    }

    /// Fetches these partitions as well; those fetched already are not disturbed.
    ///
    /// # Errors
    /// When the consumer is closed.
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
    }

    /// Goes on from other offsets in partitions that are fetched. Records of the old place do not come after this
    /// call has returned.
    ///
    /// # Errors
    /// As [`DataConsumer::assign`].
    pub async fn seek(&self, places: Vec<(TopicPartition, FetchFrom)>) -> Result<(), ClientError> {
        self.command(|reply| Command::Seek(places, reply)).await
    }

    /// What interrupted the fetching since the last call: no broker reachable, a leader gone. It is tried again.
    pub fn take_fault(&self) -> Option<ClientError> {
        self.last_fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn command(&self, command: impl FnOnce(Reply) -> Command) -> Result<(), ClientError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).map_err(|_| ClientError::Closed)?;
        answer.await.map_err(|_| ClientError::Closed)
    }
}

impl Drop for DataConsumer {
    fn drop(&mut self) {
        // The thread may be gone already.
        let _ = self.commands.send(Command::Close);
    }
}
