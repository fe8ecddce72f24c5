//! InitProducerId with a transactional id: the producer gets an epoch that fences its predecessors.

use std::time::Duration;

use super::{Effects, Entry, Request, Ticket, TxnCoordinator};
use crate::journal::ProducerIdentity;
use crate::moment::Moment;
use crate::protocol::ErrorCode;
use crate::txn::transaction::{EpochChange, NO_EPOCH, Transaction, TransactionState};

impl TxnCoordinator {
    /// Gives the id's next epoch to a producer. A transaction of its predecessor is aborted first.
    ///
    /// # Errors
    /// INVALID_TRANSACTION_TIMEOUT, PRODUCER_FENCED when somebody else has the id by now, POLICY_VIOLATION when
    /// there are too many ids.
    pub(super) fn init(
        &mut self,
        id: &str,
        (timeout, expected, fresh_id): (Duration, Option<ProducerIdentity>, i64),
        ticket: Ticket,
        now: Moment,
        out: &mut Effects,
    ) -> Result<(), ErrorCode> {
        if timeout.is_zero() || timeout > self.config.max_timeout {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        if !self.ids.contains_key(id) {
            self.add_id(id, Transaction::new(fresh_id, timeout, now.wall_ms))?;
        }
        let Some(entry) = self.ids.get_mut(id) else { return Err(ErrorCode::UnknownServerError) };
        let current = &entry.current;
        let is_new = current.producer.epoch == NO_EPOCH;
        let is_current = expected.is_none_or(|expected| is_new || expected == current.producer);
        if !is_current {
            let repeated = ProducerIdentity { epoch: current.previous_epoch, ..current.producer };
            // The answer to the same request may have been lost.
            if expected == Some(repeated) && repeated.epoch != NO_EPOCH {
                out.replies.push((ticket, Ok(current.producer)));
                return Ok(());
            }
            return Err(ErrorCode::ProducerFenced);
        }
        if current.state == TransactionState::Ongoing {
            let aborted = current.prepared(false, EpochChange::Fence, now.wall_ms);
            // Its claim has been checked: after the abort it takes the id as it then is.
            entry.waiting.push_front((ticket, Request::Init { timeout, expected: None, fresh_id }));
            self.decide(id, aborted, None, out);
            return Ok(());
        }
        let mut next = current.updated(now.wall_ms);
        if current.is_exhausted() {
            next.producer = ProducerIdentity { id: fresh_id, epoch: 0 };
            next.previous_epoch = NO_EPOCH;
        } else {
            next.producer.epoch += 1;
            next.previous_epoch = expected.map_or(NO_EPOCH, |expected| expected.epoch);
        }
        next.timeout = timeout;
        next.state = TransactionState::Empty;
        self.begin_step(id, next, Some(ticket), out);
        Ok(())
    }

    /// Begins to keep an id.
    pub(super) fn add_id(&mut self, id: &str, transaction: Transaction) -> Result<(), ErrorCode> {
        if self.ids.len() >= self.config.max_ids {
            tracing::warn!(limit = self.config.max_ids, "transactional id refused: no more are kept");
            return Err(ErrorCode::PolicyViolation);
        }
        let entry = Entry { current: transaction, step: None, waiting: Default::default(), deadline: None };
        self.ids.insert(id.to_owned(), entry);
        Ok(())
    }
}
