//! Records that cannot be read: what the policy says, and dead letters.

use std::sync::Arc;

use bytes::Bytes;

use super::config::{DeserializationPolicy, FailedRecord};
use super::error::{KeyPreview, TaskError, TaskName};
use crate::processor::{Respond, Shared, SourceError};
use crate::record::{FetchedRecord, TopicPartition};

/// Names of the headers on dead letters (KIP-1034).
const HEADER_MESSAGE: &str = "__streams.errors.message";
const HEADER_TOPIC: &str = "__streams.errors.topic";
const HEADER_PARTITION: &str = "__streams.errors.partition";
const HEADER_OFFSET: &str = "__streams.errors.offset";

/// Decides about a record that cannot be read: it is dropped and counted, or it ends the task.
pub(super) fn refuse<R: FetchedRecord>(
    task: TaskName,
    policy: &DeserializationPolicy,
    shared: &mut Shared,
    partition: &TopicPartition,
    record: &R,
    error: SourceError,
) -> Result<(), TaskError> {
    match policy.respond(&FailedRecord { task: task.0, partition, record }, &error) {
        Respond::Fail => {
            let key = KeyPreview::new(record.key());
            let (partition, offset) = (partition.clone(), record.offset());
            return Err(TaskError::Deserialize { task, partition, offset, key, source: error });
        }
        Respond::Continue => {}
        Respond::DeadLetter(topic) => send_dead_letter(shared, &topic, &error.to_string(), partition, record),
    }
    shared.dropped_records += 1;
    Ok(())
}

/// Sends the input record as it came to the topics that processing handlers named.
pub(super) fn send_dead_letters<R: FetchedRecord>(
    shared: &mut Shared,
    partition: &TopicPartition,
    record: &R,
) {
    for (topic, message) in std::mem::take(&mut shared.dead_letters) {
        send_dead_letter(shared, &topic, &message, partition, record);
    }
}

fn send_dead_letter<R: FetchedRecord>(
    shared: &mut Shared,
    topic: &Arc<str>,
    message: &str,
    partition: &TopicPartition,
    record: &R,
) {
    let mut headers = record.headers();
    for (name, value) in [
        (HEADER_MESSAGE, message.to_owned()),
        (HEADER_TOPIC, partition.topic.to_string()),
        (HEADER_PARTITION, partition.partition.to_string()),
        (HEADER_OFFSET, record.offset().to_string()),
    ] {
        headers.add(name, Some(Bytes::from(value)));
    }
    let number = shared.output.topic(topic);
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
