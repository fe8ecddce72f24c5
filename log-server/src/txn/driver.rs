//! The shell around the coordinator: waiting requests, the timer, the journal, and the markers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedRwLockReadGuard, RwLock, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::config::TxnConfig;
use super::coordinator::{Effects, Markers, Request, StepId, Ticket, TxnCoordinator};
use super::marking;
use super::transaction::Transaction;
use crate::clock::Clock;
use crate::error::Error;
use crate::group::driver::GroupDriver;
use crate::journal::{self, Append, InternalLog, ProducerIdentity, Replayed};
use crate::moment::Moment;
use crate::protocol::ErrorCode;
use crate::topics::TopicRegistry;

/// The topic that transactional ids are kept in.
const TRANSACTION_TOPIC: &str = "__transaction_state";

/// Partitions of the topic when it is made: one, for the reason given for the offsets' topic.
const TRANSACTION_PARTITIONS: i32 = 1;

/// All transactions of the server, as the API handlers see them.
#[derive(Debug)]
pub(crate) struct TxnDriver {
    state: Mutex<State>,
    /// Tells the timer that the next deadline has moved.
    timer: Notify,
    /// What the coordinator is told of the time.
    clock: Arc<dyn Clock>,
    /// Where markers go.
    topics: Arc<TopicRegistry>,
    /// Where offsets within transactions are.
    groups: Arc<GroupDriver>,
    /// The task that writes the records, until it has been waited for.
    writing: Mutex<Option<JoinHandle<()>>>,
}

/// What the lock protects.
#[derive(Debug)]
struct State {
    coordinator: TxnCoordinator,
    next_ticket: Ticket,
    waiting: HashMap<Ticket, oneshot::Sender<Result<ProducerIdentity, ErrorCode>>>,
    /// Per transactional id: held for reading while something is written within its transaction, for writing while
    /// its markers are, so that nothing gets behind the markers.
    gates: HashMap<String, Arc<RwLock<()>>>,
    /// What the timer sleeps for.
    armed_for: Duration,
    /// Records on their way to the log; none once the driver is closed. Not bounded here: each waiting request is
    /// one owed answer of its connection, and those are bounded.
    journal: Option<mpsc::UnboundedSender<Append>>,
}

/// The right to write to a partition within a transaction; the transaction does not end while it is held.
#[derive(Debug)]
pub(crate) struct Admission {
    _gate: OwnedRwLockReadGuard<()>,
}

impl TxnDriver {
    /// Reads the transactional ids back, ends what was decided, and starts to serve on the present runtime until
    /// `shutdown`. Blocks on the disk.
    ///
    /// # Errors
    /// [`Error`] if the topic cannot be read.
    pub(crate) fn open(
        topics: &Arc<TopicRegistry>,
        groups: &Arc<GroupDriver>,
        config: TxnConfig,
        shutdown: CancellationToken,
    ) -> Result<Arc<Self>, Error> {
        let clock = Arc::clone(topics.clock());
        let log = InternalLog::new(topics, TRANSACTION_TOPIC, TRANSACTION_PARTITIONS);
        let now = clock.now();
        let mut coordinator = TxnCoordinator::new(config, now);
        log.replay(|replayed| match replayed {
            Replayed::Record { key, value, .. } => coordinator.restore_record(key, value),
            // There are no transactions over this topic itself.
            Replayed::Marker { .. } => Ok(()),
        })?;
        adopt_decisions(topics, &mut coordinator)?;
        let decided = coordinator.restored(now);
        let (journal, queue) = mpsc::unbounded_channel();
        let state = State {
            armed_for: coordinator.next_deadline(),
            coordinator,
            next_ticket: 0,
            waiting: HashMap::new(),
            gates: HashMap::new(),
            journal: Some(journal),
        };
        let driver = Arc::new(Self {
            state: Mutex::new(state),
            timer: Notify::new(),
            clock,
            topics: Arc::clone(topics),
            groups: Arc::clone(groups),
            writing: Mutex::new(None),
        });
        // Not a strong reference: the journal ends when the driver is gone.
        let confirming = Arc::downgrade(&driver);
        let writing = tokio::spawn(journal::run(log, queue, move |steps, outcome| {
            if let Some(driver) = confirming.upgrade() {
                driver.appended(steps, outcome);
            }
        }));
        *driver.writing.lock().unwrap_or_else(PoisonError::into_inner) = Some(writing);
        driver.step(|_, _| ((), decided));
        tokio::spawn(Arc::clone(&driver).run_timer(shutdown));
        Ok(driver)
    }

    /// Writes what is queued and takes no more records; call it when no request is served any more.
    pub(crate) async fn close(&self) {
        self.lock().journal = None;
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writing) = writing {
            // A journal that panicked has nothing more to write.
            let _ = writing.await;
        }
    }

    /// Begins to serve a request; the future ends with the producer as it then is, or the error.
    pub(crate) fn request(
        self: &Arc<Self>,
        transactional_id: &str,
        request: Request,
    ) -> impl Future<Output = Result<ProducerIdentity, ErrorCode>> + Send + 'static + use<> {
        let (sender, receiver) = oneshot::channel();
        self.step(|state, now| {
            state.next_ticket += 1;
            let ticket = state.next_ticket;
            state.waiting.insert(ticket, sender);
            ((), state.coordinator.handle(transactional_id, request, ticket, now))
        });
        // The sender is gone only when the server stops.
        async move { receiver.await.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable)) }
    }

    /// The right to write to a partition within the producer's transaction; none if the partition does not take
    /// part in it, or the transaction is about to end.
    pub(crate) fn admit(&self, producer: ProducerIdentity, topic: &str, partition: i32) -> Option<Admission> {
        let mut state = self.lock();
        if !state.coordinator.is_participant(producer, topic, partition) {
            return None;
        }
        let id = state.coordinator.id_of(producer.id)?.to_owned();
        let gate = state.gate(&id).try_read_owned().ok()?;
        Some(Admission { _gate: gate })
    }

    /// True when the partition takes part in the producer's open transaction.
    pub(crate) fn is_participant(&self, producer: ProducerIdentity, topic: &str, partition: i32) -> bool {
        self.lock().coordinator.is_participant(producer, topic, partition)
    }

    /// Why a producer that named no transactional id was not admitted.
    pub(crate) fn refusal_to_write(&self, producer: ProducerIdentity) -> ErrorCode {
        let state = self.lock();
        let id = state.coordinator.id_of(producer.id);
        id.map_or(ErrorCode::InvalidTxnState, |id| state.coordinator.refusal(id, producer))
    }

    /// Why a producer was not admitted.
    pub(crate) fn refusal(&self, transactional_id: &str, producer: ProducerIdentity) -> ErrorCode {
        self.lock().coordinator.refusal(transactional_id, producer)
    }

    /// What is known of a transactional id.
    pub(crate) fn describe(&self, transactional_id: &str) -> Option<Transaction> {
        self.lock().coordinator.describe(transactional_id).cloned()
    }

    /// All transactional ids.
    pub(crate) fn list(&self) -> Vec<(String, Transaction)> {
        let state = self.lock();
        state.coordinator.iter().map(|(id, transaction)| (id.to_owned(), transaction.clone())).collect()
    }

    fn appended(self: &Arc<Self>, steps: &[StepId], outcome: Result<(), ErrorCode>) {
        for step in steps {
            self.step(|state, now| ((), state.coordinator.appended(*step, outcome, now)));
        }
    }

    /// Wakes the coordinator at its deadlines. When the server stops, requests that wait are told to look for
    /// another coordinator, so that they do not hold the stop up.
    async fn run_timer(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            let deadline = self.lock().armed_for;
            let sleep = tokio::time::sleep(deadline.saturating_sub(self.clock.ticks()));
            tokio::select! {
                () = sleep => self.step(|state, now| ((), state.coordinator.on_timeout(now))),
                () = self.timer.notified() => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Lets the coordinator take one step and carries out what it wants.
    fn step<R>(self: &Arc<Self>, take: impl FnOnce(&mut State, Moment) -> (R, Effects)) -> R {
        let mut state = self.lock();
        let (result, effects) = take(&mut state, self.clock.now());
        for append in effects.appends {
            // Fails only when the server stops: the requests that wait for it are then told so.
            let _ = state.journal.as_ref().map(|journal| journal.send(append));
        }
        for (ticket, reply) in effects.replies {
            // A client that has gone does not want its answer any more.
            let _ = state.waiting.remove(&ticket).map(|waiting| waiting.send(reply));
        }
        for markers in effects.markers {
            let gate = state.gate(&markers.transactional_id);
            tokio::spawn(Arc::clone(self).write_markers(markers, gate));
        }
        let deadline = state.coordinator.next_deadline();
        if state.armed_for != deadline {
            state.armed_for = deadline;
            self.timer.notify_one();
        }
        result
    }

    async fn write_markers(self: Arc<Self>, markers: Markers, gate: Arc<RwLock<()>>) {
        let outcome = {
            let _nobody_writes = gate.write().await;
            marking::write(&self.topics, &self.groups, &markers).await
        };
        if let Err(error) = outcome {
            tracing::warn!(
                id = markers.transactional_id,
                code = error.code(),
                "markers could not be written"
            );
        }
        self.step(|state, now| ((), state.coordinator.marked(markers.step, outcome, now)));
    }

    /// A panic in a step would have left the state between two steps, which each request's own checks bear.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds the markers of transactions whose decision the log has not got.
///
/// # Errors
/// [`Error::Storage`] if a partition cannot be read.
fn adopt_decisions(topics: &TopicRegistry, coordinator: &mut TxnCoordinator) -> Result<(), Error> {
    let mut found = Vec::new();
    for (id, transaction) in coordinator.open_transactions() {
        for participant in &transaction.partitions {
            let Some(log) = topics.log(&participant.0, participant.1) else { continue };
            let marker = log.find_marker(transaction.producer.id, transaction.started_ms);
            let marker = marker.map_err(Error::storage("read", log.directory()))?;
            found.extend(marker.map(|marker| (id.to_owned(), participant.clone(), marker)));
        }
    }
    for (id, participant, marker) in found {
        coordinator.adopt(&id, &participant, marker);
    }
    Ok(())
}

impl State {
    fn gate(&mut self, transactional_id: &str) -> Arc<RwLock<()>> {
        if let Some(gate) = self.gates.get(transactional_id) {
            return Arc::clone(gate);
        }
        let gate = Arc::new(RwLock::new(()));
        self.gates.insert(transactional_id.to_owned(), Arc::clone(&gate));
        gate
    }
}
