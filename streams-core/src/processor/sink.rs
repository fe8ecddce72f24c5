//! Sinks: where records leave a topology.

use std::any::Any;
use std::sync::Arc;

use super::error::{ProcessorError, ProcessorErrorKind, RecordPart};
use super::graph::NodeContext;
use super::node::{Node, slot_of};
use super::partitioner::Partitioner;
use crate::record::{Record, RecordContext};
use crate::serdes::{Serde, serialize_nullable};

/// Chooses a topic per record (Kafka's `TopicNameExtractor`): key, value, where the input came from.
pub type TopicChooser<K, V> = dyn Fn(&Record<K, V>, Option<&RecordContext>) -> Arc<str> + Send + Sync;

/// The topic of a sink.
pub enum SinkTopic<K, V> {
    /// Always the same.
    Fixed(Arc<str>),
    /// Chosen for each record; the topics must exist.
    Chosen(Arc<TopicChooser<K, V>>),
}

impl<K, V> Clone for SinkTopic<K, V> {
    fn clone(&self) -> Self {
        match self {
            SinkTopic::Fixed(topic) => SinkTopic::Fixed(Arc::clone(topic)),
            SinkTopic::Chosen(choose) => SinkTopic::Chosen(Arc::clone(choose)),
        }
    }
}

impl<K, V> std::fmt::Debug for SinkTopic<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SinkTopic::Fixed(topic) => write!(f, "Fixed({topic})"),
            SinkTopic::Chosen(_) => f.write_str("Chosen"),
        }
    }
}

/// Serializes records into the task's output.
pub struct SinkNode<K, V> {
    topic: SinkTopic<K, V>,
    number: Option<u32>,
    key_serde: Arc<dyn Serde<K>>,
    value_serde: Arc<dyn Serde<V>>,
    partitioner: Partitioner<K, V>,
}

impl<K, V> SinkNode<K, V> {
    /// A sink.
    pub fn new(
        topic: SinkTopic<K, V>,
        key_serde: Arc<dyn Serde<K>>,
        value_serde: Arc<dyn Serde<V>>,
        partitioner: Partitioner<K, V>,
    ) -> Self {
        SinkNode { topic, number: None, key_serde, value_serde, partitioner }
    }
}

impl<K, V> std::fmt::Debug for SinkNode<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkNode").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl<K: 'static, V: 'static> Node for SinkNode<K, V> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(mut record) = slot_of::<K, V>(slot)?.take() else { return Ok(()) };
        let shared = context.shared();
        let number = match (&self.topic, self.number) {
            (SinkTopic::Fixed(_), Some(number)) => number,
            (SinkTopic::Fixed(topic), None) => *self.number.insert(shared.output.topic(topic)),
            (SinkTopic::Chosen(choose), _) => {
                let topic = choose(&record, shared.record_context());
                shared.output.topic(&topic)
            }
        };
        let (partition, suffix) = match &self.partitioner {
            Partitioner::ByKey { suffix } => (None, *suffix),
            Partitioner::Custom(custom) => {
                let topic = &shared.output.topics()[number as usize];
                (choose_partition(custom.as_ref(), topic, &record, shared.partition_counts.get(topic))?, 0)
            }
        };
        let buffer = shared.output.buffer();
        let start = buffer.len();
        let key = serialize_nullable(&*self.key_serde, &record.key, buffer);
        let middle = buffer.len();
        let written = match key {
            Ok(key) => serialize_nullable(&*self.value_serde, &record.value, buffer)
                .map(|value| (key, value))
                .map_err(|error| (RecordPart::Value, error)),
            Err(error) => Err((RecordPart::Key, error)),
        };
        let end = buffer.len();
        match written {
            Ok((key, value)) => {
                let headers = std::mem::take(&mut record.headers);
                let key = key.then_some(start..middle);
                let value = value.then_some(middle..end);
                shared.output.push(number, partition, key, value, suffix, record.timestamp, headers);
                Ok(())
            }
            Err((part, source)) => {
                buffer.truncate(start);
                let topic = Arc::clone(&shared.output.topics()[number as usize]);
                Err(ProcessorErrorKind::Serialize { topic, part, source }.into())
            }
        }
    }
}

fn choose_partition<K, V>(
    custom: &dyn super::partitioner::StreamPartitioner<K, V>,
    topic: &Arc<str>,
    record: &Record<K, V>,
    partitions: Option<i32>,
) -> Result<Option<i32>, ProcessorError> {
    // A topic that nobody has asked the broker about yet has at least one partition.
    let partitions = partitions.unwrap_or(1);
    match custom.partition(topic, &record.key, &record.value, partitions) {
        Some(partition) if !(0..partitions).contains(&partition) => {
            let topic = Arc::clone(topic);
            Err(ProcessorErrorKind::NoSuchPartition { topic, partition, partitions }.into())
        }
        partition => Ok(partition),
    }
}
