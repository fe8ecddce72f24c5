//! Sets of tasks, and offsets by task, in few bytes.

use std::collections::BTreeMap;

use crate::assignor::TaskId;

use super::reader::{CodecError, Reader, Writer};

/// By sub-topology: its number, how many tasks, and the gaps between their partitions. A run of partitions costs a byte each.
pub(super) fn write_tasks(writer: &mut Writer, tasks: &[TaskId]) {
    let mut sorted = tasks.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let groups: Vec<&[TaskId]> = sorted.chunk_by(|a, b| a.sub_topology == b.sub_topology).collect();
    writer.count(groups.len());
    for group in groups {
        writer.varint(u64::from(group[0].sub_topology));
        writer.count(group.len());
        let mut next = 0;
        for task in group {
            writer.varint(u64::from(task.partition - next));
            next = task.partition.saturating_add(1);
        }
    }
}

pub(super) fn read_tasks(reader: &mut Reader<'_>) -> Result<Vec<TaskId>, CodecError> {
    let mut tasks = Vec::new();
    for _ in 0..reader.count()? {
        let sub_topology = reader.varint_u32()?;
        let mut next = 0_u32;
        for _ in 0..reader.count()? {
            let gap = reader.varint_u32()?;
            let partition = next.checked_add(gap).ok_or_else(|| reader.error("a partition is too large"))?;
            tasks.push(TaskId::new(sub_topology, partition));
            next = partition.saturating_add(1);
        }
    }
    Ok(tasks)
}

pub(super) fn write_offset_sums(writer: &mut Writer, sums: &BTreeMap<TaskId, i64>) {
    writer.count(sums.len());
    for (task, sum) in sums {
        writer.varint(u64::from(task.sub_topology));
        writer.varint(u64::from(task.partition));
        writer.varint(u64::try_from(*sum).unwrap_or(0));
    }
}

pub(super) fn read_offset_sums(reader: &mut Reader<'_>) -> Result<BTreeMap<TaskId, i64>, CodecError> {
    let mut sums = BTreeMap::new();
    for _ in 0..reader.count()? {
        let task = TaskId::new(reader.varint_u32()?, reader.varint_u32()?);
        let sum = i64::try_from(reader.varint()?).map_err(|_| reader.error("an offset is too large"))?;
        sums.insert(task, sum);
    }
    Ok(sums)
}
