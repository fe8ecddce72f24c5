//! A decision whose record a power cut has taken, but not all of its markers.

use super::TxnCoordinator;
use crate::log::FoundMarker;
use crate::txn::transaction::{EpochChange, Participant, Transaction, TransactionState};

impl TxnCoordinator {
    /// The transactions that the log knows as open: where their markers may be, and from when on.
    pub(crate) fn open_transactions(&self) -> impl Iterator<Item = (&str, &Transaction)> {
        self.iter().filter(|(_, transaction)| transaction.state == TransactionState::Ongoing)
    }

    /// A partition has the marker of the id's open transaction, so it has been decided: the other partitions get
    /// theirs as well. Call it before [`TxnCoordinator::restored`].
    pub(crate) fn adopt(&mut self, id: &str, partition: &Participant, marker: FoundMarker) {
        let Some(entry) = self.ids.get_mut(id) else { return };
        let current = &entry.current;
        if current.state != TransactionState::Ongoing {
            return;
        }
        tracing::info!(
            id,
            topic = partition.0,
            partition = partition.1,
            is_commit = marker.is_commit,
            "the transaction was decided, as a marker tells: it is ended everywhere"
        );
        // Why the epoch has risen cannot be told any more; either way the former one is fenced.
        let epoch = match marker.epoch == current.producer.epoch {
            true => EpochChange::Keep,
            false => EpochChange::Bump { successor_id: current.producer.id },
        };
        let mut decided = current.prepared(marker.is_commit, epoch, marker.decided_ms);
        decided.successor_id = None;
        entry.current = decided;
    }
}
