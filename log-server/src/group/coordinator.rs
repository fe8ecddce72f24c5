//! All groups: finds the group a request is about, and carries its offsets to the log and back.
//!
//! Members live in memory and are written along; offsets change only when the log has confirmed them, in the
//! order of the log, so that memory never knows more than a restart would find.

mod commit;
mod delete;
mod expiry;
mod restore;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;

use super::classic::{ClassicGroup, HeartbeatRequest, JoinRequest, LeavingMember, SyncRequest};
use super::config::GroupConfig;
use super::effects::{Effects, JoinReply, SyncReply, Ticket};
use super::offsets::GroupOffsets;
use crate::journal::AppendId;
use crate::moment::Moment;

use self::commit::InFlight;

pub(crate) use self::commit::CommitRequest;
pub(crate) use self::view::{FetchedOffset, GroupDescription, GroupListing};

/// The state machine behind all group APIs.
#[derive(Debug)]
pub(crate) struct GroupCoordinator {
    /// Limits and time-outs.
    config: Arc<GroupConfig>,
    /// By group id, sorted so that lists are stable.
    groups: BTreeMap<String, Group>,
    /// When each group wants to be woken, soonest first.
    deadlines: BTreeSet<(Duration, String)>,
    /// What is to be done when an append ends.
    in_flight: HashMap<AppendId, InFlight>,
    /// The name of the next append.
    next_append: AppendId,
    /// When expired offsets are looked for next.
    next_expiry: Duration,
}

/// A group with its offsets.
#[derive(Debug)]
struct Group {
    classic: ClassicGroup,
    offsets: GroupOffsets,
    /// Its entry in the coordinator's `deadlines`.
    deadline: Option<Duration>,
    /// Appends of the group that have not ended: it must not be forgotten before.
    in_flight: usize,
}

impl GroupCoordinator {
    /// A coordinator without groups.
    pub(crate) fn new(config: GroupConfig, now: Moment) -> Self {
        let next_expiry = now.after(config.expiry_interval);
        Self {
            config: Arc::new(config),
            groups: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            in_flight: HashMap::new(),
            next_append: 0,
            next_expiry,
        }
    }

    /// Limits and time-outs.
    pub(crate) fn config(&self) -> &GroupConfig {
        &self.config
    }

    /// Handles JoinGroup; the answer is among the effects of this or of a later step.
    pub(crate) fn join(
        &mut self,
        group_id: &str,
        request: JoinRequest,
        ticket: Ticket,
        now: Moment,
    ) -> Effects {
        let mut out = Effects::default();
        if let Err(error) = self.check_joinable(group_id, &request.member_id) {
            out.joins.push((ticket, JoinReply::refused(request.member_id, error)));
            return out;
        }
        self.group_or_new(group_id, now).classic.join(request, ticket, now, &mut out);
        self.settle(group_id);
        out
    }

    /// Handles SyncGroup; the answer is among the effects of this or of a later step.
    pub(crate) fn sync(
        &mut self,
        group_id: &str,
        request: SyncRequest,
        ticket: Ticket,
        now: Moment,
    ) -> Effects {
        let mut out = Effects::default();
        match self.known_group(group_id) {
            Err(error) => out.syncs.push((ticket, SyncReply::refused(error))),
            Ok(group) => {
                group.classic.sync(request, ticket, now, &mut out);
                self.settle(group_id);
            }
        }
        out
    }

    /// Handles Heartbeat.
    ///
    /// # Errors
    /// Those of [`ClassicGroup::heartbeat`].
    pub(crate) fn heartbeat(
        &mut self,
        group_id: &str,
        request: &HeartbeatRequest,
        now: Moment,
    ) -> Result<(), ResponseError> {
        // A heartbeat only moves a deadline away: the old wake-up finds the new one, so nothing is settled here.
        self.known_group(group_id)?.classic.heartbeat(request, now)
    }

    /// Handles LeaveGroup: one outcome per member, in order.
    ///
    /// # Errors
    /// INVALID_GROUP_ID or UNKNOWN_MEMBER_ID when there is no such group.
    pub(crate) fn leave(
        &mut self,
        group_id: &str,
        leaving: &[LeavingMember],
        now: Moment,
    ) -> Result<(Vec<Result<(), ResponseError>>, Effects), ResponseError> {
        let mut out = Effects::default();
        let outcomes = self.known_group(group_id)?.classic.leave(leaving, now, &mut out);
        self.settle(group_id);
        Ok((outcomes, out))
    }

    /// The next instant at which [`GroupCoordinator::on_timeout`] has something to do.
    pub(crate) fn next_deadline(&self) -> Duration {
        self.deadlines.first().map_or(self.next_expiry, |(deadline, _)| self.next_expiry.min(*deadline))
    }

    /// Does what is due in every group.
    pub(crate) fn on_timeout(&mut self, now: Moment) -> Effects {
        let mut out = Effects::default();
        while self.deadlines.first().is_some_and(|(deadline, _)| *deadline <= now.ticks) {
            let Some((_, id)) = self.deadlines.pop_first() else { break };
            if let Some(group) = self.groups.get_mut(&id) {
                group.deadline = None;
                group.classic.on_timeout(now, &mut out);
            }
            self.settle(&id);
        }
        if self.next_expiry <= now.ticks {
            self.next_expiry = now.after(self.config.expiry_interval);
            self.expire_offsets(now, &mut out);
        }
        out
    }

    fn check_joinable(&self, group_id: &str, member_id: &str) -> Result<(), ResponseError> {
        if group_id.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        if self.groups.contains_key(group_id) {
            return Ok(());
        }
        if !member_id.is_empty() {
            return Err(ResponseError::UnknownMemberId);
        }
        self.check_room()
    }

    /// # Errors
    /// POLICY_VIOLATION when there are as many groups as the coordinator may keep.
    fn check_room(&self) -> Result<(), ResponseError> {
        if self.groups.len() < self.config.max_groups {
            return Ok(());
        }
        tracing::warn!(
            limit = self.config.max_groups,
            "new group refused: the coordinator keeps no more groups"
        );
        Err(ResponseError::PolicyViolation)
    }

    fn known_group(&mut self, group_id: &str) -> Result<&mut Group, ResponseError> {
        if group_id.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        self.groups.get_mut(group_id).ok_or(ResponseError::UnknownMemberId)
    }

    fn group_or_new(&mut self, group_id: &str, now: Moment) -> &mut Group {
        let config = &self.config;
        self.groups.entry(group_id.to_owned()).or_insert_with(|| Group {
            classic: ClassicGroup::new(group_id, Arc::clone(config), now),
            offsets: GroupOffsets::default(),
            deadline: None,
            in_flight: 0,
        })
    }

    /// After a step of a group: notes its new deadline, and forgets a group that never came to anything.
    fn settle(&mut self, group_id: &str) {
        let Some(group) = self.groups.get_mut(group_id) else { return };
        let deadline = group.classic.next_deadline();
        if group.deadline != deadline {
            if let Some(old) = group.deadline.take() {
                self.deadlines.remove(&(old, group_id.to_owned()));
            }
            if let Some(new) = deadline {
                self.deadlines.insert((new, group_id.to_owned()));
            }
            group.deadline = deadline;
        }
        let left_no_trace = group.classic.generation() == 0 && group.is_forgettable();
        if left_no_trace {
            self.groups.remove(group_id);
        }
    }
}

impl Group {
    /// True when nothing refers to the group any more: no member, no offset, no append under way.
    fn is_forgettable(&self) -> bool {
        self.classic.is_vacant() && self.offsets.is_empty() && self.in_flight == 0
    }
}
