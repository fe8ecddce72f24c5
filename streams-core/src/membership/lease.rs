//! The right to write for the tasks that this member holds.

use std::time::Duration;

use super::progress::ProgressBoard;

/// Says whether the tasks that a member held when it took the lease are still its own.
///
/// A member that was stopped (SIGSTOP) or cut off does not hear that its tasks have moved; if it then
/// sent what it had gathered, older values would follow a newer owner's. Time tells it instead: no one else gets the
/// tasks before the session, counted from when the last accepted heartbeat was *sent*, has run out. Asking costs a look at the clock.
#[derive(Debug, Clone)]
pub struct Lease {
    board: ProgressBoard,
    losses: u64,
}

impl Lease {
    pub(super) fn new(board: ProgressBoard) -> Self {
        let losses = board.losses();
        Self { board, losses }
    }

    /// Whether the tasks cannot become another member's within `time` from now.
    pub fn covers(&self, time: Duration) -> bool {
        // In this order: a session that was won after a loss is confirmed after the loss was noted.
        self.board.session_lasts(time) && !self.is_lost()
    }

    /// Whether the tasks were lost since: what was not sent is to be dropped.
    pub fn is_lost(&self) -> bool {
        self.board.losses() != self.losses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_lease_ends_with_the_session_and_does_not_come_back_after_a_loss() {
        let board = ProgressBoard::default();
        let session = |seconds| Some(Instant::now() + Duration::from_secs(seconds));
        let lease = Lease::new(board.clone());
        assert!(!lease.covers(Duration::ZERO), "there is no session yet");
        board.confirm_session(session(6));
        assert!(lease.covers(Duration::from_secs(5)) && !lease.covers(Duration::from_secs(6)));
        tokio::time::advance(Duration::from_secs(12)).await;
        assert!(!lease.covers(Duration::ZERO) && !lease.is_lost(), "nobody has said so yet");
        board.confirm_session(session(6));
        assert!(lease.covers(Duration::ZERO), "the coordinator had kept the place");
        board.confirm_session(None);
        board.note_losses(1);
        board.confirm_session(session(6));
        assert!(lease.is_lost() && !lease.covers(Duration::ZERO));
        assert!(Lease::new(board).covers(Duration::ZERO), "a new lease is of the new session");
    }
}
