//! What ends a task.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::retry::Tried;
use crate::processor::{ProcessorError, SourceError};
use crate::record::TopicPartition;
use crate::state::StoreError;
use crate::topology::TaskId;

/// Why a task cannot go on. It is to be closed without a commit; what it did since the last one is done again by its
/// successor.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TaskError {
    /// A record cannot be read.
    #[error(
        "task {task}: the record of {partition} at offset {offset}, key {key}, cannot be read: {source}{}",
        remedy(.source)
    )]
    Deserialize {
        /// The task.
        task: TaskName,
        /// The input.
        partition: TopicPartition,
        /// The record's offset.
        offset: i64,
        /// The first bytes of its key.
        key: KeyPreview,
        /// Why.
        source: SourceError,
    },
    /// A node failed to process a record.
    #[error("task {task}: the record of {partition} at offset {offset} cannot be processed: {source}")]
    Process {
        /// The task.
        task: TaskName,
        /// The input.
        partition: TopicPartition,
        /// The record's offset.
        offset: i64,
        /// Which node, and why.
        source: ProcessorError,
    },
    /// A record or a punctuation failed after something was done for it: it is to be tried again from the last commit, after a pause.
    #[error("task {task}: {} is tried again: {cause}", tried.step)]
    TryAgain {
        /// The task.
        task: TaskName,
        /// What failed, and how often.
        tried: Tried,
        /// How long to wait.
        pause: Duration,
        /// Why it failed.
        cause: String,
    },
    /// A node failed outside a record: while it was made, at a punctuation or at a flush.
    #[error("task {task}: {step} failed: {source}")]
    Step {
        /// The task.
        task: TaskName,
        /// What it was about.
        step: &'static str,
        /// Which node, and why.
        source: ProcessorError,
    },
    /// Code of the application panicked.
    #[error("task {task}: the application's code panicked{}: {message}", at(.record))]
    Panicked {
        /// The task.
        task: TaskName,
        /// The input record that was being processed.
        record: Option<(TopicPartition, i64)>,
        /// What the panic said.
        message: String,
    },
    /// A store or its database failed.
    #[error("task {task}: {source}")]
    Store {
        /// The task.
        task: TaskName,
        /// Which, and why.
        source: StoreError,
    },
    /// The store holds more than its changelog: the changelog was deleted, or lost records.
    #[error(
        "task {task}: store {store} stands at offset {offset} of its changelog {changelog}, which holds offsets \
         {start} to {end}: delete the task's directory, so that the store is restored from what the changelog has"
    )]
    ChangelogOutOfRange {
        /// The task.
        task: TaskName,
        /// The store.
        store: Arc<str>,
        /// The changelog.
        changelog: TopicPartition,
        /// The offset that the store would go on from.
        offset: i64,
        /// The changelog's first offset.
        start: i64,
        /// The changelog's end.
        end: i64,
    },
    /// A topic was handed to a task whose sub-topology does not read it.
    #[error("task {task} was given {partition}, but no source of its sub-topology reads that")]
    UnknownInput {
        /// The task.
        task: TaskName,
        /// The input.
        partition: TopicPartition,
    },
    /// The topology has no such sub-topology with tasks.
    #[error("there is no task {task}: do all instances run the same topology?")]
    UnknownTask {
        /// The task.
        task: TaskName,
    },
    /// A call came out of turn.
    #[error("task {task} is {state}, so it cannot {call}")]
    OutOfTurn {
        /// The task.
        task: TaskName,
        /// What it is.
        state: &'static str,
        /// What was asked.
        call: &'static str,
    },
}

impl TaskError {
    /// Whether the task's directory is to be deleted before the task is opened again.
    pub fn needs_wipe(&self) -> bool {
        match self {
            TaskError::ChangelogOutOfRange { .. } => true,
            TaskError::Store { source, .. } => matches!(source, StoreError::Corrupted { .. }),
            TaskError::Process { source, .. } | TaskError::Step { source, .. } => matches!(
                source.kind(),
                crate::processor::ProcessorErrorKind::Store(StoreError::Corrupted { .. })
            ),
            _ => false,
        }
    }
}

fn remedy(source: &SourceError) -> &'static str {
    match source {
        SourceError::Deserialize { .. } => {
            "; to drop such records set `deserialization.exception.handler` to continue, else read the topic by the \
             serde that it was written by"
        }
        _ => "",
    }
}

fn at(record: &Option<(TopicPartition, i64)>) -> String {
    match record {
        Some((partition, offset)) => format!(" at the record of {partition} at offset {offset}"),
        None => String::new(),
    }
}

/// A task's name in messages: its id, or `global`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskName(pub Option<TaskId>);

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => id.fmt(f),
            None => f.write_str("global"),
        }
    }
}

/// How many bytes of a key an error shows.
const KEY_PREVIEW_BYTES: usize = 24;

/// The first bytes of a key, as text where they are printable, else in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPreview(String);

impl KeyPreview {
    /// The preview of a key.
    pub fn new(key: Option<&[u8]>) -> Self {
        let Some(key) = key else { return KeyPreview("none".to_owned()) };
        let shown = &key[..key.len().min(KEY_PREVIEW_BYTES)];
        let more = if shown.len() < key.len() { "…" } else { "" };
        KeyPreview(match std::str::from_utf8(shown) {
            Ok(text) if !text.chars().any(char::is_control) => format!("`{text}{more}`"),
            _ => {
                let hex: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("0x{hex}{more}")
            }
        })
    }
}

impl fmt::Display for KeyPreview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_short_and_readable() {
        let shown = |key: &[u8]| KeyPreview::new(Some(key)).to_string();
        assert_eq!(shown(b"zone-7"), "`zone-7`");
        assert_eq!(shown(&[0, 255]), "0x00ff");
        assert_eq!(shown(&[b'a'; 30]), format!("`{}…`", "a".repeat(24)));
        assert_eq!(KeyPreview::new(None).to_string(), "none");
    }
}
