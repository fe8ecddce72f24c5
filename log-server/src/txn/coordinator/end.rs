//! How transactions end: by EndTxn, or because their time is up.

use super::{Effects, Markers, Step, Ticket, TxnCoordinator, record};
use crate::journal::{Append, Content, EndMarker, Place, ProducerIdentity};
use crate::moment::Moment;
use crate::protocol::ErrorCode;
use crate::txn::records;
use crate::txn::transaction::{EpochChange, Transaction, TransactionState};

impl TxnCoordinator {
    /// Commits or aborts. Asked again for the outcome it had, a transaction answers with success. A producer that
    /// gets a new epoch with every transaction may abort one that never began, to be sure of a clean slate.
    ///
    /// # Errors
    /// As from [`TxnCoordinator::current_of`]; INVALID_TXN_STATE when there is no transaction, or it ended otherwise.
    pub(super) fn end(
        &mut self,
        id: &str,
        producer: ProducerIdentity,
        (is_commit, epoch): (bool, EpochChange),
        ticket: Ticket,
        now: Moment,
        out: &mut Effects,
    ) -> Result<(), ErrorCode> {
        let bumps = matches!(epoch, EpochChange::Bump { .. });
        if bumps && self.is_repeated_end(id, producer, is_commit) {
            self.answer(id, Some(ticket), out);
            return Ok(());
        }
        let current = self.current_of(id, producer)?;
        let may_abort_nothing = bumps && !is_commit && current.state.prepared().is_none();
        if current.state == TransactionState::Ongoing || may_abort_nothing {
            let decided = current.prepared(is_commit, epoch, now.wall_ms);
            self.decide(id, decided, Some(ticket), out);
            return Ok(());
        }
        if !bumps && current.state.completed() == Some(is_commit) {
            out.replies.push((ticket, Ok(current.producer)));
            return Ok(());
        }
        Err(ErrorCode::InvalidTxnState)
    }

    /// True when the producer asks with its former epoch for what it has got: the answer was lost.
    fn is_repeated_end(&self, id: &str, producer: ProducerIdentity, is_commit: bool) -> bool {
        self.ids.get(id).is_some_and(|entry| {
            let current = &entry.current;
            producer.id == current.producer.id
                && producer.epoch.checked_add(1) == Some(current.producer.epoch)
                && current.state.completed() == Some(is_commit)
        })
    }

    /// Has the decision and the markers written, at the same time.
    pub(super) fn decide(
        &mut self,
        id: &str,
        decided: Transaction,
        ticket: Option<Ticket>,
        out: &mut Effects,
    ) {
        let is_marking = !decided.partitions.is_empty();
        self.carry_out(id, decided, ticket, (true, is_marking), out);
    }

    /// The decision is in the log, or in a marker: has the markers written, all of them.
    pub(super) fn mark(&mut self, id: &str, out: &mut Effects) {
        let Some(entry) = self.ids.get(id) else { return };
        let decided = entry.current.clone();
        self.carry_out(id, decided, None, (false, true), out);
    }

    /// Begins the step that ends a transaction, as far as that has not been done.
    fn carry_out(
        &mut self,
        id: &str,
        decided: Transaction,
        ticket: Option<Ticket>,
        (is_writing, is_marking): (bool, bool),
        out: &mut Effects,
    ) {
        let Some(is_commit) = decided.state.prepared() else { return };
        self.drop_step(id);
        let step = self.name_step(id);
        let Some(entry) = self.ids.get_mut(id) else { return };
        if is_writing {
            out.appends.push(record(id, &decided, Some(step)));
        }
        if is_marking {
            out.markers.push(Markers {
                step,
                transactional_id: id.to_owned(),
                producer: decided.producer,
                end: EndMarker { is_commit, decided_ms: decided.updated_ms },
                partitions: decided.partitions.clone(),
            });
        }
        entry.step =
            Some(Step { id: step, next: decided, ticket, is_writing, is_marking, has_failed: false });
    }

    /// Decision and markers are durable: the transaction has ended. Should the record of that get lost, a restart
    /// writes the markers once more.
    pub(super) fn complete(&mut self, id: &str, now: Moment, out: &mut Effects) {
        let Some(step) = self.ids.get_mut(id).and_then(|entry| entry.step.take()) else { return };
        self.steps.remove(&step.id);
        let completed = step.next.completed();
        out.appends.push(record(id, &completed, None));
        self.become_next(id, completed, now);
        self.answer(id, step.ticket, out);
        self.serve_waiting(id, now, out);
    }

    /// A part of the end could not be written. The decision stands, as a marker may tell of it: what is missing is
    /// written as soon as that works again.
    pub(super) fn try_again_later(&mut self, id: &str, now: Moment) {
        if let Some(step) = self.ids.get_mut(id).and_then(|entry| entry.step.as_mut()) {
            step.has_failed = true;
            let retry = now.after(self.config.marker_retry);
            self.set_deadline(id, Some(retry));
        }
    }

    /// An id's deadline has come: its transaction took too long, or its end is to be tried again.
    pub(super) fn on_deadline(&mut self, id: &str, now: Moment, out: &mut Effects) {
        let Some(entry) = self.ids.get_mut(id) else { return };
        entry.deadline = None;
        match &entry.step {
            Some(step) if step.has_failed => {
                let (decided, ticket) = (step.next.clone(), step.ticket);
                let missing = (step.is_writing, step.is_marking);
                self.carry_out(id, decided, ticket, missing, out);
            }
            // A step is on its way to the log: it may well be the end of the transaction.
            Some(_) => self.set_deadline(id, Some(now.after(self.config.marker_retry))),
            None if entry.current.state == TransactionState::Ongoing => {
                tracing::info!(id, "transaction timed out and is aborted");
                let aborted = entry.current.prepared(false, EpochChange::Fence, now.wall_ms);
                self.decide(id, aborted, None, out);
            }
            None => {}
        }
    }

    /// Forgets ids that nobody has used for long.
    pub(super) fn expire_ids(&mut self, now: Moment, out: &mut Effects) {
        let retention_ms = i64::try_from(self.config.id_retention.as_millis()).unwrap_or(i64::MAX);
        let before_ms = now.wall_ms.saturating_sub(retention_ms);
        let expired: Vec<String> = self
            .ids
            .iter()
            .filter(|(_, entry)| entry.step.is_none() && entry.current.state != TransactionState::Ongoing)
            .filter(|(_, entry)| entry.current.updated_ms <= before_ms)
            .map(|(id, _)| id.clone())
            .collect();
        for id in expired {
            tracing::info!(id, "transactional id expired");
            if let Some(entry) = self.ids.remove(&id) {
                self.producers.remove(&entry.current.producer.id);
            }
            let content = Content::Records(vec![(records::key(&id), None)]);
            out.appends.push(Append { place: Place::Of(id), producer: None, content, then: None });
        }
    }
}
