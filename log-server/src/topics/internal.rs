//! The coordinators' own topics, such as `__consumer_offsets`: made when missing, and read back at the start.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::{CreateTopic, Topic, TopicRegistry};
use crate::log::Isolation;
use crate::protocol::ErrorCode;
use crate::records::{BatchHeader, Record, Records};

/// How much is read at a time when a topic is read back.
const READ_BYTES: usize = 1024 * 1024;

impl TopicRegistry {
    /// An internal topic, which is made compacted if it does not exist. Blocks on the disk when it is made.
    ///
    /// # Errors
    /// The error code if it cannot be made.
    pub(crate) fn internal(&self, name: &str, partitions: i32) -> Result<Arc<Topic>, ErrorCode> {
        if let Some(topic) = self.get(name) {
            return Ok(topic);
        }
        let configs = [("cleanup.policy", "compact"), ("segment.bytes", "104857600")];
        let configs: BTreeMap<_, _> =
            configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = CreateTopic { name: name.to_owned(), partitions: Some(partitions), configs };
        match self.create(&request) {
            Ok(topic) => Ok(topic),
            // Another request was faster.
            Err((ErrorCode::TopicAlreadyExists, _)) => {
                self.get(name).ok_or(ErrorCode::CoordinatorNotAvailable)
            }
            Err((code, _)) => Err(code),
        }
    }

    /// Visits all records of a partition of an internal topic, in order. Blocks on the disk: for the start, or
    /// within `spawn_blocking`.
    ///
    /// # Errors
    /// A storage error, or records that are damaged.
    pub(crate) fn read_internal(
        &self,
        topic: &str,
        partition: i32,
        mut visit: impl FnMut(&BatchHeader, &Record<'_>) -> ControlFlow<()>,
    ) -> Result<(), ErrorCode> {
        let log = self.log(topic, partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let mut offset = log.watermarks().log_start;
        loop {
            let fetched = log.read(offset, READ_BYTES, Isolation::ReadUncommitted, true)?;
            if fetched.records.is_empty() {
                return Ok(());
            }
            let mut rest = &fetched.records[..];
            while !rest.is_empty() {
                let header = BatchHeader::parse(rest).map_err(|_| ErrorCode::CorruptMessage)?;
                let records = Records::read(header, rest).map_err(|_| ErrorCode::CorruptMessage)?;
                for record in records.iter() {
                    let record = record.map_err(|_| ErrorCode::CorruptMessage)?;
                    if visit(&header, &record).is_break() {
                        return Ok(());
                    }
                }
                offset = header.next_offset();
                rest = rest.get(header.size_bytes()..).unwrap_or_default();
            }
        }
    }
}
