//! Restart: the coordinator as its log tells it, record by record.

use std::sync::Arc;

use super::GroupCoordinator;
use crate::group::classic::ClassicGroup;
use crate::group::offsets::PartitionOffset;
use crate::group::records::{self, Key};
use crate::moment::Moment;
use crate::protocol::fields::RecordError;

impl GroupCoordinator {
    /// Takes over one record of the log; `producer_id` is set when it is part of a transaction.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub(crate) fn restore_record(
        &mut self,
        producer_id: Option<i64>,
        key: &[u8],
        value: Option<&[u8]>,
        now: Moment,
    ) -> Result<(), RecordError> {
        match records::read_key(key)? {
            Key::Offset { group, topic, partition } => match value {
                Some(value) => {
                    let committed = records::read_offset(value)?;
                    let offset = PartitionOffset { topic, partition, committed };
                    let offsets = &mut self.group_or_new(&group, now).offsets;
                    match producer_id {
                        Some(producer_id) => offsets.commit_open(producer_id, offset),
                        None => offsets.commit(offset),
                    }
                }
                None => {
                    if let Some(group) = self.groups.get_mut(&group) {
                        group.offsets.delete(&topic, partition);
                    }
                }
            },
            Key::Group { group } => {
                let value = value.map(records::read_group).transpose()?;
                let classic = match value {
                    Some(stored) => {
                        ClassicGroup::restore(group.as_str(), stored, Arc::clone(&self.config), now)
                    }
                    None => ClassicGroup::new(group.as_str(), Arc::clone(&self.config), now),
                };
                self.group_or_new(&group, now).classic = classic;
            }
            Key::Foreign(kind) => {
                tracing::debug!(kind, "record of a kind that this coordinator does not keep");
            }
        }
        Ok(())
    }

    /// Takes over the end of a producer's transaction.
    pub(crate) fn restore_marker(&mut self, producer_id: i64, is_commit: bool) {
        self.end_transaction(producer_id, is_commit);
    }

    /// All records are read: groups that they deleted are forgotten, the sessions of the others run.
    pub(crate) fn restored(&mut self) {
        let ids: Vec<String> = self.groups.keys().cloned().collect();
        for id in ids {
            self.settle(&id);
        }
    }

    /// The number of groups.
    pub(crate) fn group_count(&self) -> usize {
        self.groups.len()
    }
}
