//! What a member tells the leader when it joins.

use std::collections::BTreeMap;

use bytes::Bytes;
use uuid::Uuid;

use crate::assignor::TaskId;

use super::reader::{CodecError, Reader, Writer};
use super::task_set::{read_offset_sums, read_tasks, write_offset_sums, write_tasks};
use super::{CONSUMER_PROTOCOL_VERSION, USER_DATA_VERSION};

/// A member's subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::membership) struct Subscription {
    /// Topics it reads; brokers keep the committed offsets of these.
    pub(in crate::membership) topics: Vec<String>,
    /// Generation in which it got its tasks, -1 if it has none.
    pub(in crate::membership) generation: i32,
    pub(in crate::membership) rack: Option<String>,
    pub(in crate::membership) process_id: Uuid,
    pub(in crate::membership) capacity: u32,
    /// Changes when a rebalance is wanted although nothing else has changed (Kafka Streams' `uniqueField`).
    pub(in crate::membership) counter: u8,
    /// Active tasks that it runs and has not given back, sorted.
    pub(in crate::membership) active: Vec<TaskId>,
    /// Standbys and warm-ups that it runs, sorted.
    pub(in crate::membership) standby: Vec<TaskId>,
    /// Sums of changelog offsets reached, for state that is not an active task's.
    pub(in crate::membership) offset_sums: BTreeMap<TaskId, i64>,
    pub(in crate::membership) application_server: Option<String>,
    pub(in crate::membership) tags: BTreeMap<String, String>,
    /// Why all instances are to stop, if this member says so (Kafka Streams' `SHUTDOWN_REQUESTED`).
    pub(in crate::membership) stop: Option<String>,
}

impl Subscription {
    /// `ConsumerProtocolSubscription` with our user data.
    pub(in crate::membership) fn encode(&self) -> Bytes {
        let mut writer = Writer::default();
        writer.i16(CONSUMER_PROTOCOL_VERSION);
        writer.array_length(self.topics.len());
        self.topics.iter().for_each(|topic| writer.kafka_string(topic));
        writer.kafka_bytes(&self.user_data());
        // Owned partitions: the active tasks in the user data say it better.
        writer.array_length(0);
        writer.i32(self.generation);
        match &self.rack {
            Some(rack) => writer.kafka_string(rack),
            None => writer.i16(-1),
        }
        Bytes::from(writer.bytes)
    }

    fn user_data(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(USER_DATA_VERSION);
        writer.bytes.extend_from_slice(self.process_id.as_bytes());
        writer.varint(u64::from(self.capacity));
        writer.u8(self.counter);
        write_tasks(&mut writer, &self.active);
        write_tasks(&mut writer, &self.standby);
        write_offset_sums(&mut writer, &self.offset_sums);
        writer.optional_string(self.application_server.as_deref());
        writer.count(self.tags.len());
        for (tag, value) in &self.tags {
            writer.string(tag);
            writer.string(value);
        }
        writer.optional_string(self.stop.as_deref());
        writer.bytes
    }

    pub(in crate::membership) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let version = reader.i16()?;
        if version < 2 {
            return Err(reader.error("the subscription is older than version 2"));
        }
        let mut subscription = Self::default();
        for _ in 0..reader.array_length()? {
            subscription.topics.extend(reader.kafka_string()?);
        }
        let user_data = reader.kafka_bytes()?;
        for _ in 0..reader.array_length()? {
            reader.kafka_string()?;
            for _ in 0..reader.array_length()? {
                reader.i32()?;
            }
        }
        subscription.generation = reader.i32()?;
        subscription.rack = if version >= 3 { reader.kafka_string()? } else { None };
        subscription.read_user_data(user_data)?;
        Ok(subscription)
    }

    fn read_user_data(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? == 0 {
            return Err(reader.error("the user data have no version"));
        }
        self.process_id = Uuid::from_bytes(reader.array()?);
        self.capacity = reader.varint_u32()?;
        self.counter = reader.u8()?;
        self.active = read_tasks(&mut reader)?;
        self.standby = read_tasks(&mut reader)?;
        self.offset_sums = read_offset_sums(&mut reader)?;
        self.application_server = reader.optional_string()?;
        for _ in 0..reader.count()? {
            let tag = reader.string()?;
            self.tags.insert(tag, reader.string()?);
        }
        // Members of the first version end here.
        self.stop = if reader.is_empty() { None } else { reader.optional_string()? };
        Ok(())
    }
}
