//! Who may commit offsets, and when.

use kafka_protocol::ResponseError;

use super::{ClassicGroup, GroupState};

/// Who commits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Committer {
    /// The generation, -1 for a client that manages its partitions itself.
    pub(crate) generation: i32,
    /// The member, empty for a client that manages its partitions itself.
    pub(crate) member_id: String,
    /// The static member's name.
    pub(crate) instance_id: Option<String>,
}

impl ClassicGroup {
    /// Checks a plain commit.
    ///
    /// While members join for the next generation the present one may still commit, so that nobody loses the
    /// work done until then; once all have joined, the old generation is refused, and the new one has to wait
    /// until it knows its assignment.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION or REBALANCE_IN_PROGRESS.
    pub(crate) fn check_commit(&self, committer: &Committer) -> Result<(), ResponseError> {
        if committer.generation < 0 && self.state == GroupState::Empty {
            return Ok(());
        }
        if committer.generation < 0 && committer.member_id.is_empty() && committer.instance_id.is_none() {
            return Err(ResponseError::UnknownMemberId);
        }
        self.check_identity(committer)?;
        match self.state {
            GroupState::CompletingRebalance => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Checks a commit that is part of a transaction: its producer is fenced by the transaction coordinator, so
    /// one that names no member is accepted, and the state of the rebalance does not matter.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID or ILLEGAL_GENERATION when the named member is not current.
    pub(crate) fn check_txn_commit(&self, committer: &Committer) -> Result<(), ResponseError> {
        let names_nobody =
            committer.generation < 0 && committer.member_id.is_empty() && committer.instance_id.is_none();
        if names_nobody { Ok(()) } else { self.check_identity(committer) }
    }

    fn check_identity(&self, committer: &Committer) -> Result<(), ResponseError> {
        self.check_member(&committer.member_id, committer.instance_id.as_deref())?;
        if committer.generation == self.generation { Ok(()) } else { Err(ResponseError::IllegalGeneration) }
    }
}
