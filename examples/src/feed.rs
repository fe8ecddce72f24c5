//! Records into topics.

use std::thread;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use crate::Result;

const FLUSH_LIMIT: Duration = Duration::from_secs(60);
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// A producer that shares records out by the hash of their key, as Kafka's own does.
pub struct Feed {
    producer: ThreadedProducer<DefaultProducerContext>,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

impl Feed {
    /// A producer to the broker at `bootstrap`.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(bootstrap: &str) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("compression.type", "lz4")
            .set("partitioner", "murmur2_random")
            .create()?;
        Ok(Self { producer })
    }

    /// Queues a record, with its event time in milliseconds where it has one (librdkafka takes 0 for none); waits while the
    /// queue is full.
    ///
    /// # Errors
    /// When librdkafka refuses the record.
    pub fn send(
        &self,
        topic: &str,
        key: Option<&str>,
        value: &[u8],
        timestamp_ms: Option<i64>,
    ) -> Result<()> {
        let mut next = BaseRecord::<str, [u8]>::to(topic).payload(value);
        next.key = key;
        next.timestamp = timestamp_ms;
        loop {
            match self.producer.send(next) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    next = back;
                    thread::sleep(FULL_QUEUE_PAUSE);
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    /// Queues a record whose value is written as JSON.
    ///
    /// # Errors
    /// As [`Feed::send`].
    pub fn send_json(
        &self,
        topic: &str,
        key: Option<&str>,
        value: &impl serde::Serialize,
        timestamp_ms: Option<i64>,
    ) -> Result<()> {
        self.send(topic, key, &serde_json::to_vec(value)?, timestamp_ms)
    }

    /// Waits until the broker has acknowledged everything.
    ///
    /// # Errors
    /// When that takes more than a minute.
    pub fn flush(&self) -> Result<()> {
        Ok(self.producer.flush(FLUSH_LIMIT)?)
    }
}
