//! The join phase: when it begins, whom it waits for, and how it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::ResponseError;

use super::{ClassicGroup, Gathering, GroupState};
use crate::group::effects::{Effects, SyncReply};
use crate::moment::Moment;

impl ClassicGroup {
    /// Begins a rebalance, or takes the one in progress further.
    pub(super) fn rebalance(&mut self, now: Moment, out: &mut Effects) {
        if self.state == GroupState::PreparingRebalance {
            self.maybe_complete_join(now, out);
        } else {
            self.prepare_rebalance(now, out);
        }
    }

    /// Enters the join phase: every member is to join again.
    pub(super) fn prepare_rebalance(&mut self, now: Moment, out: &mut Effects) {
        for member in self.members.values_mut() {
            if let Some(ticket) = member.awaiting_sync.take() {
                out.syncs.push((ticket, SyncReply::refused(ResponseError::RebalanceInProgress)));
                member.deadline = Some(now.after(member.session_timeout));
            }
            if self.state == GroupState::CompletingRebalance {
                member.assignment.clear();
            }
        }
        self.unsynced.clear();
        self.sync_deadline = None;
        let wait = self.rebalance_timeout();
        let delay = self.config.initial_rebalance_delay.min(wait);
        let is_first = self.state == GroupState::Empty && !delay.is_zero();
        self.enter(GroupState::PreparingRebalance, now);
        if is_first {
            self.gathering = Some(Gathering { remaining: wait.saturating_sub(delay), grew: false });
            self.join_deadline = Some(now.after(delay));
        } else {
            self.join_deadline = Some(now.after(wait));
            self.maybe_complete_join(now, out);
        }
    }

    /// Ends the join phase if nobody is missing any more.
    pub(super) fn maybe_complete_join(&mut self, now: Moment, out: &mut Effects) {
        let is_gathering = self.gathering.is_some() && !self.members.is_empty();
        let all_joined = self.members.values().all(|member| member.awaiting_join.is_some());
        if self.state == GroupState::PreparingRebalance
            && !is_gathering
            && all_joined
            && self.pending.is_empty()
        {
            self.complete_join(now, out);
        }
    }

    /// The join phase's time is up: it ends, unless the first members still arrive.
    pub(super) fn on_join_deadline(&mut self, now: Moment, out: &mut Effects) {
        if let Some(Gathering { remaining, grew: true }) = self.gathering
            && !remaining.is_zero()
        {
            let delay = self.config.initial_rebalance_delay.min(remaining);
            self.gathering = Some(Gathering { remaining: remaining - delay, grew: false });
            self.join_deadline = Some(now.after(delay));
            return;
        }
        self.complete_join(now, out);
    }

    /// Ends the join phase: drops who did not come, chooses protocol and leader, begins the generation.
    fn complete_join(&mut self, now: Moment, out: &mut Effects) {
        // A static member that is away keeps its place until its session ends.
        let absent = self.ids_where(|member| member.awaiting_join.is_none() && member.instance_id.is_none());
        for id in &absent {
            self.remove_member(id, ResponseError::UnknownMemberId, out);
        }
        if !self.members.is_empty() && !self.elect_leader() {
            // Only absent static members are left: nobody could assign, so wait for one, or for their ends.
            self.gathering = None;
            self.join_deadline = Some(now.after(self.rebalance_timeout()));
            return;
        }
        self.join_deadline = None;
        self.gathering = None;
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.protocol = self.select_protocol();
        if self.members.is_empty() {
            self.leader = None;
            self.enter(GroupState::Empty, now);
            self.store(out);
            return;
        }
        self.enter(GroupState::CompletingRebalance, now);
        self.sync_deadline = Some(now.after(self.rebalance_timeout()));
        let joined = self.ids_where(|member| member.awaiting_join.is_some());
        for id in joined {
            let reply = self.join_reply(&id);
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.is_new = false;
            member.deadline = Some(now.after(member.session_timeout));
            if let Some(ticket) = member.awaiting_join.take() {
                out.joins.push((ticket, reply));
            }
            self.unsynced.insert(id);
        }
    }

    /// Keeps the leader if it has joined, else takes another that has. False when there is none.
    fn elect_leader(&mut self) -> bool {
        let has_joined = |id: &String| self.members.get(id).is_some_and(|m| m.awaiting_join.is_some());
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let next = self.members.values().find(|member| member.awaiting_join.is_some());
        let Some(next) = next.map(|member| member.id.clone()) else { return false };
        self.leader = Some(next);
        true
    }

    /// The protocol that all members speak and most put first; between equals the leader's order decides.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let leader =
            self.leader.as_ref().and_then(|id| self.members.get(id)).or(self.members.values().next())?;
        let common: Vec<&str> = leader
            .protocols
            .iter()
            .map(|p| p.name.as_str())
            .filter(|name| self.members.values().all(|member| member.speaks(name)))
            .collect();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let favourite = member.protocols.iter().find(|p| common.contains(&p.name.as_str()));
            *votes.entry(favourite?.name.as_str()).or_default() += 1;
        }
        // `max_by_key` keeps the last of equals, so the leader's order is walked backwards.
        common.into_iter().rev().max_by_key(|name| votes.get(name).copied()).map(str::to_owned)
    }

    /// The longest rebalance time-out of all members: the slowest is waited for.
    fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }
}
