//! One transactional id: its producer, and the transaction it is in.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::journal::ProducerIdentity;

/// From this epoch on a producer gets a new id instead of the next epoch: the last one is kept for fencing.
const LAST_EPOCH: i16 = i16::MAX - 1;

/// No producer epoch yet.
pub(crate) const NO_EPOCH: i16 = -1;

/// Where a transactional id is in its life. The numbers are those of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionState {
    /// A producer exists, no transaction does.
    Empty,
    /// Partitions have been added.
    Ongoing,
    /// The transaction is to be committed; markers are on their way.
    PrepareCommit,
    /// The transaction is to be aborted; markers are on their way.
    PrepareAbort,
    /// Committed, wholly.
    CompleteCommit,
    /// Aborted, wholly.
    CompleteAbort,
}

impl TransactionState {
    /// Every state.
    pub(crate) const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    /// The state that prepares a commit or an abort.
    pub(crate) fn prepare(is_commit: bool) -> Self {
        if is_commit { Self::PrepareCommit } else { Self::PrepareAbort }
    }

    /// The state after a commit or an abort.
    pub(crate) fn complete(is_commit: bool) -> Self {
        if is_commit { Self::CompleteCommit } else { Self::CompleteAbort }
    }

    /// Whether the outcome is decided and not carried out: true for a commit.
    pub(crate) fn prepared(self) -> Option<bool> {
        match self {
            Self::PrepareCommit => Some(true),
            Self::PrepareAbort => Some(false),
            _ => None,
        }
    }

    /// How the last transaction ended: true for a commit.
    pub(crate) fn completed(self) -> Option<bool> {
        match self {
            Self::CompleteCommit => Some(true),
            Self::CompleteAbort => Some(false),
            _ => None,
        }
    }

    /// The name that Apache Kafka's tools show.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }
}

/// A partition that takes part in a transaction.
pub(crate) type Participant = (String, i32);

/// What is known of a transactional id, and what the log says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transaction {
    /// The producer that may use the id.
    pub(crate) producer: ProducerIdentity,
    /// The epoch that the producer named when it got the present one: a repeated request is known by it.
    pub(crate) previous_epoch: i16,
    /// How long a transaction may take.
    pub(crate) timeout: Duration,
    /// Where it is.
    pub(crate) state: TransactionState,
    /// Who takes part.
    pub(crate) partitions: BTreeSet<Participant>,
    /// Wall clock of the first partition's joining, -1 without a transaction; later than the decision about the id's
    /// former transaction, whatever the clock says.
    pub(crate) started_ms: i64,
    /// Wall clock of the last change; it never falls.
    pub(crate) updated_ms: i64,
    /// The id that the producer goes on with when this transaction uses its last epoch up. Not in the log: after a
    /// restart the producer's next InitProducerId gives it another.
    pub(crate) successor_id: Option<i64>,
}

/// What becomes of the producer's epoch when its transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EpochChange {
    /// It stays, as in the first version of the protocol.
    Keep,
    /// It is taken from the producer, so that whatever it still sends is refused.
    Fence,
    /// The producer gets the next one with the answer (KIP-890), or goes on with that id when there is none.
    Bump {
        /// The id to go on with.
        successor_id: i64,
    },
}

impl Transaction {
    /// An id that no producer has yet, but will get `producer_id`.
    pub(crate) fn new(producer_id: i64, timeout: Duration, now_ms: i64) -> Self {
        Self {
            producer: ProducerIdentity { id: producer_id, epoch: NO_EPOCH },
            previous_epoch: NO_EPOCH,
            timeout,
            state: TransactionState::Empty,
            partitions: BTreeSet::new(),
            started_ms: -1,
            updated_ms: now_ms,
            successor_id: None,
        }
    }

    /// True when the producer cannot get another epoch.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.producer.epoch >= LAST_EPOCH
    }

    /// The same id after a step, at `now_ms`.
    pub(crate) fn updated(&self, now_ms: i64) -> Self {
        Self { updated_ms: now_ms.max(self.updated_ms), ..self.clone() }
    }

    /// A transaction begins at `now_ms`.
    pub(crate) fn started(&self, now_ms: i64) -> Self {
        let mut next = self.updated(now_ms.max(self.updated_ms.saturating_add(1)));
        next.state = TransactionState::Ongoing;
        next.partitions.clear();
        next.started_ms = next.updated_ms;
        next
    }

    /// Decides the outcome.
    pub(crate) fn prepared(&self, is_commit: bool, epoch: EpochChange, now_ms: i64) -> Self {
        let mut next = self.updated(now_ms);
        next.state = TransactionState::prepare(is_commit);
        let bumped = self.producer.epoch.saturating_add(1);
        (next.producer.epoch, next.previous_epoch) = match epoch {
            EpochChange::Keep => (self.producer.epoch, self.previous_epoch),
            EpochChange::Fence => (bumped, NO_EPOCH),
            EpochChange::Bump { .. } => (bumped, self.producer.epoch),
        };
        next.successor_id = match epoch {
            EpochChange::Bump { successor_id } if next.producer.epoch == i16::MAX => Some(successor_id),
            _ => None,
        };
        next
    }

    /// The outcome is carried out.
    pub(crate) fn completed(&self) -> Self {
        let mut next = self.clone();
        next.state = TransactionState::complete(self.state == TransactionState::PrepareCommit);
        next.partitions.clear();
        next.started_ms = -1;
        if let Some(id) = next.successor_id.take() {
            next.producer = ProducerIdentity { id, epoch: 0 };
            next.previous_epoch = NO_EPOCH;
        }
        next
    }
}
