//! The shell around the coordinator: waiting requests, the timer, and the journal.
//!
//! A request locks the state machine for the instant of its step. Its answer comes through a channel, because it
//! may have to wait for other members or for the disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_protocol::ResponseError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::classic::{HeartbeatRequest, JoinRequest, LeavingMember, SyncRequest};
use super::coordinator::{CommitRequest, FetchedOffset, GroupCoordinator, GroupDescription, GroupListing};
use super::effects::{Effects, JoinReply, SyncReply, Ticket};
use crate::clock::Clock;
use crate::journal::{self, Append, AppendId, EndMarker, InternalLog, ProducerIdentity};
use crate::moment::Moment;

/// All groups of the server, as the API handlers see them.
#[derive(Debug)]
pub(crate) struct GroupDriver {
    state: Mutex<State>,
    /// Tells the timer that the next deadline has moved.
    timer: Notify,
    /// What the coordinator is told of the time.
    clock: Arc<dyn Clock>,
    /// Where the records go.
    log: InternalLog,
    /// The task that writes the records, until it has been waited for.
    writing: Mutex<Option<JoinHandle<()>>>,
}

/// What the lock protects.
#[derive(Debug)]
struct State {
    coordinator: GroupCoordinator,
    next_ticket: Ticket,
    joins: HashMap<Ticket, oneshot::Sender<JoinReply>>,
    syncs: HashMap<Ticket, oneshot::Sender<SyncReply>>,
    writes: HashMap<Ticket, oneshot::Sender<Result<(), ResponseError>>>,
    /// What the timer sleeps for.
    armed_for: Duration,
    /// Records on their way to the log; none once the driver is closed. Not bounded here: each waiting commit is
    /// one owed answer of its connection, and those are bounded.
    journal: Option<mpsc::UnboundedSender<Append>>,
}

impl GroupDriver {
    /// Makes a driver for a coordinator that has been restored, and starts its journal and its timer on the
    /// present runtime; both end with `shutdown`.
    pub(crate) fn start(
        coordinator: GroupCoordinator,
        log: InternalLog,
        clock: Arc<dyn Clock>,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let (journal, queue) = mpsc::unbounded_channel();
        let armed_for = coordinator.next_deadline();
        let state = State {
            coordinator,
            next_ticket: 0,
            joins: HashMap::new(),
            syncs: HashMap::new(),
            writes: HashMap::new(),
            armed_for,
            journal: Some(journal),
        };
        let driver = Arc::new(Self {
            state: Mutex::new(state),
            timer: Notify::new(),
            clock,
            log: log.clone(),
            writing: Mutex::new(None),
        });
        // Not a strong reference: the journal ends when the driver is gone.
        let confirming = Arc::downgrade(&driver);
        let writing = tokio::spawn(journal::run(log, queue, move |ids, outcome| {
            if let Some(driver) = confirming.upgrade() {
                driver.appended(ids, outcome);
            }
        }));
        *driver.writing.lock().unwrap_or_else(PoisonError::into_inner) = Some(writing);
        tokio::spawn(Arc::clone(&driver).run_timer(shutdown));
        driver
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

    /// Begins a join; the future ends when the generation does begin.
    pub(crate) fn join(
        &self,
        group_id: &str,
        request: JoinRequest,
    ) -> impl Future<Output = JoinReply> + Send + 'static + use<> {
        let member_id = request.member_id.clone();
        let answer = self.step(|state, now| {
            let (ticket, answer) = open(&mut state.next_ticket, &mut state.joins);
            (answer, state.coordinator.join(group_id, request, ticket, now))
        });
        async move {
            // The sender is gone only when the server stops.
            answer
                .await
                .unwrap_or_else(|_| JoinReply::refused(member_id, ResponseError::CoordinatorNotAvailable))
        }
    }

    /// Begins a sync; the future ends when the leader has brought the assignment.
    pub(crate) fn sync(
        &self,
        group_id: &str,
        request: SyncRequest,
    ) -> impl Future<Output = SyncReply> + Send + 'static + use<> {
        let answer = self.step(|state, now| {
            let (ticket, answer) = open(&mut state.next_ticket, &mut state.syncs);
            (answer, state.coordinator.sync(group_id, request, ticket, now))
        });
        async move { answer.await.unwrap_or_else(|_| SyncReply::refused(ResponseError::CoordinatorNotAvailable)) }
    }

    /// Takes a heartbeat.
    ///
    /// # Errors
    /// Those of [`GroupCoordinator::heartbeat`].
    pub(crate) fn heartbeat(&self, group_id: &str, request: &HeartbeatRequest) -> Result<(), ResponseError> {
        self.step(|state, now| (state.coordinator.heartbeat(group_id, request, now), Effects::default()))
    }

    /// Takes members out of their group; one outcome each.
    ///
    /// # Errors
    /// Those of [`GroupCoordinator::leave`].
    pub(crate) fn leave(
        &self,
        group_id: &str,
        leaving: &[LeavingMember],
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError> {
        self.step(|state, now| match state.coordinator.leave(group_id, leaving, now) {
            Ok((outcomes, effects)) => (Ok(outcomes), effects),
            Err(error) => (Err(error), Effects::default()),
        })
    }

    /// Begins a commit; the future ends when the offsets are durable.
    pub(crate) fn commit(
        &self,
        group_id: &str,
        request: CommitRequest,
    ) -> impl Future<Output = Result<(), ResponseError>> + Send + 'static + use<> {
        let answer = self.step(|state, now| {
            let (ticket, answer) = open(&mut state.next_ticket, &mut state.writes);
            (answer, state.coordinator.commit(group_id, request, ticket, now))
        });
        durable(answer)
    }

    /// The committed offsets of the asked-for partitions, or of all.
    pub(crate) fn fetch_offsets(
        &self,
        group_id: &str,
        partitions: Option<Vec<(String, i32)>>,
        require_stable: bool,
    ) -> Vec<FetchedOffset> {
        self.lock().coordinator.fetch_offsets(group_id, partitions, require_stable)
    }

    /// Begins the deletion of a group; the future ends when it is durable.
    pub(crate) fn delete_group(
        &self,
        group_id: &str,
    ) -> impl Future<Output = Result<(), ResponseError>> + Send + 'static + use<> {
        let answer = self.step(|state, _| {
            let (ticket, answer) = open(&mut state.next_ticket, &mut state.writes);
            (answer, state.coordinator.delete_group(group_id, ticket))
        });
        durable(answer)
    }

    /// Begins the deletion of offsets: per partition why it stays, if it does, and a future that ends when the
    /// rest is durably deleted.
    ///
    /// # Errors
    /// Those of [`GroupCoordinator::delete_offsets`].
    #[expect(clippy::type_complexity, reason = "named once, here")]
    pub(crate) fn delete_offsets(
        &self,
        group_id: &str,
        partitions: Vec<(String, i32)>,
    ) -> Result<
        (
            Vec<Option<ResponseError>>,
            impl Future<Output = Result<(), ResponseError>> + Send + 'static + use<>,
        ),
        ResponseError,
    > {
        let begun = self.step(|state, _| {
            let (ticket, answer) = open(&mut state.next_ticket, &mut state.writes);
            match state.coordinator.delete_offsets(group_id, partitions, ticket) {
                Ok((refusals, effects)) => (Ok((refusals, answer)), effects),
                Err(error) => {
                    state.writes.remove(&ticket);
                    (Err(error), Effects::default())
                }
            }
        });
        begun.map(|(refusals, answer)| (refusals, durable(answer)))
    }

    /// The longest text that may go with an offset.
    pub(crate) fn max_offset_metadata_bytes(&self) -> usize {
        self.lock().coordinator.config().max_offset_metadata_bytes
    }

    /// The group of that id, if there is one.
    pub(crate) fn describe(&self, group_id: &str) -> Option<GroupDescription> {
        self.lock().coordinator.describe(group_id)
    }

    /// All groups, by id.
    pub(crate) fn list(&self) -> Vec<GroupListing> {
        self.lock().coordinator.list()
    }

    /// Begins to write the marker that ends a producer's transaction in one partition of the offsets topic; the
    /// future ends when it is durable and the offsets count.
    pub(crate) fn write_marker(
        &self,
        partition: i32,
        producer: ProducerIdentity,
        end: EndMarker,
    ) -> impl Future<Output = Result<(), ResponseError>> + Send + 'static + use<> {
        let answer = self.step(|state, _| {
            let (ticket, answer) = open(&mut state.next_ticket, &mut state.writes);
            (answer, state.coordinator.write_marker(partition, producer, end, ticket))
        });
        durable(answer)
    }

    /// The partition of the offsets topic that a group's offsets are in.
    pub(crate) fn partition_of(&self, group_id: &str) -> i32 {
        self.log.partition_of(group_id)
    }

    fn appended(&self, ids: &[AppendId], outcome: Result<(), ResponseError>) {
        self.step(|state, now| {
            let mut all = Effects::default();
            for id in ids {
                all.extend(state.coordinator.appended(*id, outcome, now));
            }
            ((), all)
        });
    }

    /// Wakes the coordinator at its deadlines. When the server stops, requests that wait for other members are
    /// told to look for another coordinator, so that they do not hold the stop up.
    async fn run_timer(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            let deadline = self.lock().armed_for;
            let sleep = tokio::time::sleep(deadline.saturating_sub(self.clock.ticks()));
            tokio::select! {
                () = sleep => self.step(|state, now| ((), state.coordinator.on_timeout(now))),
                () = self.timer.notified() => {}
                () = shutdown.cancelled() => break,
            }
        }
        let mut state = self.lock();
        state.joins.clear();
        state.syncs.clear();
    }

    /// Lets the coordinator take one step and carries out what it wants.
    fn step<R>(&self, take: impl FnOnce(&mut State, Moment) -> (R, Effects)) -> R {
        let mut state = self.lock();
        let (result, effects) = take(&mut state, self.clock.now());
        for append in effects.appends {
            // Fails only when the server stops: the requests that wait for it are then told so.
            let _ = state.journal.as_ref().map(|journal| journal.send(append));
        }
        // A client that has gone does not want its answer any more.
        for (ticket, reply) in effects.joins {
            if let Some(waiting) = state.joins.remove(&ticket) {
                let _ = waiting.send(reply);
            }
        }
        for (ticket, reply) in effects.syncs {
            let _ = state.syncs.remove(&ticket).map(|waiting| waiting.send(reply));
        }
        for (ticket, outcome) in effects.writes {
            let _ = state.writes.remove(&ticket).map(|waiting| waiting.send(outcome));
        }
        let deadline = state.coordinator.next_deadline();
        if state.armed_for != deadline {
            state.armed_for = deadline;
            self.timer.notify_one();
        }
        result
    }

    /// A panic in a step would have left the state between two steps, which each request's own checks bear.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives out a ticket and the channel that its answer will come through.
fn open<T>(
    next: &mut Ticket,
    waiting: &mut HashMap<Ticket, oneshot::Sender<T>>,
) -> (Ticket, oneshot::Receiver<T>) {
    *next += 1;
    let (sender, receiver) = oneshot::channel();
    waiting.insert(*next, sender);
    (*next, receiver)
}

/// The outcome of a write, once there is one.
async fn durable(answer: oneshot::Receiver<Result<(), ResponseError>>) -> Result<(), ResponseError> {
    answer.await.unwrap_or(Err(ResponseError::CoordinatorNotAvailable))
}
