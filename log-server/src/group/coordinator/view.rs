//! What can be asked about groups: OffsetFetch, DescribeGroups, ListGroups.

use kafka_protocol::ResponseError;

use super::GroupCoordinator;
use crate::group::classic::GroupState;
use crate::group::member::Member;
use crate::group::offsets::CommittedOffset;

/// One partition of an OffsetFetch answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FetchedOffset {
    /// The topic.
    pub(crate) topic: String,
    /// The partition.
    pub(crate) partition: i32,
    /// None when nothing is committed; UNSTABLE_OFFSET_COMMIT while a transaction over it is open and stable
    /// offsets are asked for.
    pub(crate) committed: Result<Option<CommittedOffset>, ResponseError>,
}

/// A group as DescribeGroups shows it.
#[derive(Debug, Clone)]
pub(crate) struct GroupDescription {
    /// Where the group is in its life.
    pub(crate) state: GroupState,
    /// For example `consumer`.
    pub(crate) protocol_type: String,
    /// The protocol in use; empty unless the group is stable.
    pub(crate) protocol: String,
    /// The members; their metadata and assignments are empty unless the group is stable.
    pub(crate) members: Vec<Member>,
}

/// A group as ListGroups shows it.
#[derive(Debug, Clone)]
pub(crate) struct GroupListing {
    /// The group's id.
    pub(crate) id: String,
    /// For example `consumer`; empty when no member ever joined.
    pub(crate) protocol_type: String,
    /// Where the group is in its life.
    pub(crate) state: GroupState,
}

impl GroupCoordinator {
    /// The offsets of the asked-for partitions, or of all that have one.
    pub(crate) fn fetch_offsets(
        &self,
        group_id: &str,
        partitions: Option<Vec<(String, i32)>>,
        require_stable: bool,
    ) -> Vec<FetchedOffset> {
        let group = self.groups.get(group_id);
        let asked_for = partitions.unwrap_or_else(|| {
            let all = group.into_iter().flat_map(|group| group.offsets.iter());
            all.map(|(topic, partition, _)| (topic.to_owned(), partition)).collect()
        });
        let fetch = |(topic, partition): (String, i32)| {
            let committed = match group {
                Some(group) if require_stable && group.offsets.is_open(&topic, partition) => {
                    Err(ResponseError::UnstableOffsetCommit)
                }
                Some(group) => Ok(group.offsets.get(&topic, partition).cloned()),
                None => Ok(None),
            };
            FetchedOffset { topic, partition, committed }
        };
        asked_for.into_iter().map(fetch).collect()
    }

    /// The group of that id, if there is one.
    pub(crate) fn describe(&self, group_id: &str) -> Option<GroupDescription> {
        let group = &self.groups.get(group_id)?.classic;
        let is_stable = group.state() == GroupState::Stable;
        let protocol = group.protocol().filter(|_| is_stable).unwrap_or_default().to_owned();
        let shown = |member: &Member| {
            let mut member = member.clone();
            if !is_stable {
                member.protocols.clear();
                member.assignment.clear();
            }
            member
        };
        Some(GroupDescription {
            state: group.state(),
            protocol_type: group.protocol_type().unwrap_or_default().to_owned(),
            protocol,
            members: group.members().map(shown).collect(),
        })
    }

    /// All groups, by id.
    pub(crate) fn list(&self) -> Vec<GroupListing> {
        let listed = |(id, group): (&String, &super::Group)| GroupListing {
            id: id.clone(),
            protocol_type: group.classic.protocol_type().unwrap_or_default().to_owned(),
            state: group.classic.state(),
        };
        self.groups.iter().map(listed).collect()
    }
}
