//! The member's state machine: no clock, no socket, no tokio.
//!
//! Time, answers and commands go in; [`Action`]s come out of [`poll`](GroupMember::poll). At most one request is under way at a time, since a
//! broker answers each connection in order.
//!
//! ```text
//!            ready, or time is up           all have joined
//! Preparing ─────────────────────▶ Joining ────────────────▶ Planning (leader) ─▶ Syncing ─▶ Stable
//!     ▲                                                                              │          │
//!     │                                                  a rebalance began meanwhile: join again│
//!     └──────────── heartbeat says so, tasks were given back, a round is wanted, all was lost ──┘
//! ```

mod answers;
mod phase;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::assignor::TaskId;

use super::codec::Subscription;
use super::config::MembershipConfig;
use super::error::MembershipError;
use super::event::{CurrentTasks, LostCause};

pub(super) use phase::{Action, CommitGate, GroupRequest, JoinAnswer, Joined, News, SyncAnswer};
use phase::{Coordinator, Phase, Wanted};

/// First pause before a request is tried again; doubles.
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// Longest such pause.
const RETRY_MAX: Duration = Duration::from_secs(1);
/// First pause before a leader plans again after a fault; doubles.
const PLAN_RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest such pause.
const PLAN_RETRY_MAX: Duration = Duration::from_secs(10);
/// Heartbeat interval while a follow-up round is expected, so that the tasks under way do not wait for it.
const HURRY_INTERVAL: Duration = Duration::from_millis(50);
/// How long a follow-up round is expected for.
const HURRY_MAX: Duration = Duration::from_secs(10);
/// How often a member that left for lack of progress looks for some.
const PARKED_INTERVAL: Duration = Duration::from_millis(100);

/// One member of one group.
pub(super) struct GroupMember {
    config: MembershipConfig,
    phase: Phase,
    coordinator: Coordinator,
    /// Id given by the coordinator, empty while there is none.
    member_id: String,
    /// Generation last joined, -1 while there is none.
    generation: i32,
    leader: bool,
    /// Active tasks of the current assignment.
    assigned: BTreeSet<TaskId>,
    /// Tasks taken away that the runtime has not closed yet, by the number of their revocation. Still claimed.
    revoking: Vec<(u64, BTreeSet<TaskId>)>,
    /// Generation in which the claimed tasks were assigned.
    claims_generation: i32,
    /// What the runtime last said it holds besides.
    held: CurrentTasks,
    counter: u8,
    /// The number of workers that the latest JoinGroup told.
    joined_capacity: u32,
    /// Why all instances are to stop, if this one says so.
    stop: Option<String>,
    /// Why a new round is wanted, if it is.
    wanted: Option<Wanted>,
    /// Why this member joins, for the coordinator's log.
    reason: String,
    /// When the request under way was sent.
    in_flight: Option<Instant>,
    next_heartbeat: Instant,
    hurry_until: Option<Instant>,
    /// When the last request was sent that the coordinator has accepted.
    confirmed: Option<Instant>,
    /// Failures in a row.
    retries: u32,
    /// Since when the coordinator cannot be reached.
    outage: Option<Instant>,
    /// Plans that failed in a row.
    faults: u32,
    plan_again_at: Option<Instant>,
    /// Numbers preparations and revocations, so that answers to former ones are known as such.
    tokens: u64,
    /// How many times all tasks were lost; a commit of before such a loss must not be sent after it.
    losses: u64,
    actions: VecDeque<Action>,
}

impl GroupMember {
    pub(super) fn new(config: MembershipConfig, now: Instant) -> Self {
        let mut member = Self {
            config,
            phase: Phase::Stable,
            coordinator: Coordinator::Unknown { not_before: now },
            member_id: String::new(),
            generation: -1,
            leader: false,
            assigned: BTreeSet::new(),
            revoking: Vec::new(),
            claims_generation: -1,
            held: CurrentTasks::default(),
            counter: 0,
            joined_capacity: 0,
            stop: None,
            wanted: None,
            reason: String::new(),
            in_flight: None,
            next_heartbeat: now,
            hurry_until: None,
            confirmed: None,
            retries: 0,
            outage: None,
            faults: 0,
            plan_again_at: None,
            tokens: 0,
            losses: 0,
            actions: VecDeque::new(),
        };
        member.prepare(now, "this member joins");
        member
    }

    pub(super) fn member_id(&self) -> &str {
        &self.member_id
    }

    pub(super) fn generation(&self) -> i32 {
        self.generation
    }

    pub(super) fn losses(&self) -> u64 {
        self.losses
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// Until when the coordinator keeps this member without another heartbeat.
    pub(super) fn session_until(&self) -> Option<Instant> {
        self.confirmed.map(|sent| sent + self.config.session_timeout)
    }

    /// Whether a request of this member is under way that waits for the others.
    pub(super) fn awaits_group(&self) -> bool {
        let waits = matches!(self.phase, Phase::Joining | Phase::Syncing);
        waits && self.generation >= 0 && !self.member_id.is_empty()
    }

    /// A heartbeat that was sent at `sent`, beside the request that waits, was accepted.
    pub(super) fn confirm(&mut self, sent: Instant) {
        if self.awaits_group() {
            self.confirmed = self.confirmed.max(Some(sent));
        }
    }

    /// Whether commits may be sent now.
    pub(super) fn commit_gate(&self) -> CommitGate {
        match self.phase {
            Phase::Ended | Phase::Parked { .. } => CommitGate::Closed,
            Phase::Stable | Phase::Preparing { .. } if self.generation < 0 => CommitGate::Closed,
            _ if !matches!(self.coordinator, Coordinator::Known) => CommitGate::Hold,
            Phase::Stable | Phase::Preparing { .. } => CommitGate::Open,
            _ => CommitGate::Hold,
        }
    }

    /// The next thing to do, if there is one. `progress` is when the slowest worker last got on. To be called until it returns `None`, after everything that goes in.
    pub(super) fn poll(&mut self, now: Instant, progress: Option<Instant>) -> Option<Action> {
        self.watch_progress(now, progress);
        self.advance(now);
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        if matches!(self.phase, Phase::Ended | Phase::Parked { .. }) {
            return None;
        }
        match self.coordinator {
            Coordinator::Unknown { not_before } if now >= not_before => {
                self.coordinator = Coordinator::Finding;
                return Some(Action::FindCoordinator);
            }
            Coordinator::Known if self.in_flight.is_none() => {}
            _ => return None,
        }
        let request = self.next_request(now)?;
        self.in_flight = Some(now);
        Some(Action::Send(request))
    }

    /// When [`poll`](Self::poll) has something to do at the latest, if nothing goes in before.
    pub(super) fn deadline(&self, now: Instant, progress: Option<Instant>) -> Option<Instant> {
        if let Phase::Parked { .. } = self.phase {
            return Some(now + PARKED_INTERVAL);
        }
        if self.has_ended() {
            return None;
        }
        let idle = matches!(self.coordinator, Coordinator::Known) && self.in_flight.is_none();
        let times = [
            match self.coordinator {
                Coordinator::Unknown { not_before } => Some(not_before),
                _ => None,
            },
            match self.phase {
                Phase::Preparing { deadline, .. } => Some(deadline),
                Phase::NeedJoin { not_before } if idle => Some(not_before),
                Phase::Stable => self.plan_again_at,
                _ => None,
            },
            (idle && self.beats()).then_some(self.next_heartbeat),
            progress.filter(|_| !self.assigned.is_empty()).map(|last| last + self.config.max_poll_interval),
        ];
        times.into_iter().flatten().min()
    }

    /// Wants a new round although nothing has changed.
    pub(super) fn request_rejoin(&mut self, reason: String) {
        self.counter = self.counter.wrapping_add(1);
        self.wanted.get_or_insert(Wanted { reason, at_once: false });
    }

    /// Changes this member's share of the tasks, with the next round.
    pub(super) fn set_capacity(&mut self, workers: u32) {
        if self.config.capacity != workers {
            self.config.capacity = workers;
            self.request_rejoin("the number of workers has changed".to_owned());
        }
    }

    /// Tells everyone to stop, with the next round.
    pub(super) fn request_stop(&mut self, reason: String) {
        self.stop = Some(reason);
        self.request_rejoin("this member asks all to stop".to_owned());
    }

    /// The runtime has committed; `held` is what else it holds, `None` if unchanged.
    pub(super) fn ready(&mut self, token: u64, held: Option<CurrentTasks>) {
        if let Phase::Preparing { token: expected, ready, .. } = &mut self.phase
            && *expected == token
        {
            *ready = true;
            if let Some(held) = held {
                self.held = held;
            }
        }
    }

    /// The runtime has closed the tasks of a revocation.
    pub(super) fn closed(&mut self, token: u64) {
        self.revoking.retain(|(number, _)| *number != token);
    }

    /// Ends the membership; the request is to be sent if there is one.
    pub(super) fn leave(&mut self, static_too: bool) -> Option<GroupRequest> {
        self.phase = Phase::Ended;
        self.actions.clear();
        self.confirmed = None;
        self.leave_request("the instance is shut down", static_too)
    }

    fn leave_request(&self, reason: &'static str, static_too: bool) -> Option<GroupRequest> {
        let stays = self.config.instance_id.is_some() && !static_too;
        let member_id = self.member_id.clone();
        (!member_id.is_empty() && !stays).then_some(GroupRequest::Leave { member_id, reason })
    }

    /// Leaves when the tasks make no progress, and comes back when they do.
    fn watch_progress(&mut self, now: Instant, progress: Option<Instant>) {
        match (&self.phase, progress) {
            (Phase::Ended, _) => {}
            (Phase::Parked { since }, Some(last)) if last <= *since => {}
            (Phase::Parked { .. }, _) => self.prepare(now, "the tasks get on again"),
            (_, Some(last)) if !self.assigned.is_empty() && now >= last + self.config.max_poll_interval => {
                if let Some(leave) = self.leave_request("no progress within max.poll.interval.ms", false) {
                    self.actions.push_back(Action::Send(leave));
                }
                let since = now.duration_since(last);
                self.lose(now, LostCause::NoProgress { since });
            }
            _ => {}
        }
    }

    /// Steps that need no answer.
    fn advance(&mut self, now: Instant) {
        match &self.phase {
            Phase::Stable => {
                if self.plan_again_at.take_if(|at| *at <= now).is_some() {
                    self.request_rejoin("the leader plans again".to_owned());
                }
                let revoking = !self.revoking.is_empty();
                if let Some(wanted) = self.wanted.take_if(|wanted| wanted.at_once || !revoking) {
                    self.prepare(now, &wanted.reason);
                }
            }
            Phase::Preparing { deadline, ready, .. }
                if (*ready && self.revoking.is_empty()) || now >= *deadline =>
            {
                self.phase = Phase::NeedJoin { not_before: now };
            }
            _ => {}
        }
    }

    /// Tells the runtime that a round begins. Half of the time for joining is left to it, the rest is for the way.
    fn prepare(&mut self, now: Instant, reason: &str) {
        self.tokens += 1;
        let token = self.tokens;
        self.wanted = None;
        self.phase =
            Phase::Preparing { token, ready: false, deadline: now + self.config.rebalance_timeout / 2 };
        self.reason = reason.to_owned();
        self.actions.push_back(Action::Tell(News::Preparing { token, reason: reason.to_owned() }));
    }

    fn next_request(&mut self, now: Instant) -> Option<GroupRequest> {
        let heartbeat = self.beats() && now >= self.next_heartbeat;
        match &mut self.phase {
            Phase::NeedJoin { not_before } if now >= *not_before => {
                self.phase = Phase::Joining;
                let metadata = self.subscription().encode();
                self.joined_capacity = self.config.capacity;
                let (member_id, reason) = (self.member_id.clone(), self.reason.clone());
                Some(GroupRequest::Join { member_id, metadata, reason })
            }
            Phase::NeedSync { assignments } => {
                let assignments = std::mem::take(assignments);
                self.phase = Phase::Syncing;
                let (generation, member_id) = (self.generation, self.member_id.clone());
                Some(GroupRequest::Sync { generation, member_id, assignments })
            }
            _ if heartbeat => Some(GroupRequest::Heartbeat {
                generation: self.generation,
                member_id: self.member_id.clone(),
            }),
            _ => None,
        }
    }

    /// Whether heartbeats are due in this phase.
    fn beats(&self) -> bool {
        let phase = matches!(self.phase, Phase::Stable | Phase::Preparing { .. } | Phase::Planning);
        phase && self.generation >= 0 && !self.member_id.is_empty()
    }

    fn heartbeat_interval(&self, now: Instant) -> Duration {
        match self.hurry_until {
            Some(until) if now < until => HURRY_INTERVAL.min(self.config.heartbeat_interval),
            _ => self.config.heartbeat_interval,
        }
    }

    fn subscription(&self) -> Subscription {
        let mut active = self.assigned.clone();
        active.extend(self.revoking.iter().flat_map(|(_, tasks)| tasks));
        Subscription {
            topics: self.config.topics.clone(),
            generation: if active.is_empty() { -1 } else { self.claims_generation },
            rack: self.config.rack.clone(),
            process_id: self.config.process_id,
            capacity: self.config.capacity,
            counter: self.counter,
            active: active.into_iter().collect(),
            standby: self.held.standby.clone(),
            offset_sums: self.held.offset_sums.clone(),
            application_server: self.config.application_server.clone(),
            tags: self.config.tags.clone(),
            stop: self.stop.clone(),
        }
    }

    /// All tasks are gone. A member that was thrown out looks for a new membership, one that left waits for progress.
    fn lose(&mut self, now: Instant, cause: LostCause) {
        let parked = matches!(cause, LostCause::NoProgress { .. });
        if parked || cause == LostCause::UnknownMember {
            self.member_id.clear();
        }
        let mut tasks = std::mem::take(&mut self.assigned);
        tasks.extend(self.revoking.drain(..).flat_map(|(_, tasks)| tasks));
        self.generation = -1;
        self.claims_generation = -1;
        self.confirmed = None;
        self.wanted = None;
        if !tasks.is_empty() || parked {
            self.losses += 1;
            let tasks = tasks.into_iter().collect();
            self.actions.push_back(Action::Tell(News::Lost { tasks, cause }));
            self.prepare_or_park(now, parked);
        } else if !matches!(self.phase, Phase::Preparing { .. }) {
            self.phase = Phase::NeedJoin { not_before: now };
        }
    }

    fn prepare_or_park(&mut self, now: Instant, parked: bool) {
        if parked {
            self.in_flight = None;
            // The connection may still owe an answer: it is not used again.
            self.coordinator = Coordinator::Unknown { not_before: now };
            self.phase = Phase::Parked { since: now };
        } else {
            self.prepare(now, "the membership was lost");
        }
    }

    /// Nothing can be done: the last news.
    fn fail(&mut self, error: MembershipError) {
        self.phase = Phase::Ended;
        self.confirmed = None;
        self.losses += 1;
        self.actions.push_back(Action::Tell(News::Failed(error)));
    }

    fn retry_pause(&mut self) -> Duration {
        let pause = doubled(RETRY_FIRST, self.retries, RETRY_MAX);
        self.retries = self.retries.saturating_add(1);
        pause
    }
}

/// `first` doubled `times` times, at most `max`.
fn doubled(first: Duration, times: u32, max: Duration) -> Duration {
    first.saturating_mul(1 << times.min(16)).min(max)
}

/// The assignments that a leader sends: bytes by member id.
pub(super) type Assignments = Vec<(String, Bytes)>;

#[cfg(test)]
mod tests;
