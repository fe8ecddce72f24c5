//! DeleteGroups and OffsetDelete: tombstones for a group, or for some of its offsets.

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;

use super::GroupCoordinator;
use super::commit::{Change, InFlight};
use crate::group::classic::GroupState;
use crate::group::effects::{Effects, Ticket};
use crate::group::records;
use crate::journal::JournalRecord;

impl GroupCoordinator {
    /// Deletes an empty group with its offsets; the answer follows when the tombstones are durable.
    pub(crate) fn delete_group(&mut self, group_id: &str, ticket: Ticket) -> Effects {
        let mut out = Effects::default();
        let refusal = match self.groups.get(group_id) {
            None => Some(ResponseError::GroupIdNotFound),
            Some(group) if group.classic.state() != GroupState::Empty => Some(ResponseError::NonEmptyGroup),
            Some(_) => None,
        };
        match refusal {
            Some(error) => out.writes.push((ticket, Err(error))),
            None => self.append_group_tombstones(group_id, Some(ticket), &mut out),
        }
        out
    }

    /// Deletes the offsets of some partitions. Per partition None, or why it stays; the answer for the rest
    /// follows when the tombstones are durable.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND, or NON_EMPTY_GROUP when it cannot be known what the members read.
    pub(crate) fn delete_offsets(
        &mut self,
        group_id: &str,
        partitions: Vec<(String, i32)>,
        ticket: Ticket,
    ) -> Result<(Vec<Option<ResponseError>>, Effects), ResponseError> {
        let group = self.groups.get(group_id).ok_or(ResponseError::GroupIdNotFound)?;
        let subscribed = match group.classic.state() {
            GroupState::Empty => Default::default(),
            _ => group.classic.subscribed_topics().ok_or(ResponseError::NonEmptyGroup)?,
        };
        let refusals: Vec<_> = partitions
            .iter()
            .map(|(topic, _)| subscribed.contains(topic).then_some(ResponseError::GroupSubscribedToTopic))
            .collect();
        let deleted: Vec<(String, i32)> = partitions
            .into_iter()
            .zip(&refusals)
            .filter(|((topic, partition), refusal)| {
                refusal.is_none() && group.offsets.get(topic, *partition).is_some()
            })
            .map(|(partition, _)| partition)
            .collect();
        let mut out = Effects::default();
        if deleted.is_empty() {
            out.writes.push((ticket, Ok(())));
        } else {
            self.append_offset_tombstones(group_id, deleted, Some(ticket), &mut out);
        }
        Ok((refusals, out))
    }

    /// Writes tombstones for offsets.
    pub(super) fn append_offset_tombstones(
        &mut self,
        group_id: &str,
        partitions: Vec<(String, i32)>,
        ticket: Option<Ticket>,
        out: &mut Effects,
    ) {
        let tombstone = |(topic, partition): &(String, i32)| -> JournalRecord {
            (records::offset_key(group_id, topic, *partition), None)
        };
        let tombstones = partitions.iter().map(tombstone).collect();
        self.append(group_id, None, tombstones, ticket, Change::Delete(partitions), out);
    }

    /// Writes tombstones for a group and all its offsets.
    pub(super) fn append_group_tombstones(
        &mut self,
        group_id: &str,
        ticket: Option<Ticket>,
        out: &mut Effects,
    ) {
        let Some(group) = self.groups.get(group_id) else { return };
        let committed = group.offsets.iter().map(|(topic, partition, _)| (topic.to_owned(), partition));
        // Markers of open transactions and commits may be on their way to the log, where they come before the
        // tombstones: what they commit is deleted as well.
        let open = group.offsets.open_partitions();
        let on_their_way = self.in_flight.values().flat_map(|append| {
            let offsets = match append {
                InFlight::Group {
                    group,
                    change: Change::Commit(offsets) | Change::CommitOpen(_, offsets),
                    ..
                } if group == group_id => offsets.as_slice(),
                _ => &[],
            };
            offsets.iter().map(|offset| (offset.topic.clone(), offset.partition))
        });
        let partitions: BTreeSet<(String, i32)> = committed.chain(open).chain(on_their_way).collect();
        let tombstone = |(topic, partition): &(String, i32)| -> JournalRecord {
            (records::offset_key(group_id, topic, *partition), None)
        };
        let mut tombstones: Vec<_> = partitions.iter().map(tombstone).collect();
        tombstones.push((records::group_key(group_id), None));
        let change = Change::DeleteGroup(partitions.into_iter().collect());
        self.append(group_id, None, tombstones, ticket, change, out);
    }
}
