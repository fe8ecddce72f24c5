//! OffsetCommit and TxnOffsetCommit: checked, written, and taken over once the log has them.

use std::sync::Arc;

use kafka_protocol::ResponseError;

use super::{Group, GroupCoordinator};
use crate::group::classic::{ClassicGroup, Committer};
use crate::group::effects::{Effects, Ticket};
use crate::group::offsets::PartitionOffset;
use crate::group::records;
use crate::journal::{Append, AppendId, Content, EndMarker, JournalRecord, Place, ProducerIdentity};
use crate::moment::Moment;

/// A request to commit offsets.
#[derive(Debug, Clone)]
pub(crate) struct CommitRequest {
    /// Who commits.
    pub(crate) committer: Committer,
    /// Set when the offsets are part of this producer's transaction.
    pub(crate) producer: Option<ProducerIdentity>,
    /// What is committed.
    pub(crate) offsets: Vec<PartitionOffset>,
}

/// An append whose end changes offsets.
#[derive(Debug)]
pub(super) enum InFlight {
    /// Records of one group.
    Group {
        group: String,
        /// The request to answer, if one waits.
        ticket: Option<Ticket>,
        change: Change,
    },
    /// The marker that ends a producer's transaction, whichever groups took part.
    Marker { producer_id: i64, is_commit: bool, ticket: Ticket },
}

/// What an append changes.
#[derive(Debug)]
pub(super) enum Change {
    /// Offsets are committed.
    Commit(Vec<PartitionOffset>),
    /// Offsets become part of the producer's transaction; they are claimed since the request came.
    CommitOpen(i64, Vec<PartitionOffset>),
    /// Offsets of these partitions are deleted.
    Delete(Vec<(String, i32)>),
    /// The group is deleted, with the offsets of these partitions, which are all that it had.
    DeleteGroup(Vec<(String, i32)>),
}

impl GroupCoordinator {
    /// Handles a commit; the answer follows when the records are durable.
    pub(crate) fn commit(
        &mut self,
        group_id: &str,
        request: CommitRequest,
        ticket: Ticket,
        now: Moment,
    ) -> Effects {
        let mut out = Effects::default();
        if let Err(error) = self.check_commit(group_id, &request) {
            out.writes.push((ticket, Err(error)));
            return out;
        }
        if request.offsets.is_empty() {
            out.writes.push((ticket, Ok(())));
            return out;
        }
        let group = self.group_or_new(group_id, now);
        let record = |offset: &PartitionOffset| {
            let key = records::offset_key(group_id, &offset.topic, offset.partition);
            (key, Some(records::offset_value(&offset.committed)))
        };
        let written = request.offsets.iter().map(record).collect();
        let change = match request.producer {
            None => Change::Commit(request.offsets),
            Some(producer) => {
                // From now on, not only once the log has it: a reader that asks for stable offsets must not slip
                // in between.
                for offset in &request.offsets {
                    group.offsets.claim(&offset.topic, offset.partition);
                }
                Change::CommitOpen(producer.id, request.offsets)
            }
        };
        self.append(group_id, request.producer, written, Some(ticket), change, &mut out);
        out
    }

    /// The append named `id` has ended: with success what it wrote now holds; the waiting request is answered.
    pub(crate) fn appended(
        &mut self,
        id: AppendId,
        outcome: Result<(), ResponseError>,
        now: Moment,
    ) -> Effects {
        let mut out = Effects::default();
        let (group_id, ticket, change) = match self.in_flight.remove(&id) {
            Some(InFlight::Group { group, ticket, change }) => (group, ticket, change),
            Some(InFlight::Marker { producer_id, is_commit, ticket }) => {
                if outcome.is_ok() {
                    self.end_transaction(producer_id, is_commit);
                }
                out.writes.push((ticket, outcome));
                return out;
            }
            None => return out,
        };
        let config = Arc::clone(&self.config);
        let group = self.group_or_new(&group_id, now);
        group.in_flight = group.in_flight.saturating_sub(1);
        let is_deletion = matches!(change, Change::DeleteGroup(_));
        match outcome {
            Ok(()) => group.take_over(change),
            Err(_) => group.take_back(change),
        }
        // Unless it has come to life again meanwhile.
        if is_deletion && outcome.is_ok() && group.classic.is_vacant() {
            group.classic = ClassicGroup::new(group_id.as_str(), config, now);
        }
        if let Some(ticket) = ticket {
            out.writes.push((ticket, outcome));
        }
        self.settle(&group_id);
        out
    }

    /// Asks for the marker that ends a producer's transaction in one partition of the offsets topic; the answer
    /// follows when it is durable.
    pub(crate) fn write_marker(
        &mut self,
        partition: i32,
        producer: ProducerIdentity,
        end: EndMarker,
        ticket: Ticket,
    ) -> Effects {
        let mut out = Effects::default();
        let id = self.next_append;
        self.next_append += 1;
        let marker = InFlight::Marker { producer_id: producer.id, is_commit: end.is_commit, ticket };
        self.in_flight.insert(id, marker);
        let (place, content) = (Place::Partition(partition), Content::Marker(end));
        out.appends.push(Append { place, producer: Some(producer), content, then: Some(id) });
        out
    }

    /// Ends the producer's transaction in all groups that took part: its marker is in the log.
    pub(super) fn end_transaction(&mut self, producer_id: i64, is_commit: bool) {
        for group in self.groups.values_mut() {
            group.offsets.end_transaction(producer_id, is_commit);
        }
    }

    fn check_commit(&self, group_id: &str, request: &CommitRequest) -> Result<(), ResponseError> {
        let committer = &request.committer;
        match self.groups.get(group_id) {
            Some(group) if request.producer.is_some() => group.classic.check_txn_commit(committer),
            Some(group) => group.classic.check_commit(committer),
            None if committer.generation >= 0 => Err(ResponseError::IllegalGeneration),
            None => self.check_room(),
        }
    }

    /// Asks for records of the group to be written, and remembers what to do when they are.
    pub(super) fn append(
        &mut self,
        group_id: &str,
        producer: Option<ProducerIdentity>,
        records: Vec<JournalRecord>,
        ticket: Option<Ticket>,
        change: Change,
        out: &mut Effects,
    ) {
        let id = self.next_append;
        self.next_append += 1;
        self.in_flight.insert(id, InFlight::Group { group: group_id.to_owned(), ticket, change });
        if let Some(group) = self.groups.get_mut(group_id) {
            group.in_flight += 1;
        }
        let (place, content) = (Place::Of(group_id.to_owned()), Content::Records(records));
        out.appends.push(Append { place, producer, content, then: Some(id) });
    }
}

impl Group {
    fn take_over(&mut self, change: Change) {
        match change {
            Change::Commit(offsets) => offsets.into_iter().for_each(|offset| self.offsets.commit(offset)),
            Change::CommitOpen(producer_id, offsets) => {
                for offset in offsets {
                    self.offsets.unclaim(&offset.topic, offset.partition);
                    self.offsets.commit_open(producer_id, offset);
                }
            }
            Change::Delete(partitions) | Change::DeleteGroup(partitions) => {
                for (topic, partition) in partitions {
                    self.offsets.delete(&topic, partition);
                }
            }
        }
    }

    fn take_back(&mut self, change: Change) {
        if let Change::CommitOpen(_, offsets) = change {
            for offset in offsets {
                self.offsets.unclaim(&offset.topic, offset.partition);
            }
        }
    }
}
