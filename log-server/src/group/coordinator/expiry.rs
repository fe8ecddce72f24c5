//! Expiry: the offsets of a group that nobody uses are deleted after a while (KIP-211).

use super::{Group, GroupCoordinator};
use crate::group::classic::GroupState;
use crate::group::effects::Effects;
use crate::group::offsets::CommittedOffset;
use crate::moment::Moment;

impl GroupCoordinator {
    /// Writes tombstones for what has expired.
    pub(super) fn expire_offsets(&mut self, now: Moment, out: &mut Effects) {
        let retention_ms = i64::try_from(self.config.offsets_retention.as_millis()).unwrap_or(i64::MAX);
        let before_ms = now.wall_ms.saturating_sub(retention_ms);
        let ids: Vec<String> = self.groups.keys().cloned().collect();
        for id in ids {
            let Some(group) = self.groups.get(&id) else { continue };
            let expired = group.expired(before_ms);
            let keeps_offsets = group.offsets.iter().count() > expired.len();
            if group.classic.is_vacant() && !keeps_offsets && group.in_flight == 0 {
                self.append_group_tombstones(&id, None, out);
            } else if !expired.is_empty() {
                tracing::info!(group = id, partitions = expired.len(), "offsets expired");
                self.append_offset_tombstones(&id, expired, None, out);
            }
        }
    }
}

impl Group {
    /// The partitions whose offsets nobody has used since `before_ms`.
    ///
    /// A group with members keeps the offsets of all topics that they read; an empty one keeps its offsets for a
    /// while from the moment it became empty, or from the commit if that came later.
    fn expired(&self, before_ms: i64) -> Vec<(String, i32)> {
        let read = match self.classic.state() {
            GroupState::Empty => Some(Default::default()),
            GroupState::Stable => self.classic.subscribed_topics(),
            GroupState::PreparingRebalance | GroupState::CompletingRebalance => None,
        };
        let Some(read) = read else { return Vec::new() };
        let had_members = self.classic.protocol_type().is_some();
        let since_ms = |committed: &CommittedOffset| match self.classic.state() {
            GroupState::Empty if had_members => committed.commit_ms.max(self.classic.state_since_ms()),
            _ => committed.commit_ms,
        };
        self.offsets
            .iter()
            .filter(|(topic, partition, committed)| {
                !read.contains(*topic)
                    && since_ms(committed) <= before_ms
                    && !self.offsets.is_open(topic, *partition)
            })
            .map(|(topic, partition, _)| (topic.to_owned(), partition))
            .collect()
    }
}
