//! One group of the classic protocol, as a state machine.
//!
//! ```text
//!            join                all joined            leader synced
//!   Empty ─────────▶ Preparing ─────────────▶ Completing ─────────────▶ Stable
//!     ▲                 │ ▲  ▲                     │                      │
//!     └──── all left ───┘ │  └──── join, leave, ───┘                      │
//!                         │        no sync in time                        │
//!                         └──── join, leave, changed metadata, silence ───┘
//! ```
//!
//! Requests come in with the [`Moment`] at which they arrived and the ticket to answer them under; answers and
//! records go out through [`Effects`]. Time passes only when [`ClassicGroup::on_timeout`] is called.
//! The rules are those of Apache Kafka's `ClassicGroup` and `GroupMetadataManager`.

mod commit;
mod heartbeat;
mod join;
mod leave;
mod rebalance;
mod subscription;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;

use super::config::GroupConfig;
use super::effects::{Effects, SyncReply};
use super::member::Member;
use super::records;
use crate::journal::{Append, Content, Place};
use crate::moment::Moment;

pub(crate) use commit::Committer;
pub(crate) use heartbeat::HeartbeatRequest;
pub(crate) use join::JoinRequest;
pub(crate) use leave::LeavingMember;
pub(crate) use sync::SyncRequest;

/// Where a group is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupState {
    /// No members; offsets may be kept.
    Empty,
    /// Members are asked to join again.
    PreparingRebalance,
    /// All have joined; the leader's assignment is awaited.
    CompletingRebalance,
    /// Every member has its assignment.
    Stable,
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        })
    }
}

/// The members of one group and their generation.
#[derive(Debug)]
pub(crate) struct ClassicGroup {
    /// The group's id.
    id: String,
    /// Limits and time-outs, shared by all groups.
    config: Arc<GroupConfig>,
    /// Where the group is in its life.
    state: GroupState,
    /// Wall clock of the last change of `state`: an empty group's offsets expire counted from it.
    state_since_ms: i64,
    /// Counts the completed rebalances; 0 before the first.
    generation: i32,
    /// For example `consumer`; none until the first member joins.
    protocol_type: Option<String>,
    /// The protocol chosen for this generation.
    protocol: Option<String>,
    /// The member that assigns; elected when the join phase ends.
    leader: Option<String>,
    /// By member id; sorted, so that equal histories give equal answers.
    members: BTreeMap<String, Member>,
    /// The member id that holds each static name at present.
    statics: BTreeMap<String, String>,
    /// Ids given out by MEMBER_ID_REQUIRED, and until when their owners may join with them.
    pending: BTreeMap<String, Duration>,
    /// Members of this generation that have not sent their sync yet.
    unsynced: BTreeSet<String>,
    /// When the join phase ends, whoever is missing.
    join_deadline: Option<Duration>,
    /// Set while the first join of an empty group waits for company.
    gathering: Option<Gathering>,
    /// When members without a sync are given up.
    sync_deadline: Option<Duration>,
}

/// The wait for company after the first join of an empty group.
#[derive(Debug, Clone, Copy)]
struct Gathering {
    /// What is left of the rebalance time-out when the present delay ends.
    remaining: Duration,
    /// True when somebody joined during the present delay: then it is worth another.
    grew: bool,
}

impl ClassicGroup {
    /// A group without members.
    pub(crate) fn new(id: impl Into<String>, config: Arc<GroupConfig>, now: Moment) -> Self {
        Self {
            id: id.into(),
            config,
            state: GroupState::Empty,
            state_since_ms: now.wall_ms,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: BTreeMap::new(),
            unsynced: BTreeSet::new(),
            join_deadline: None,
            gathering: None,
            sync_deadline: None,
        }
    }

    /// The group as its last record tells it. Its members have one session time-out from now to show themselves.
    pub(crate) fn restore(
        id: impl Into<String>,
        stored: records::GroupMetadata,
        config: Arc<GroupConfig>,
        now: Moment,
    ) -> Self {
        let mut group = Self::new(id, config, now);
        group.generation = stored.generation;
        group.state_since_ms = stored.state_since_ms.unwrap_or(now.wall_ms);
        group.protocol_type = Some(stored.protocol_type).filter(|kind| !kind.is_empty());
        if stored.members.is_empty() {
            return group;
        }
        group.state = GroupState::Stable;
        group.protocol = stored.protocol;
        group.leader = stored.leader;
        for stored in stored.members {
            let member = stored.into_member(group.protocol.as_deref(), now);
            if let Some(instance) = &member.instance_id {
                group.statics.insert(instance.clone(), member.id.clone());
            }
            group.members.insert(member.id.clone(), member);
        }
        group
    }

    /// Where the group is in its life.
    pub(crate) fn state(&self) -> GroupState {
        self.state
    }

    /// Wall clock of the last change of state.
    pub(crate) fn state_since_ms(&self) -> i64 {
        self.state_since_ms
    }

    /// The number of completed rebalances.
    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    /// The protocol type, none until a member has joined.
    pub(crate) fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    /// The protocol of this generation.
    pub(crate) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The leader's member id.
    pub(crate) fn leader(&self) -> Option<&str> {
        self.leader.as_deref()
    }

    /// All members, sorted by id.
    pub(crate) fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }

    /// True when nothing but committed offsets would keep the group: no member, and no id given out.
    pub(crate) fn is_vacant(&self) -> bool {
        self.state == GroupState::Empty && self.members.is_empty() && self.pending.is_empty()
    }

    /// The next instant at which [`ClassicGroup::on_timeout`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let sessions = self.members.values().filter_map(|member| member.deadline);
        let phases = self.join_deadline.into_iter().chain(self.sync_deadline);
        sessions.chain(self.pending.values().copied()).chain(phases).min()
    }

    /// Does what is due: gives up silent members and unused ids, ends the join phase, gives up missing syncs.
    pub(crate) fn on_timeout(&mut self, now: Moment, out: &mut Effects) {
        let given = self.pending.len();
        self.pending.retain(|_, deadline| *deadline > now.ticks);
        if self.pending.len() < given {
            self.maybe_complete_join(now, out);
        }
        let silent = self.ids_where(|member| member.deadline.is_some_and(|deadline| deadline <= now.ticks));
        self.give_up(&silent, now, out);
        if self.join_deadline.is_some_and(|deadline| deadline <= now.ticks) {
            self.on_join_deadline(now, out);
        }
        if self.sync_deadline.is_some_and(|deadline| deadline <= now.ticks) {
            self.sync_deadline = None;
            let unsynced: Vec<String> = self.unsynced.iter().cloned().collect();
            self.give_up(&unsynced, now, out);
        }
    }

    /// Drops `ids` and lets the rest rebalance.
    fn give_up(&mut self, ids: &[String], now: Moment, out: &mut Effects) {
        if ids.is_empty() {
            return;
        }
        for id in ids {
            self.remove_member(id, ResponseError::UnknownMemberId, out);
        }
        self.on_members_left(now, out);
    }

    /// Takes a member out, answering whatever request of it still waits.
    fn remove_member(&mut self, id: &str, answer: ResponseError, out: &mut Effects) -> Option<Member> {
        let mut member = self.members.remove(id)?;
        self.unsynced.remove(id);
        if let Some(instance) = &member.instance_id
            && self.statics.get(instance).is_some_and(|holder| holder == id)
        {
            self.statics.remove(instance);
        }
        if self.leader.as_deref() == Some(id) {
            self.leader = None;
        }
        if let Some(ticket) = member.awaiting_join.take() {
            out.joins.push((ticket, super::effects::JoinReply::refused(id, answer)));
        }
        if let Some(ticket) = member.awaiting_sync.take() {
            out.syncs.push((ticket, SyncReply::refused(answer)));
        }
        Some(member)
    }

    /// After members have left: the rest shares their work.
    fn on_members_left(&mut self, now: Moment, out: &mut Effects) {
        match self.state {
            GroupState::Stable | GroupState::CompletingRebalance => self.prepare_rebalance(now, out),
            GroupState::PreparingRebalance => self.maybe_complete_join(now, out),
            GroupState::Empty => {}
        }
    }

    /// Checks that `member_id` is in the group, and that it is the present holder of its static name.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID when another member has taken the name over.
    fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ResponseError> {
        if let Some(instance) = instance_id {
            match self.statics.get(instance) {
                None => return Err(ResponseError::UnknownMemberId),
                Some(holder) if holder != member_id => return Err(ResponseError::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ResponseError::UnknownMemberId) }
    }

    /// The ids of the members that `chosen` holds for.
    fn ids_where(&self, chosen: impl Fn(&Member) -> bool) -> Vec<String> {
        self.members.values().filter(|member| chosen(member)).map(|member| member.id.clone()).collect()
    }

    /// Changes the state and notes when.
    fn enter(&mut self, state: GroupState, now: Moment) {
        self.state = state;
        self.state_since_ms = now.wall_ms;
    }

    /// Asks for the group's record to be written, so that a restart finds the members again.
    ///
    /// Nobody waits for it: if it is lost with the process, the members are unknown afterwards and join again.
    fn store(&self, out: &mut Effects) {
        let record = (records::group_key(&self.id), Some(records::group_value(self)));
        let content = Content::Records(vec![record]);
        out.appends.push(Append { place: Place::Of(self.id.clone()), producer: None, content, then: None });
    }
}
