//! What the leader tells a member.

use std::collections::BTreeMap;

use bytes::Bytes;
use uuid::Uuid;

use crate::assignor::TaskId;
use crate::membership::event::{AssignedTask, AssignmentFault, FaultKind, InstanceMetadata};
use crate::record::TopicPartition;

use super::reader::{CodecError, Reader, Writer};
use super::task_set::{read_tasks, write_tasks};
use super::{CONSUMER_PROTOCOL_VERSION, USER_DATA_VERSION};

/// Flag: another round follows at once.
const FOLLOW_UP: u8 = 1;
/// From this version of the user data on all instances and their tasks stand at its end.
const INSTANCES_SINCE: u8 = 2;

/// A member's assignment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::membership) struct Assigned {
    pub(in crate::membership) active: Vec<AssignedTask>,
    pub(in crate::membership) standby: Vec<AssignedTask>,
    pub(in crate::membership) warm_up: Vec<AssignedTask>,
    pub(in crate::membership) follow_up: bool,
    /// Set when the leader could not assign; the lists are then empty and mean nothing.
    pub(in crate::membership) fault: Option<AssignmentFault>,
    /// What all instances have; empty where the leader does not tell.
    pub(in crate::membership) instances: Vec<InstanceMetadata>,
}

impl Assigned {
    /// An assignment that only tells what is wrong.
    pub(in crate::membership) fn faulty(fault: AssignmentFault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }

    /// `ConsumerProtocolAssignment` that lists the partitions of the active tasks, with our user data.
    pub(in crate::membership) fn encode(&self) -> Bytes {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for partition in self.active.iter().flat_map(|task| &task.partitions) {
            topics.entry(&partition.topic).or_default().push(partition.partition);
        }
        let mut writer = Writer::default();
        writer.i16(CONSUMER_PROTOCOL_VERSION);
        writer.array_length(topics.len());
        for (topic, partitions) in topics {
            writer.kafka_string(topic);
            writer.array_length(partitions.len());
            partitions.into_iter().for_each(|partition| writer.i32(partition));
        }
        writer.kafka_bytes(&self.user_data());
        Bytes::from(writer.bytes)
    }

    fn user_data(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(USER_DATA_VERSION);
        writer.u8(if self.follow_up { FOLLOW_UP } else { 0 });
        match &self.fault {
            None => writer.u8(0),
            Some(fault) => {
                writer.u8(fault_code(fault.kind));
                writer.string(&fault.message);
            }
        }
        let lists = [&self.active, &self.standby, &self.warm_up];
        let names = lists.iter().flat_map(|list| list.iter()).flat_map(|task| &task.partitions);
        let mut dictionary: Vec<&str> = names.map(|partition| &*partition.topic).collect();
        dictionary.sort_unstable();
        dictionary.dedup();
        writer.count(dictionary.len());
        dictionary.iter().for_each(|topic| writer.string(topic));
        for list in lists {
            write_assigned(&mut writer, list, &dictionary);
        }
        writer.count(self.instances.len());
        for instance in &self.instances {
            writer.bytes.extend_from_slice(instance.process_id.as_bytes());
            writer.optional_string(instance.application_server.as_deref());
            write_tasks(&mut writer, &instance.active);
            write_tasks(&mut writer, &instance.standby);
        }
        writer.bytes
    }

    pub(in crate::membership) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        if bytes.is_empty() {
            // The coordinator's answer to a member that the leader left out.
            return Ok(Self::default());
        }
        let mut reader = Reader::new(bytes);
        reader.i16()?;
        for _ in 0..reader.array_length()? {
            reader.kafka_string()?;
            for _ in 0..reader.array_length()? {
                reader.i32()?;
            }
        }
        Self::read_user_data(reader.kafka_bytes()?)
    }

    fn read_user_data(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version == 0 {
            return Err(reader.error("the user data have no version"));
        }
        let follow_up = reader.u8()? & FOLLOW_UP != 0;
        let fault = match reader.u8()? {
            0 => None,
            code => Some(AssignmentFault { kind: fault_kind(code), message: reader.string()? }),
        };
        let count = reader.count()?;
        let mut dictionary = Vec::new();
        for _ in 0..count {
            dictionary.push(std::sync::Arc::<str>::from(reader.string()?));
        }
        let active = read_assigned(&mut reader, &dictionary)?;
        let standby = read_assigned(&mut reader, &dictionary)?;
        let warm_up = read_assigned(&mut reader, &dictionary)?;
        let instances = if version >= INSTANCES_SINCE { read_instances(&mut reader)? } else { Vec::new() };
        Ok(Self { active, standby, warm_up, follow_up, fault, instances })
    }
}

fn read_instances(reader: &mut Reader<'_>) -> Result<Vec<InstanceMetadata>, CodecError> {
    let mut instances = Vec::new();
    for _ in 0..reader.count()? {
        instances.push(InstanceMetadata {
            process_id: Uuid::from_bytes(reader.array()?),
            application_server: reader.optional_string()?,
            active: read_tasks(reader)?,
            standby: read_tasks(reader)?,
        });
    }
    Ok(instances)
}

fn write_assigned(writer: &mut Writer, tasks: &[AssignedTask], dictionary: &[&str]) {
    writer.count(tasks.len());
    for task in tasks {
        writer.varint(u64::from(task.id.sub_topology));
        writer.varint(u64::from(task.id.partition));
        writer.count(task.partitions.len());
        for partition in &task.partitions {
            writer.count(dictionary.partition_point(|topic| *topic < &*partition.topic));
            writer.varint(u64::from(partition.partition.unsigned_abs()));
        }
    }
}

fn read_assigned(
    reader: &mut Reader<'_>,
    dictionary: &[std::sync::Arc<str>],
) -> Result<Vec<AssignedTask>, CodecError> {
    let count = reader.count()?;
    let mut tasks = Vec::new();
    for _ in 0..count {
        let id = TaskId::new(reader.varint_u32()?, reader.varint_u32()?);
        let mut partitions = Vec::new();
        for _ in 0..reader.count()? {
            let topic = usize::try_from(reader.varint()?).ok().and_then(|index| dictionary.get(index));
            let topic = topic.ok_or_else(|| reader.error("a topic is not in the dictionary"))?;
            let partition =
                i32::try_from(reader.varint()?).map_err(|_| reader.error("a partition is too large"))?;
            partitions.push(TopicPartition::new(topic.clone(), partition));
        }
        tasks.push(AssignedTask { id, partitions });
    }
    Ok(tasks)
}

fn fault_code(kind: FaultKind) -> u8 {
    match kind {
        FaultKind::MissingSourceTopic => 1,
        FaultKind::InvalidTopics => 2,
        FaultKind::Temporary => 3,
        FaultKind::StopRequested => 4,
    }
}

/// Kinds that a later version may add count as temporary: the leader tries again in any case.
fn fault_kind(code: u8) -> FaultKind {
    match code {
        1 => FaultKind::MissingSourceTopic,
        2 => FaultKind::InvalidTopics,
        4 => FaultKind::StopRequested,
        _ => FaultKind::Temporary,
    }
}
