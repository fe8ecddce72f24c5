//! Heartbeat: a member shows that it lives, and hears whether a rebalance is on.

use kafka_protocol::ResponseError;

use super::{ClassicGroup, GroupState};
use crate::moment::Moment;

/// A sign of life.
#[derive(Debug, Clone)]
pub(crate) struct HeartbeatRequest {
    /// The generation that the member believes in.
    pub(crate) generation: i32,
    /// The member.
    pub(crate) member_id: String,
    /// The static member's name.
    pub(crate) instance_id: Option<String>,
}

impl ClassicGroup {
    /// Handles a heartbeat: the member's session begins anew.
    ///
    /// # Errors
    /// REBALANCE_IN_PROGRESS asks the member to join again (its session goes on all the same);
    /// ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID and FENCED_INSTANCE_ID tell it that it has lost its place.
    pub(crate) fn heartbeat(&mut self, request: &HeartbeatRequest, now: Moment) -> Result<(), ResponseError> {
        self.check_member(&request.member_id, request.instance_id.as_deref())?;
        if request.generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        match self.state {
            GroupState::Empty => Err(ResponseError::UnknownMemberId),
            GroupState::PreparingRebalance => {
                self.rearm(&request.member_id, now);
                Err(ResponseError::RebalanceInProgress)
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                self.rearm(&request.member_id, now);
                Ok(())
            }
        }
    }

    /// Begins a member's session anew, unless a request of it waits here and keeps it alive anyway.
    pub(super) fn rearm(&mut self, id: &str, now: Moment) {
        if let Some(member) = self.members.get_mut(id).filter(|member| !member.is_waiting()) {
            member.deadline = Some(now.after(member.session_timeout));
        }
    }
}
