//! Records that cannot be read: what the policy says, and dead letters.

use bytes::Bytes;

use super::config::{DeserializationPolicy, FailedRecord};
use super::error::{KeyPreview, TaskError, TaskName};
use crate::processor::{DeadLetter, Respond, Shared, SourceError};
use crate::record::{FetchedRecord, Headers, TopicPartition};

/// Names of the headers on dead letters (KIP-1034); node and task are ours.
const HEADER_EXCEPTION: &str = "__streams.errors.exception";
const HEADER_MESSAGE: &str = "__streams.errors.message";
const HEADER_TOPIC: &str = "__streams.errors.topic";
const HEADER_PARTITION: &str = "__streams.errors.partition";
const HEADER_OFFSET: &str = "__streams.errors.offset";
const HEADER_NODE: &str = "__streams.errors.node";
const HEADER_TASK: &str = "__streams.errors.task";

/// Decides about a record that cannot be read: it is dropped and counted, or it ends the task.
pub(super) fn refuse<R: FetchedRecord>(
    task: TaskName,
    policy: &DeserializationPolicy,
    shared: &mut Shared,
    partition: &TopicPartition,
    record: &R,
    error: SourceError,
) -> Result<(), TaskError> {
    if shared.retries.attempt < shared.retries.max.unwrap_or(0) {
        shared.retries.wanted = true;
        return Err(unreadable(task, partition, record, error));
    }
    match policy.respond(&FailedRecord { task: task.0, partition, record }, &error) {
        Respond::Fail => return Err(unreadable(task, partition, record, error)),
        Respond::Retry => {
            shared.retries.wanted = shared.retries.are_left();
            return Err(unreadable(task, partition, record, error));
        }
        Respond::Continue => {}
        Respond::DeadLetter(topic) => {
            let (exception, message) = ("DeserializationError", error.to_string());
            let letter = DeadLetter { topic, exception, message, node: None };
            send_dead_letter(task, shared, &letter, partition, record);
        }
    }
    shared.dropped_records += 1;
    Ok(())
}

fn unreadable<R: FetchedRecord>(
    task: TaskName,
    partition: &TopicPartition,
    record: &R,
    source: SourceError,
) -> TaskError {
    let key = KeyPreview::new(record.key());
    TaskError::Deserialize { task, partition: partition.clone(), offset: record.offset(), key, source }
}

/// Sends the input record as it came to the topics that were named while it was processed.
pub(super) fn send_dead_letters<R: FetchedRecord>(
    task: TaskName,
    shared: &mut Shared,
    partition: &TopicPartition,
    record: &R,
) {
    for letter in std::mem::take(&mut shared.dead_letters) {
        send_dead_letter(task, shared, &letter, partition, record);
    }
}

fn send_dead_letter<R: FetchedRecord>(
    task: TaskName,
    shared: &mut Shared,
    letter: &DeadLetter,
    partition: &TopicPartition,
    record: &R,
) {
    let mut headers = record.headers();
    dead_letter_headers(&mut headers, letter, Some(task), Some((partition, record.offset())));
    let number = shared.output.topic(&letter.topic);
    let buffer = shared.output.buffer();
    let mut append = |bytes: Option<&[u8]>| {
        let start = buffer.len();
        bytes.map(|bytes| {
            buffer.extend_from_slice(bytes);
            start..buffer.len()
        })
    };
    let (key, value) = (append(record.key()), append(record.value()));
    shared.output.push(number, None, key, value, 0, record.timestamp(), headers);
}

/// Adds what happened to the headers of a dead letter, and where its input record came from.
pub(crate) fn dead_letter_headers(
    headers: &mut Headers,
    letter: &DeadLetter,
    task: Option<TaskName>,
    from: Option<(&TopicPartition, i64)>,
) {
    for (name, value) in [
        (HEADER_EXCEPTION, Some(letter.exception.to_owned())),
        (HEADER_MESSAGE, Some(letter.message.clone())),
        (HEADER_TOPIC, from.map(|(partition, _)| partition.topic.to_string())),
        (HEADER_PARTITION, from.map(|(partition, _)| partition.partition.to_string())),
        (HEADER_OFFSET, from.map(|(_, offset)| offset.to_string())),
        (HEADER_NODE, letter.node.as_ref().map(ToString::to_string)),
        (HEADER_TASK, task.map(|task| task.to_string())),
    ] {
        if let Some(value) = value {
            headers.add(name, Some(Bytes::from(value)));
        }
    }
}
