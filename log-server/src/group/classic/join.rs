//! JoinGroup: how a member gets into the next generation.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use uuid::Uuid;

use super::{ClassicGroup, GroupState};
use crate::group::effects::{Effects, JoinReply, JoinedMember, SyncReply, Ticket};
use crate::group::member::{Member, Protocol};
use crate::moment::Moment;

/// A request to join.
#[derive(Debug, Clone)]
pub(crate) struct JoinRequest {
    /// The id given out before, empty at first.
    pub(crate) member_id: String,
    /// The static member's name.
    pub(crate) instance_id: Option<String>,
    /// The client's own name, for people.
    pub(crate) client_id: String,
    /// Where the client connects from, for people.
    pub(crate) client_host: String,
    /// How long the member may be silent.
    pub(crate) session_timeout: Duration,
    /// How long a rebalance waits for the member.
    pub(crate) rebalance_timeout: Duration,
    /// For example `consumer`.
    pub(crate) protocol_type: String,
    /// In order of preference.
    pub(crate) protocols: Vec<Protocol>,
    /// Becomes part of the member's id if it needs one: drawn by the caller, as the state machine has no dice.
    pub(crate) fresh_id: Uuid,
    /// True from version 4 of the request: a new dynamic member must join again with its id (KIP-394), so that
    /// a client that never heard its id leaves no ghost behind.
    pub(crate) needs_known_id: bool,
    /// True from version 9: the client understands `skip_assignment`.
    pub(crate) can_skip_assignment: bool,
}

impl JoinRequest {
    /// The id for a new member: its own name first, so that people recognise it.
    fn new_member_id(&self) -> String {
        let name = self.instance_id.as_deref().unwrap_or(&self.client_id);
        format!("{name}-{}", self.fresh_id)
    }
}

/// A join that is answered at once with an error.
struct Refusal {
    member_id: String,
    error: ResponseError,
}

impl ClassicGroup {
    /// Handles a join; the answer comes at once or when the rebalance completes.
    pub(crate) fn join(&mut self, mut request: JoinRequest, ticket: Ticket, now: Moment, out: &mut Effects) {
        // A rebalance that waits for nobody would give up everybody, so a time-out of nothing is not taken literally.
        request.rebalance_timeout = request.rebalance_timeout.max(self.config.min_session_timeout);
        let asked_with = request.member_id.clone();
        let outcome = match self.check_join(&request) {
            Err(error) => Err(Refusal { member_id: asked_with, error }),
            Ok(()) if asked_with.is_empty() => self.join_new(request, ticket, now, out),
            Ok(()) => self
                .join_known(request, ticket, now, out)
                .map_err(|error| Refusal { member_id: asked_with, error }),
        };
        if let Err(Refusal { member_id, error }) = outcome {
            out.joins.push((ticket, JoinReply::refused(member_id, error)));
        }
    }

    fn check_join(&self, request: &JoinRequest) -> Result<(), ResponseError> {
        let metadata: usize = request.protocols.iter().map(|p| p.name.len() + p.metadata.len()).sum();
        if metadata > self.config.max_member_metadata_bytes {
            return Err(ResponseError::InvalidRequest);
        }
        let session = request.session_timeout;
        if session < self.config.min_session_timeout || session > self.config.max_session_timeout {
            return Err(ResponseError::InvalidSessionTimeout);
        }
        let returns_static = request.instance_id.as_ref().is_some_and(|name| self.statics.contains_key(name));
        let is_known = self.members.contains_key(&request.member_id)
            || self.pending.contains_key(&request.member_id)
            || returns_static;
        if !is_known && self.members.len() + self.pending.len() >= self.config.max_group_size {
            return Err(ResponseError::GroupMaxSizeReached);
        }
        Ok(())
    }

    /// True when the group would still have a protocol in common with a member that speaks `protocols`.
    fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.members.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|p| self.members.values().all(|member| member.speaks(&p.name)))
    }

    fn join_new(
        &mut self,
        request: JoinRequest,
        ticket: Ticket,
        now: Moment,
        out: &mut Effects,
    ) -> Result<(), Refusal> {
        let id = request.new_member_id();
        if !self.supports(&request.protocol_type, &request.protocols) {
            let error = ResponseError::InconsistentGroupProtocol;
            return Err(Refusal { member_id: String::new(), error });
        }
        let holder = request.instance_id.as_ref().and_then(|name| self.statics.get(name)).cloned();
        if let Some(old_id) = holder {
            self.replace_static(&old_id, id, request, ticket, now, out);
        } else if request.instance_id.is_none() && request.needs_known_id {
            self.pending.insert(id.clone(), now.after(request.session_timeout));
            return Err(Refusal { member_id: id, error: ResponseError::MemberIdRequired });
        } else {
            self.add_member(id, request, ticket, now, out);
        }
        Ok(())
    }

    fn join_known(
        &mut self,
        request: JoinRequest,
        ticket: Ticket,
        now: Moment,
        out: &mut Effects,
    ) -> Result<(), ResponseError> {
        let id = request.member_id.clone();
        let is_pending = request.instance_id.is_none() && self.pending.contains_key(&id);
        if !is_pending {
            self.check_member(&id, request.instance_id.as_deref())?;
        }
        if !self.supports(&request.protocol_type, &request.protocols) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        if is_pending {
            self.add_member(id, request, ticket, now, out);
            return Ok(());
        }
        let unchanged = self.members.get(&id).is_some_and(|member| member.protocols == request.protocols);
        let leads = self.leader.as_deref() == Some(id.as_str());
        let keeps_generation = match self.state {
            // The answer to its join may have been lost: the same metadata gets the same answer.
            GroupState::CompletingRebalance => unchanged,
            // A leader that joins again wants to assign anew; a follower with nothing new disturbs nobody.
            GroupState::Stable => unchanged && !leads,
            GroupState::PreparingRebalance | GroupState::Empty => false,
        };
        if keeps_generation {
            self.rearm(&id, now);
            out.joins.push((ticket, self.join_reply(&id)));
        } else {
            self.update_member(&id, request, ticket, out);
            self.rebalance(now, out);
        }
        Ok(())
    }

    fn add_member(
        &mut self,
        id: String,
        request: JoinRequest,
        ticket: Ticket,
        now: Moment,
        out: &mut Effects,
    ) {
        self.pending.remove(&id);
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type);
        }
        if let Some(instance) = &request.instance_id {
            self.statics.insert(instance.clone(), id.clone());
        }
        self.leader.get_or_insert_with(|| id.clone());
        let member = Member {
            id: id.clone(),
            instance_id: request.instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            rebalance_timeout: request.rebalance_timeout,
            session_timeout: request.session_timeout,
            protocols: request.protocols,
            assignment: Bytes::new(),
            awaiting_join: Some(ticket),
            awaiting_sync: None,
            is_new: true,
            deadline: Some(now.after(self.config.new_member_join_timeout)),
        };
        self.members.insert(id, member);
        if let Some(gathering) = &mut self.gathering {
            gathering.grew = true;
        }
        self.rebalance(now, out);
    }

    /// Notes what a member's new join says and lets it wait. A join or sync of it that still waits is answered,
    /// for its sender has moved on.
    fn update_member(&mut self, id: &str, request: JoinRequest, ticket: Ticket, out: &mut Effects) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.protocols = request.protocols;
        member.session_timeout = request.session_timeout;
        member.rebalance_timeout = request.rebalance_timeout;
        member.client_id = request.client_id;
        member.client_host = request.client_host;
        if let Some(stale) = member.awaiting_join.replace(ticket) {
            out.joins.push((stale, JoinReply::refused(id, ResponseError::RebalanceInProgress)));
        }
        if let Some(stale) = member.awaiting_sync.take() {
            out.syncs.push((stale, SyncReply::refused(ResponseError::RebalanceInProgress)));
        }
        if !member.is_new {
            member.deadline = None;
        }
    }

    /// A static member is back under a new id: the old holder of its name is fenced. In a stable group whose protocol
    /// stays the same it gets its old place, without a rebalance, whatever its metadata now say: what it owned
    /// before it stopped it cannot claim any more (so does Kafka 4.3.1).
    fn replace_static(
        &mut self,
        old_id: &str,
        new_id: String,
        request: JoinRequest,
        ticket: Ticket,
        now: Moment,
        out: &mut Effects,
    ) {
        let led_before = self.leader.clone();
        let Some(mut member) = self.remove_member(old_id, ResponseError::FencedInstanceId, out) else {
            return;
        };
        let protocol = self.protocol.clone();
        member.id = new_id.clone();
        member.deadline = Some(now.after(request.session_timeout));
        if let Some(instance) = &member.instance_id {
            self.statics.insert(instance.clone(), new_id.clone());
        }
        if led_before.as_deref() == Some(old_id) {
            self.leader = Some(new_id.clone());
        }
        self.members.insert(new_id.clone(), member);
        let can_skip = request.can_skip_assignment;
        self.update_member(&new_id, request, ticket, out);
        let keeps_protocol = self.state == GroupState::Stable && self.select_protocol() == protocol;
        if !keeps_protocol {
            self.rebalance(now, out);
            return;
        }
        if let Some(member) = self.members.get_mut(&new_id) {
            member.awaiting_join = None;
            member.is_new = false;
        }
        self.rearm(&new_id, now);
        self.store(out);
        let mut reply = self.join_reply(&new_id);
        if can_skip {
            reply.skip_assignment = self.leader.as_deref() == Some(new_id.as_str());
        } else {
            // An older client would assign anew if it knew that it leads: it is told of its former self.
            reply.leader = led_before.unwrap_or_default();
            reply.members.clear();
        }
        out.joins.push((ticket, reply));
    }

    /// The answer to a member of the present generation.
    pub(super) fn join_reply(&self, id: &str) -> JoinReply {
        let leads = self.leader.as_deref() == Some(id);
        let listed = |member: &Member| JoinedMember {
            id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(self.protocol.as_deref()),
        };
        JoinReply {
            error: None,
            member_id: id.to_owned(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            members: if leads { self.members.values().map(listed).collect() } else { Vec::new() },
        }
    }
}
