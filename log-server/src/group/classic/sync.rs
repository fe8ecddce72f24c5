//! SyncGroup: the leader brings the assignment, everybody takes its part.

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::{ClassicGroup, GroupState};
use crate::group::effects::{Effects, SyncReply, Ticket};
use crate::moment::Moment;

/// A request for a member's assignment.
#[derive(Debug, Clone)]
pub(crate) struct SyncRequest {
    /// The generation that the member joined.
    pub(crate) generation: i32,
    /// The member.
    pub(crate) member_id: String,
    /// The static member's name.
    pub(crate) instance_id: Option<String>,
    /// Checked against the group's when given (version 5).
    pub(crate) protocol_type: Option<String>,
    /// Checked against the group's when given (version 5).
    pub(crate) protocol: Option<String>,
    /// Member id and assignment, from the leader only.
    pub(crate) assignments: Vec<(String, Bytes)>,
}

impl ClassicGroup {
    /// Handles a sync; a follower's answer waits for the leader's sync.
    pub(crate) fn sync(&mut self, request: SyncRequest, ticket: Ticket, now: Moment, out: &mut Effects) {
        if let Err(error) = self.check_sync(&request) {
            out.syncs.push((ticket, SyncReply::refused(error)));
            return;
        }
        let id = request.member_id.as_str();
        self.unsynced.remove(id);
        if self.state == GroupState::Stable {
            if self.unsynced.is_empty() {
                self.sync_deadline = None;
            }
            self.rearm(id, now);
            out.syncs.push((ticket, self.sync_reply(id)));
            return;
        }
        if let Some(member) = self.members.get_mut(id) {
            member.deadline = None;
            if let Some(stale) = member.awaiting_sync.replace(ticket) {
                out.syncs.push((stale, SyncReply::refused(ResponseError::RebalanceInProgress)));
            }
        }
        if self.leader.as_deref() == Some(id) {
            self.assign(request.assignments, now, out);
        }
    }

    fn check_sync(&self, request: &SyncRequest) -> Result<(), ResponseError> {
        self.check_member(&request.member_id, request.instance_id.as_deref())?;
        if request.generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        let differs = |asked: &Option<String>, ours: &Option<String>| asked.is_some() && asked != ours;
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol, &self.protocol)
        {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        if request.assignments.iter().any(|(_, bytes)| bytes.len() > self.config.max_assignment_bytes) {
            return Err(ResponseError::InvalidRequest);
        }
        match self.state {
            GroupState::Empty => Err(ResponseError::UnknownMemberId),
            GroupState::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            GroupState::CompletingRebalance | GroupState::Stable => Ok(()),
        }
    }

    /// Takes the leader's assignment over; a member that it leaves out gets an empty one.
    fn assign(&mut self, assignments: Vec<(String, Bytes)>, now: Moment, out: &mut Effects) {
        for member in self.members.values_mut() {
            member.assignment.clear();
        }
        for (id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = assignment;
            }
        }
        self.enter(GroupState::Stable, now);
        if self.unsynced.is_empty() {
            self.sync_deadline = None;
        }
        self.store(out);
        for id in self.ids_where(|member| member.awaiting_sync.is_some()) {
            let reply = self.sync_reply(&id);
            if let Some(ticket) = self.members.get_mut(&id).and_then(|member| member.awaiting_sync.take()) {
                out.syncs.push((ticket, reply));
            }
            self.rearm(&id, now);
        }
    }

    fn sync_reply(&self, id: &str) -> SyncReply {
        SyncReply {
            error: None,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: self.members.get(id).map(|member| member.assignment.clone()).unwrap_or_default(),
        }
    }
}
