//! All transactional ids, each with at most one step under way.
//!
//! A step is decided, written, and only then true: until the log has confirmed it, the id is what it was. Requests
//! that arrive meanwhile wait for their turn and then find the outcome.
//!
//! The end of a transaction is written in one round: its decision and its markers at the same time. A power cut may
//! then keep a marker and lose the decision, so at the start the markers of open transactions are looked for, and one
//! that is found is the decision (`adopt`). Therefore a decision that has been made stands, whatever fails.

mod adopt;
mod end;
mod init;
mod restore;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use super::config::TxnConfig;
use super::records;
use super::transaction::{EpochChange, Participant, Transaction, TransactionState};
use crate::journal::{Append, AppendId, Content, EndMarker, Place, ProducerIdentity};
use crate::moment::Moment;
use crate::protocol::ErrorCode;

/// Names a request that waits for its answer.
pub(crate) type Ticket = u64;

/// Names a step: its append, and its markers.
pub(crate) type StepId = AppendId;

/// What a producer asks for.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    /// A producer begins to use the id.
    Init {
        /// How long its transactions may take.
        timeout: Duration,
        /// What it was before, if it asks for a new epoch only.
        expected: Option<ProducerIdentity>,
        /// Becomes its id if it needs one: drawn by the caller, as the state machine keeps no numbers.
        fresh_id: i64,
    },
    /// Partitions are to take part in the transaction.
    Add {
        /// Who asks.
        producer: ProducerIdentity,
        /// The partitions.
        partitions: Vec<Participant>,
    },
    /// The transaction is to end.
    End {
        /// Who asks.
        producer: ProducerIdentity,
        /// Commit, or abort.
        is_commit: bool,
        /// What becomes of the producer's epoch.
        epoch: EpochChange,
    },
}

/// What the coordinator wants done.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Answers: the producer as it is now, or why not.
    pub(crate) replies: Vec<(Ticket, Result<ProducerIdentity, ErrorCode>)>,
    /// Records for `__transaction_state`, in this order.
    pub(crate) appends: Vec<Append>,
    /// Transactions to be ended in their partitions.
    pub(crate) markers: Vec<Markers>,
}

/// A decided transaction, to be ended in all its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Markers {
    /// To be named when it is done, or has failed.
    pub(crate) step: StepId,
    /// Whose transaction.
    pub(crate) transactional_id: String,
    /// The producer as the markers name it.
    pub(crate) producer: ProducerIdentity,
    /// What the markers say.
    pub(crate) end: EndMarker,
    /// Where.
    pub(crate) partitions: BTreeSet<Participant>,
}

/// The state machine behind all transaction APIs.
#[derive(Debug)]
pub(crate) struct TxnCoordinator {
    /// Limits and time-outs.
    config: TxnConfig,
    /// By transactional id.
    ids: BTreeMap<String, Entry>,
    /// Which transactional id a producer id belongs to.
    producers: HashMap<i64, String>,
    /// When each id wants to be woken, soonest first.
    deadlines: BTreeSet<(Duration, String)>,
    /// Which transactional id a step under way belongs to.
    steps: HashMap<StepId, String>,
    /// The name of the next step.
    next_step: StepId,
    /// When expired ids are looked for next.
    next_expiry: Duration,
}

/// A transactional id with what is under way.
#[derive(Debug)]
struct Entry {
    /// As the log has it.
    current: Transaction,
    /// What it is about to become.
    step: Option<Step>,
    /// Requests that wait for the step.
    waiting: VecDeque<(Ticket, Request)>,
    /// When the transaction times out, or its markers are tried again.
    deadline: Option<Duration>,
}

/// A change under way.
#[derive(Debug)]
struct Step {
    id: StepId,
    next: Transaction,
    /// The request that asked for it.
    ticket: Option<Ticket>,
    /// The record is on its way to the log.
    is_writing: bool,
    /// The markers are on their way to theirs.
    is_marking: bool,
    /// The end of a transaction failed in part: it is tried again.
    has_failed: bool,
}

impl TxnCoordinator {
    /// A coordinator without ids.
    pub(crate) fn new(config: TxnConfig, now: Moment) -> Self {
        let next_expiry = now.after(config.expiry_interval);
        Self {
            config,
            ids: BTreeMap::new(),
            producers: HashMap::new(),
            deadlines: BTreeSet::new(),
            steps: HashMap::new(),
            next_step: 0,
            next_expiry,
        }
    }

    /// Handles a request; its answer is among the effects of this or of a later step.
    pub(crate) fn handle(&mut self, id: &str, request: Request, ticket: Ticket, now: Moment) -> Effects {
        let mut out = Effects::default();
        self.serve(id, request, ticket, now, &mut out);
        out
    }

    /// The record of a step is durable, or has failed.
    pub(crate) fn appended(&mut self, step: StepId, outcome: Result<(), ErrorCode>, now: Moment) -> Effects {
        let mut out = Effects::default();
        let Some((id, entry)) = self.entry_of(step) else { return out };
        let Some(present) = entry.step.as_mut() else { return out };
        if let Err(error) = outcome {
            tracing::warn!(id, code = error.code(), "transaction record could not be written");
            let is_decision = present.next.state.prepared().is_some();
            let ticket = present.ticket.take();
            // What waits would fail the same way.
            let waiting = entry.waiting.drain(..).map(|(ticket, _)| ticket);
            let tickets = ticket.into_iter().chain(waiting);
            out.replies.extend(tickets.map(|ticket| (ticket, Err(ErrorCode::CoordinatorNotAvailable))));
            match is_decision {
                true => self.try_again_later(&id, now),
                false => self.drop_step(&id),
            }
            return out;
        }
        present.is_writing = false;
        if present.next.state.prepared().is_none() {
            let Some(Step { next, ticket, .. }) = entry.step.take() else { return out };
            self.steps.remove(&step);
            self.become_next(&id, next, now);
            self.answer(&id, ticket, &mut out);
            self.serve_waiting(&id, now, &mut out);
        } else if present.is_marking {
            let (decided, has_failed) = (present.next.clone(), present.has_failed);
            self.become_next(&id, decided, now);
            if has_failed {
                self.try_again_later(&id, now);
            }
        } else {
            self.complete(&id, now, &mut out);
        }
        out
    }

    /// The markers of a step are durable, or some could not be written.
    pub(crate) fn marked(&mut self, step: StepId, outcome: Result<(), ErrorCode>, now: Moment) -> Effects {
        let mut out = Effects::default();
        let Some((id, entry)) = self.entry_of(step) else { return out };
        let Some(present) = entry.step.as_mut() else { return out };
        if outcome.is_err() {
            let ticket = present.ticket.take();
            out.replies.extend(ticket.map(|ticket| (ticket, Err(ErrorCode::CoordinatorNotAvailable))));
            self.try_again_later(&id, now);
            return out;
        }
        present.is_marking = false;
        if !present.is_writing {
            self.complete(&id, now, &mut out);
        }
        out
    }

    /// True when the partition takes part in the producer's transaction and may be written to.
    pub(crate) fn is_participant(&self, producer: ProducerIdentity, topic: &str, partition: i32) -> bool {
        let entry = self.producers.get(&producer.id).and_then(|id| self.ids.get(id));
        entry.is_some_and(|entry| {
            let is_ending =
                entry.step.as_ref().is_some_and(|step| step.next.state != TransactionState::Ongoing);
            let takes_part = |(name, number): &Participant| name == topic && *number == partition;
            entry.current.producer == producer
                && entry.current.state == TransactionState::Ongoing
                && !is_ending
                && entry.current.partitions.iter().any(takes_part)
        })
    }

    /// Why a producer may not write within a transaction of the id.
    pub(crate) fn refusal(&self, id: &str, producer: ProducerIdentity) -> ErrorCode {
        match self.current_of(id, producer) {
            Err(ErrorCode::ProducerFenced) => ErrorCode::InvalidProducerEpoch,
            Err(error) => error,
            Ok(_) => ErrorCode::InvalidTxnState,
        }
    }

    /// The transactional id of a producer, if it has one.
    pub(crate) fn id_of(&self, producer_id: i64) -> Option<&str> {
        self.producers.get(&producer_id).map(String::as_str)
    }

    /// What is known of an id.
    pub(crate) fn describe(&self, id: &str) -> Option<&Transaction> {
        self.ids.get(id).map(|entry| &entry.current)
    }

    /// All ids, sorted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Transaction)> {
        self.ids.iter().map(|(id, entry)| (id.as_str(), &entry.current))
    }

    /// The next instant at which [`TxnCoordinator::on_timeout`] has something to do.
    pub(crate) fn next_deadline(&self) -> Duration {
        self.deadlines.first().map_or(self.next_expiry, |(deadline, _)| self.next_expiry.min(*deadline))
    }

    /// Aborts transactions that take too long, tries markers again, forgets ids that nobody uses.
    pub(crate) fn on_timeout(&mut self, now: Moment) -> Effects {
        let mut out = Effects::default();
        while self.deadlines.first().is_some_and(|(deadline, _)| *deadline <= now.ticks) {
            let Some((_, id)) = self.deadlines.pop_first() else { break };
            self.on_deadline(&id, now, &mut out);
        }
        if self.next_expiry <= now.ticks {
            self.next_expiry = now.after(self.config.expiry_interval);
            self.expire_ids(now, &mut out);
        }
        out
    }

    /// Handles a request, unless a step of its id is under way: then it waits.
    fn serve(&mut self, id: &str, request: Request, ticket: Ticket, now: Moment, out: &mut Effects) {
        if let Some(entry) = self.ids.get_mut(id).filter(|entry| entry.step.is_some()) {
            if entry.waiting.len() < self.config.max_waiting {
                entry.waiting.push_back((ticket, request));
            } else {
                out.replies.push((ticket, Err(ErrorCode::ConcurrentTransactions)));
            }
            return;
        }
        let served = match request {
            Request::Init { timeout, expected, fresh_id } => {
                self.init(id, (timeout, expected, fresh_id), ticket, now, out)
            }
            Request::Add { producer, partitions } => self.add(id, producer, partitions, ticket, now, out),
            Request::End { producer, is_commit, epoch } => {
                self.end(id, producer, (is_commit, epoch), ticket, now, out)
            }
        };
        if let Err(error) = served {
            out.replies.push((ticket, Err(error)));
        }
    }

    /// A step has ended: the requests that waited for it have their turn, until one begins another.
    fn serve_waiting(&mut self, id: &str, now: Moment, out: &mut Effects) {
        while let Some(entry) = self.ids.get_mut(id).filter(|entry| entry.step.is_none()) {
            let Some((ticket, request)) = entry.waiting.pop_front() else { return };
            self.serve(id, request, ticket, now, out);
        }
    }

    /// Partitions join the transaction; the first begins it.
    fn add(
        &mut self,
        id: &str,
        producer: ProducerIdentity,
        partitions: Vec<Participant>,
        ticket: Ticket,
        now: Moment,
        out: &mut Effects,
    ) -> Result<(), ErrorCode> {
        let max_partitions = self.config.max_partitions;
        let current = self.current_of(id, producer)?;
        let is_ongoing = current.state == TransactionState::Ongoing;
        if is_ongoing && partitions.iter().all(|partition| current.partitions.contains(partition)) {
            out.replies.push((ticket, Ok(current.producer)));
            return Ok(());
        }
        let mut next = if is_ongoing { current.updated(now.wall_ms) } else { current.started(now.wall_ms) };
        next.partitions.extend(partitions);
        if next.partitions.len() > max_partitions {
            return Err(ErrorCode::PolicyViolation);
        }
        self.begin_step(id, next, Some(ticket), out);
        Ok(())
    }

    /// The id's transaction, if `producer` is the one that may use it.
    ///
    /// # Errors
    /// INVALID_PRODUCER_ID_MAPPING, or PRODUCER_FENCED when another producer has taken the id over.
    fn current_of(&self, id: &str, producer: ProducerIdentity) -> Result<&Transaction, ErrorCode> {
        let entry = self.ids.get(id).ok_or(ErrorCode::InvalidProducerIdMapping)?;
        if entry.current.producer.id != producer.id {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        if entry.current.producer.epoch != producer.epoch {
            return Err(ErrorCode::ProducerFenced);
        }
        Ok(&entry.current)
    }

    /// Has the id's next state written; it holds when the log has confirmed it.
    fn begin_step(&mut self, id: &str, next: Transaction, ticket: Option<Ticket>, out: &mut Effects) {
        let step = self.name_step(id);
        if let Some(entry) = self.ids.get_mut(id) {
            out.appends.push(record(id, &next, Some(step)));
            let (is_writing, is_marking, has_failed) = (true, false, false);
            entry.step = Some(Step { id: step, next, ticket, is_writing, is_marking, has_failed });
        }
    }

    /// The id that a step under way belongs to.
    fn entry_of(&mut self, step: StepId) -> Option<(String, &mut Entry)> {
        let id = self.steps.get(&step)?.clone();
        let entry = self.ids.get_mut(&id)?;
        entry.step.as_ref().is_some_and(|present| present.id == step).then_some((id, entry))
    }

    /// Ends the step under way without outcome.
    fn drop_step(&mut self, id: &str) {
        if let Some(step) = self.ids.get_mut(id).and_then(|entry| entry.step.take()) {
            self.steps.remove(&step.id);
        }
    }

    fn name_step(&mut self, id: &str) -> StepId {
        self.next_step += 1;
        self.steps.insert(self.next_step, id.to_owned());
        self.next_step
    }

    /// What was decided holds: time-out and producer index follow.
    fn become_next(&mut self, id: &str, next: Transaction, now: Moment) {
        let Some(entry) = self.ids.get_mut(id) else { return };
        let begins =
            next.state == TransactionState::Ongoing && entry.current.state != TransactionState::Ongoing;
        let deadline = match next.state {
            TransactionState::Ongoing if begins => Some(now.after(next.timeout)),
            TransactionState::Ongoing => entry.deadline,
            _ => None,
        };
        if entry.current.producer.id != next.producer.id {
            self.producers.remove(&entry.current.producer.id);
        }
        self.producers.insert(next.producer.id, id.to_owned());
        entry.current = next;
        self.set_deadline(id, deadline);
    }

    fn set_deadline(&mut self, id: &str, deadline: Option<Duration>) {
        let Some(entry) = self.ids.get_mut(id) else { return };
        if let Some(old) = std::mem::replace(&mut entry.deadline, deadline) {
            self.deadlines.remove(&(old, id.to_owned()));
        }
        if let Some(new) = deadline {
            self.deadlines.insert((new, id.to_owned()));
        }
    }

    fn answer(&self, id: &str, ticket: Option<Ticket>, out: &mut Effects) {
        let producer = self.ids.get(id).map(|entry| entry.current.producer);
        if let (Some(ticket), Some(producer)) = (ticket, producer) {
            out.replies.push((ticket, Ok(producer)));
        }
    }
}

/// The record of a transactional id.
fn record(id: &str, transaction: &Transaction, then: Option<StepId>) -> Append {
    let content = Content::Records(vec![(records::key(id), Some(records::value(transaction)))]);
    Append { place: Place::Of(id.to_owned()), producer: None, content, then }
}
