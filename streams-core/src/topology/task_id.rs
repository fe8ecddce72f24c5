//! Names of tasks.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A task: one sub-topology on one partition, written `0_1` as Kafka Streams does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// The sub-topology's number, as [`crate::topology::Topology::describe`] prints it.
    pub sub_topology: u32,
    /// The partition, from 0.
    pub partition: u32,
}

impl TaskId {
    /// The task of a sub-topology on a partition.
    pub const fn new(sub_topology: u32, partition: u32) -> Self {
        TaskId { sub_topology, partition }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.sub_topology, self.partition)
    }
}

/// A text that names no task.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` names no task: a task is written SUBTOPOLOGY_PARTITION, for instance `0_1`")]
pub struct InvalidTaskId(String);

impl FromStr for TaskId {
    type Err = InvalidTaskId;

    fn from_str(text: &str) -> Result<Self, InvalidTaskId> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        text.split_once('_')
            .filter(|(sub_topology, partition)| digits(sub_topology) && digits(partition))
            .and_then(|(sub_topology, partition)| {
                Some(TaskId::new(sub_topology.parse().ok()?, partition.parse().ok()?))
            })
            .ok_or_else(|| InvalidTaskId(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = TaskId::new(3, 12);
        assert_eq!(id.to_string(), "3_12");
        assert_eq!("3_12".parse(), Ok(id));
        for wrong in ["", "3", "_", "3_", "_1", "a_1", "3_-1", "+3_1", "3_1_2", "99999999999_1"] {
            assert_eq!(wrong.parse::<TaskId>(), Err(InvalidTaskId(wrong.to_owned())), "{wrong}");
        }
    }
}
