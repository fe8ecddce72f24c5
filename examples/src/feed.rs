//! Records into topics.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, Message};

use crate::Result;

/// How long a record may take to the broker: one that cannot store it, as its disk is full, says so in each answer.
const DELIVERY_LIMIT_MS: &str = "15000";
const FLUSH_LIMIT: Duration = Duration::from_secs(60);
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// A producer that shares records out by the hash of their key, as Kafka's own does.
pub struct Feed {
    producer: ThreadedProducer<Deliveries>,
}

/// Keeps the first record that did not get through.
#[derive(Debug, Default)]
struct Deliveries(Mutex<Option<String>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, (): ()) {
        if let Err((error, record)) = delivered {
            let failure = format!(
                "a record for topic {} was not delivered within {DELIVERY_LIMIT_MS} ms: {error}; is the broker reachable, and \
                 is there room on its disk?",
                record.topic()
            );
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        }
    }
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
            .set("message.timeout.ms", DELIVERY_LIMIT_MS)
            .create_with_context(Deliveries::default())?;
        Ok(Self { producer })
    }

    /// Queues a record, with its event time in milliseconds where it has one (librdkafka takes 0 for none); waits while the
    /// queue is full.
    ///
    /// # Errors
    /// When librdkafka refuses the record, or one before was not delivered.
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
            self.check()?;
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
    /// When that takes more than a minute, or a record was not delivered.
    pub fn flush(&self) -> Result<()> {
        self.producer.flush(FLUSH_LIMIT)?;
        self.check()
    }

    fn check(&self) -> Result<()> {
        let failure = self.producer.context().0.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().map_or(Ok(()), |failure| Err(failure.clone().into()))
    }
}
