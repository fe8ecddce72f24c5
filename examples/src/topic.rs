//! Records out of topics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::Result;

const POLL: Duration = Duration::from_millis(100);
const BROKER_LIMIT: Duration = Duration::from_secs(10);

/// The last value of each key of a topic, in the order of the keys' bytes.
pub type LastValues = BTreeMap<Vec<u8>, Vec<u8>>;

/// Reads a topic from its beginning to its present end. A record without a value removes its key.
///
/// # Errors
/// When the topic is missing or the broker does not answer.
pub(crate) fn last_values(bootstrap: &str, topic: &str) -> Result<LastValues> {
    let consumer = consumer(bootstrap)?;
    let mut open = assign_from_beginning(&consumer, topic)?;
    let mut values = LastValues::new();
    while open > 0 {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                let key = message.key().unwrap_or_default().to_vec();
                match message.payload() {
                    Some(value) => values.insert(key, value.to_vec()),
                    None => values.remove(&key),
                };
            }
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
    }
    Ok(values)
}

/// Hands the records of a topic to a function, from the topic's beginning on and as they come, on a thread of its own.
#[derive(Debug)]
pub struct Tail {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tail {
    /// Calls `each` with the key and the value of every record.
    ///
    /// # Errors
    /// When the topic is missing or the broker does not answer.
    pub(crate) fn start(
        bootstrap: &str,
        topic: &str,
        mut each: impl FnMut(&[u8], &[u8]) + Send + 'static,
    ) -> Result<Self> {
        let consumer = consumer(bootstrap)?;
        assign_from_beginning(&consumer, topic)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = consumer.poll(POLL) {
                    each(message.key().unwrap_or_default(), message.payload().unwrap_or_default());
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Whether the group `application_id` has committed all of its input and of its repartition topics.
///
/// # Errors
/// When the broker does not answer.
pub(crate) fn is_caught_up(bootstrap: &str, application_id: &str, inputs: &[&str]) -> Result<bool> {
    let group: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", application_id)
        .set("enable.auto.commit", "false")
        .create()?;
    let metadata = group.fetch_metadata(None, BROKER_LIMIT)?;
    let internal =
        |name: &str| name.starts_with(&format!("{application_id}-")) && name.ends_with("-repartition");
    // The inputs first: what a repartition topic still gets comes from them.
    let (mut topics, mut repartitions) = (Vec::new(), Vec::new());
    for topic in metadata.topics() {
        if inputs.contains(&topic.name()) {
            topics.push(topic);
        } else if internal(topic.name()) {
            repartitions.push(topic);
        }
    }
    topics.append(&mut repartitions);
    for topic in topics {
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_range(topic.name(), 0, topic.partitions().len() as i32 - 1);
        let committed = group.committed_offsets(partitions, BROKER_LIMIT)?;
        for element in committed.elements() {
            let (_, end) = group.fetch_watermarks(topic.name(), element.partition(), BROKER_LIMIT)?;
            let reached = matches!(element.offset(), Offset::Offset(offset) if offset >= end);
            if end > 0 && !reached {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn consumer(bootstrap: &str) -> Result<BaseConsumer> {
    let consumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        // librdkafka wants a group's name even of a consumer that joins none.
        .set("group.id", "examples-reader")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "50")
        .create()?;
    Ok(consumer)
}

/// Returns the number of partitions.
fn assign_from_beginning(consumer: &BaseConsumer, topic: &str) -> Result<usize> {
    let metadata = consumer.fetch_metadata(Some(topic), BROKER_LIMIT)?;
    let partitions = metadata.topics().first().map_or(0, |found| found.partitions().len());
    if partitions == 0 {
        return Err(format!("there is no topic `{topic}`").into());
    }
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition as i32, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    Ok(partitions)
}
