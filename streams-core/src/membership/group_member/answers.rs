//! What answers do to a member.

use std::collections::BTreeSet;
use std::time::Instant;

use kafka_protocol::ResponseError;

use crate::client::wire::WireError;
use crate::membership::codec::Assigned;
use crate::membership::error::MembershipError;
use crate::membership::event::{AssignmentFault, FaultKind, LostCause, TaskAssignment};

use super::phase::{Action, Coordinator, JoinAnswer, News, Phase, SyncAnswer, Wanted};
use super::{Assignments, GroupMember, HURRY_MAX, PLAN_RETRY_FIRST, PLAN_RETRY_MAX, doubled};

impl GroupMember {
    /// The coordinator was found and connected to, or not.
    pub(in crate::membership) fn on_coordinator(&mut self, now: Instant, found: Result<(), WireError>) {
        match found {
            Ok(()) => {
                self.coordinator = Coordinator::Known;
                // Shows life at once, for the search may have taken long.
                self.next_heartbeat = now;
            }
            Err(error) if error.is_retriable() || error.is_misrouted() => {
                let not_before = now + self.retry_pause();
                self.coordinator = Coordinator::Unknown { not_before };
                if self.outage.is_none() {
                    self.outage = Some(now);
                    self.tell(News::Unavailable { error: error.to_string() });
                }
            }
            Err(source) => {
                self.fail(MembershipError::Unusable { group: self.config.group_id.clone(), source })
            }
        }
    }

    /// The request under way was not answered: the connection is gone.
    pub(in crate::membership) fn on_disconnect(&mut self, now: Instant, error: WireError) {
        self.in_flight = None;
        if !error.is_retriable() {
            let source = error;
            return self.fail(MembershipError::Unusable { group: self.config.group_id.clone(), source });
        }
        self.look_elsewhere(now);
    }

    /// A request on the coordinator's connection found that it coordinates no more.
    pub(in crate::membership) fn look_elsewhere(&mut self, now: Instant) {
        if matches!(self.coordinator, Coordinator::Known) {
            self.coordinator = Coordinator::Unknown { not_before: now };
            self.in_flight = None;
            self.join_again_if_joining(now);
        }
    }

    pub(in crate::membership) fn on_join(&mut self, now: Instant, answer: JoinAnswer) {
        if !matches!(self.phase, Phase::Joining) {
            self.in_flight = None;
            return;
        }
        match answer.code {
            None => {}
            Some(ResponseError::MemberIdRequired) => {
                self.in_flight = None;
                self.member_id = answer.member_id;
                self.phase = Phase::NeedJoin { not_before: now };
                return;
            }
            Some(code) => return self.on_refusal(now, "JoinGroup", code),
        }
        self.accepted(now);
        self.member_id = answer.member_id;
        self.generation = answer.generation;
        self.leader = answer.leader == self.member_id;
        self.plan_again_at = None;
        self.hurry_until = None;
        self.next_heartbeat = now + self.config.heartbeat_interval;
        if self.leader && !answer.skip_assignment {
            self.phase = Phase::Planning;
            let (generation, members) = (self.generation, answer.members);
            self.actions.push_back(Action::Plan { generation, members });
        } else {
            self.phase = Phase::NeedSync { assignments: Vec::new() };
        }
    }

    /// The assignments are made. With `fault` they only tell what is wrong, and the leader tries again later.
    pub(in crate::membership) fn on_plan(
        &mut self,
        now: Instant,
        generation: i32,
        assignments: Assignments,
        fault: bool,
    ) {
        if !matches!(self.phase, Phase::Planning) || generation != self.generation {
            return;
        }
        self.phase = Phase::NeedSync { assignments };
        if fault {
            self.plan_again_at = Some(now + doubled(PLAN_RETRY_FIRST, self.faults, PLAN_RETRY_MAX));
            self.faults += 1;
        } else {
            self.faults = 0;
        }
    }

    pub(in crate::membership) fn on_sync(&mut self, now: Instant, answer: SyncAnswer) {
        if !matches!(self.phase, Phase::Syncing) {
            self.in_flight = None;
            return;
        }
        if let Some(code) = answer.code {
            return self.on_refusal(now, "SyncGroup", code);
        }
        self.accepted(now);
        self.phase = Phase::Stable;
        self.claims_generation = self.generation;
        self.next_heartbeat = now + self.config.heartbeat_interval;
        match Assigned::decode(&answer.assignment) {
            Ok(Assigned { fault: Some(fault), .. }) => self.tell(News::AssignmentFailed(fault)),
            Ok(assigned) => self.adopt(now, assigned),
            Err(error) => {
                let message = format!("the leader's assignment cannot be read: {error}");
                self.tell(News::AssignmentFailed(AssignmentFault { kind: FaultKind::Temporary, message }));
                self.request_rejoin("the assignment could not be read".to_owned());
            }
        }
    }

    fn adopt(&mut self, now: Instant, new: Assigned) {
        let active: BTreeSet<_> = new.active.iter().map(|task| task.id).collect();
        let revoked: BTreeSet<_> = self.assigned.difference(&active).copied().collect();
        let added = active.difference(&self.assigned).copied().collect();
        self.assigned = active;
        if !revoked.is_empty() {
            self.tokens += 1;
            let (token, tasks) = (self.tokens, revoked.iter().copied().collect());
            self.tell(News::Revoke { token, tasks });
            self.revoking.push((token, revoked));
            let reason = "tasks were given back".to_owned();
            self.wanted.get_or_insert(Wanted { reason, at_once: false });
        }
        if new.follow_up {
            self.hurry_until = Some(now + HURRY_MAX);
            self.next_heartbeat = now + self.heartbeat_interval(now);
        }
        self.tell(News::Assigned(TaskAssignment {
            generation: self.generation,
            member_id: self.member_id.clone(),
            leader: self.leader,
            active: new.active,
            standby: new.standby,
            warm_up: new.warm_up,
            added,
            capacity: self.joined_capacity,
            follow_up: new.follow_up,
            instances: new.instances,
        }));
    }

    pub(in crate::membership) fn on_heartbeat(&mut self, now: Instant, code: Option<ResponseError>) {
        match code {
            None => {
                self.accepted(now);
                self.next_heartbeat = now + self.heartbeat_interval(now);
            }
            Some(code) => self.on_refusal(now, "Heartbeat", code),
        }
    }

    /// A commit of the current generation was refused with 22, 25 or 82.
    pub(in crate::membership) fn on_commit_refused(&mut self, now: Instant, code: ResponseError) {
        match code {
            _ if self.has_ended() => {}
            ResponseError::UnknownMemberId => self.lose(now, LostCause::UnknownMember),
            ResponseError::IllegalGeneration => self.lose(now, LostCause::IllegalGeneration),
            ResponseError::FencedInstanceId => self.fenced(),
            _ => {}
        }
    }

    fn on_refusal(&mut self, now: Instant, request: &'static str, code: ResponseError) {
        use ResponseError as E;
        let sent = self.in_flight.take();
        match code {
            E::UnknownMemberId => self.lose(now, LostCause::UnknownMember),
            E::IllegalGeneration => self.lose(now, LostCause::IllegalGeneration),
            E::FencedInstanceId => self.fenced(),
            E::RebalanceInProgress => {
                // The coordinator knows us all the same.
                self.confirmed = sent.or(self.confirmed);
                self.on_rebalance(now);
            }
            E::CoordinatorNotAvailable | E::NotCoordinator => {
                let not_before = now + self.retry_pause();
                self.coordinator = Coordinator::Unknown { not_before };
                self.join_again_if_joining(now);
            }
            code if code.is_retriable() => {
                let pause = self.retry_pause();
                self.next_heartbeat = now + pause;
                self.join_again_if_joining(now + pause);
            }
            code => {
                self.fail(MembershipError::Refused { group: self.config.group_id.clone(), request, code })
            }
        }
    }

    /// Others have begun a round.
    fn on_rebalance(&mut self, now: Instant) {
        self.retries = 0;
        self.next_heartbeat = now + self.heartbeat_interval(now);
        match self.phase {
            Phase::Stable => {
                self.wanted = Some(Wanted { reason: "the group rebalances".to_owned(), at_once: true });
            }
            _ => self.join_again_if_joining(now),
        }
    }

    fn join_again_if_joining(&mut self, not_before: Instant) {
        if matches!(self.phase, Phase::Joining | Phase::Syncing) {
            self.phase = Phase::NeedJoin { not_before };
        }
    }

    fn accepted(&mut self, now: Instant) {
        // The session counts from when the request was sent: its answer may have lain unread while this process stood still.
        self.confirmed = self.in_flight.take().or(self.confirmed);
        self.retries = 0;
        if let Some(since) = self.outage.take() {
            self.tell(News::Available { after: now.duration_since(since) });
        }
    }

    fn fenced(&mut self) {
        self.fail(MembershipError::Fenced {
            group: self.config.group_id.clone(),
            instance: self.config.instance_id.clone().unwrap_or_default(),
        });
    }

    fn tell(&mut self, news: News) {
        self.actions.push_back(Action::Tell(news));
    }
}
