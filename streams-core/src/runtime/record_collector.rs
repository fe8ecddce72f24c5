//! From a task's outputs to the producer.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode;
use tokio::time::Instant;

use crate::client::wire::WireClient;
use crate::client::{ClientError, DataProducer, Enqueued, ProducerTopic, batch_bytes, is_refused_record};
use crate::error::Error;
use crate::membership::Lease;
use crate::processor::{
    DeadLetter, FailedDelivery, Output, OutputView, PartitionCounts, ProductionPolicy, RecordArena, Respond,
    partition_for_key,
};
use crate::record::{Headers, TopicPartition};
use crate::task::{TaskName, dead_letter_headers};
use crate::time::Timestamp;
use crate::topology::TaskId;

/// A full producer's queue and a topic that does not exist are waited for; this long between two looks.
const TOPIC_RETRY: Duration = Duration::from_millis(100);

/// The config of a topic that bounds its batches.
const MAX_MESSAGE_BYTES: &str = "max.message.bytes";

/// After so many records the lease is looked at: those handed over since a stop of the process still wait in the producer then.
const RECORDS_PER_LEASE_CHECK: usize = 32;
/// Records are handed over within this time after a look at the lease.
const LEASE_SLACK: Duration = Duration::from_millis(100);
/// Between two looks at a lease that is about to end.
const LEASE_RETRY: Duration = Duration::from_millis(5);

/// Hands the records of one task to its worker's producer: chooses partitions, waits while the producer's queue is
/// full.
#[derive(Debug)]
pub(super) struct RecordCollector {
    task: TaskName,
    // What to do with records that the producer refuses.
    policy: ProductionPolicy,
    refused: u64,
    producer: Arc<DataProducer>,
    wire: WireClient,
    partition_counts: PartitionCounts,
    patience: Duration,
    // At-least-once: the right to send, and how long a record may wait in the producer.
    lease: Option<(Lease, Duration)>,
    // By the task's own numbers of topics.
    targets: Vec<Target>,
    changelogs: Vec<(Arc<str>, ProducerTopic)>,
    // Records without a key go to one partition per batch, and the next batch to the next one.
    keyless: i32,
}

#[derive(Debug)]
struct Target {
    topic: ProducerTopic,
    partitions: i32,
    // The topic's `max.message.bytes`, where a policy passes records over: the broker refuses whole batches, so that those within
    // would have to go with the one that is too large.
    record_bytes_max: Option<usize>,
}

impl Target {
    /// Hands a record over, unless the broker would refuse it for its size.
    fn send(&self, partition: i32, view: &OutputView<'_>) -> Result<Enqueued, ClientError> {
        let (at, headers) = (view.record.timestamp, &view.record.headers);
        if let Some(max) = self.record_bytes_max {
            let size = batch_bytes(view.key, view.value, headers);
            if size > max {
                let partition = TopicPartition::new(Arc::clone(view.topic), partition);
                return Err(ClientError::Refused {
                    partition,
                    size,
                    code: RDKafkaErrorCode::MessageSizeTooLarge,
                });
            }
        }
        self.topic.send(partition, at, view.key, view.value, headers)
    }
}

impl RecordCollector {
    pub(super) fn new(
        producer: Arc<DataProducer>,
        wire: WireClient,
        partition_counts: PartitionCounts,
        patience: Duration,
        (task, policy): (Option<TaskId>, ProductionPolicy),
    ) -> Self {
        RecordCollector {
            task: TaskName(task),
            policy,
            refused: 0,
            producer,
            wire,
            partition_counts,
            patience,
            lease: None,
            targets: Vec::new(),
            changelogs: Vec::new(),
            keyless: 0,
        }
    }

    /// The same, but it hands records over only while the lease lasts for longer than they may wait in the producer.
    pub(super) fn leased(mut self, lease: Lease, delivery_limit: Duration) -> Self {
        self.lease = Some((lease, delivery_limit));
        self
    }

    /// Whether records may be handed over now.
    pub(super) fn may_send(&self) -> bool {
        self.lease.as_ref().is_none_or(|(lease, limit)| lease.covers(*limit + LEASE_SLACK))
    }

    /// Waits until records may be handed over. `since_last_look` says that some were since the last call: if the process has stood
    /// still meanwhile, they come too late and are dropped.
    async fn await_lease(&self, since_last_look: bool) -> Result<(), Error> {
        let Some((lease, limit)) = self.lease.as_ref().filter(|_| !self.may_send()) else { return Ok(()) };
        if since_last_look && !lease.covers(*limit) {
            self.producer.purge();
            return Err(Error::SessionOver);
        }
        let until = Instant::now() + *limit;
        while !self.may_send() {
            if lease.is_lost() || Instant::now() > until {
                return Err(Error::SessionOver);
            }
            tokio::time::sleep(LEASE_RETRY).await;
        }
        Ok(())
    }

    /// Whether a record that was handed over before has failed.
    pub(super) fn check(&self) -> Result<(), Error> {
        Ok(self.producer.check()?)
    }

    /// Hands all records over, in their order, and empties the output. What is here is copied into librdkafka's queue
    /// record by record; there is no lock of ours and no hop on the way.
    pub(super) async fn send(&mut self, output: &mut Output) -> Result<(), Error> {
        if output.is_empty() {
            return Ok(());
        }
        while self.targets.len() < output.topics().len() {
            let name = Arc::clone(&output.topics()[self.targets.len()]);
            let target = self.target(&name).await?;
            self.targets.push(target);
        }
        self.keyless = self.keyless.wrapping_add(1) & i32::MAX;
        let mut letters = Vec::new();
        for (number, view) in output.iter().enumerate() {
            if number.is_multiple_of(RECORDS_PER_LEASE_CHECK) {
                self.await_lease(number > 0).await?;
            }
            let target = &self.targets[view.record.topic as usize];
            let partition = match (view.record.partition, view.partition_key) {
                (Some(partition), _) => partition,
                (None, Some(key)) => partition_for_key(key, target.partitions),
                (None, None) => self.keyless % target.partitions,
            };
            let (at, headers) = (view.record.timestamp, &view.record.headers);
            match target.send(partition, &view) {
                Ok(Enqueued::Taken) => {}
                Ok(Enqueued::Full) => {
                    self.wait_and_send(&target.topic, partition, at, view.key, view.value, headers).await?;
                }
                Err(fault) => {
                    let letter = self.judge(fault, &view, partition)?;
                    letters.extend(letter.map(|letter| (letter, Refused::copy(&view))));
                }
            }
        }
        output.clear();
        for (letter, record) in letters {
            self.send_dead_letter(letter, record).await?;
        }
        Ok(())
    }

    /// How many records were refused and passed over.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// Decides about a record that the producer refuses: it ends the task, is passed over, or goes to another topic.
    fn judge(
        &mut self,
        fault: ClientError,
        view: &OutputView<'_>,
        partition: i32,
    ) -> Result<Option<DeadLetter>, Error> {
        if !matches!(fault, ClientError::Refused { code, .. } if is_refused_record(code)) {
            return Err(fault.into());
        }
        let response = self.policy.respond(&FailedDelivery {
            topic: view.topic,
            partition: Some(partition),
            key: view.key,
            value: view.value,
            unserialized: None,
            error: &fault,
            record: None,
            attempt: 0,
        });
        let to = match response {
            Respond::Continue => None,
            Respond::DeadLetter(to) => Some(to).filter(|to| to != view.topic),
            Respond::Fail | Respond::Retry => return Err(fault.into()),
        };
        tracing::warn!(task = %self.task, %fault, "a record is passed over");
        self.refused += 1;
        let (exception, message) = ("ProductionError", fault.to_string());
        Ok(to.map(|topic| DeadLetter { topic, exception, message, node: None }))
    }

    async fn send_dead_letter(&mut self, letter: DeadLetter, mut record: Refused) -> Result<(), Error> {
        let target = self.target(&letter.topic).await?;
        dead_letter_headers(&mut record.headers, &letter, Some(self.task), None);
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let partition = key.map_or(0, |key| partition_for_key(key, target.partitions));
        let Refused { timestamp, headers, .. } = &record;
        match target.topic.send(partition, *timestamp, key, value, headers) {
            Ok(Enqueued::Taken) => Ok(()),
            Ok(Enqueued::Full) => {
                self.wait_and_send(&target.topic, partition, *timestamp, key, value, headers).await
            }
            // What was too large for its own topic is too large for this one: its key and headers say what it was.
            Err(_) => {
                let _ = target.topic.send(partition, *timestamp, key, None, headers)?;
                Ok(())
            }
        }
    }

    /// Hands changelog records over and empties the arena.
    pub(super) async fn send_changelog(
        &mut self,
        changelog: &TopicPartition,
        records: &mut RecordArena,
    ) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        let known = self.changelogs.iter().position(|(topic, _)| *topic == changelog.topic);
        let index = match known {
            Some(index) => index,
            None => {
                let topic = self.producer.topic(&changelog.topic)?;
                self.changelogs.push((Arc::clone(&changelog.topic), topic));
                self.changelogs.len() - 1
            }
        };
        let topic = &self.changelogs[index].1;
        for (number, (key, value, record)) in records.iter().enumerate() {
            if number.is_multiple_of(RECORDS_PER_LEASE_CHECK) {
                self.await_lease(number > 0).await?;
            }
            let at = record.timestamp.unwrap_or(Timestamp::UNKNOWN);
            if topic.send(changelog.partition, at, key, value, &record.headers)? == Enqueued::Full {
                self.wait_and_send(topic, changelog.partition, at, key, value, &record.headers).await?;
            }
        }
        records.clear();
        Ok(())
    }

    async fn wait_and_send(
        &self,
        topic: &ProducerTopic,
        partition: i32,
        at: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &Headers,
    ) -> Result<(), Error> {
        let until = Instant::now() + self.patience;
        loop {
            self.producer.check()?;
            self.producer.room().await;
            self.await_lease(true).await?;
            if topic.send(partition, at, key, value, headers)? == Enqueued::Taken {
                return Ok(());
            }
            if Instant::now() > until {
                let timeout_ms = self.patience.as_millis() as u64;
                return Err(
                    ClientError::FlushTimeout { records: self.producer.in_flight(), timeout_ms }.into()
                );
            }
        }
    }

    async fn target(&self, name: &Arc<str>) -> Result<Target, Error> {
        let topic = self.producer.topic(name)?;
        let until = Instant::now() + self.patience;
        loop {
            if let Some(partitions) = self.partition_counts.get(name) {
                let record_bytes_max = self.record_bytes_max(name).await;
                return Ok(Target { topic, partitions, record_bytes_max });
            }
            let cluster = self.wire.metadata(Some(&[&**name])).await?;
            match cluster.partition_count(name).filter(|count| *count > 0) {
                Some(partitions) => self.partition_counts.set(Arc::clone(name), partitions),
                None if Instant::now() > until => {
                    return Err(Error::SinkTopicMissing { topic: name.to_string(), waited: self.patience });
                }
                None => tokio::time::sleep(TOPIC_RETRY).await,
            }
        }
    }

    async fn record_bytes_max(&self, topic: &str) -> Option<usize> {
        if !self.policy.may_pass_over() || self.producer.compresses() {
            return None;
        }
        let described = self.wire.describe_topic_configs(&[topic]).await;
        if let Err(fault) = &described {
            tracing::debug!(topic, %fault, "the size of records that the topic takes is not known");
        }
        described.ok()?.get(topic)?.get(MAX_MESSAGE_BYTES)?.value.as_deref()?.parse().ok()
    }
}

/// A record that the producer refused.
#[derive(Debug)]
struct Refused {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    timestamp: Timestamp,
    headers: Headers,
}

impl Refused {
    fn copy(view: &OutputView<'_>) -> Self {
        Refused {
            key: view.key.map(<[u8]>::to_vec),
            value: view.value.map(<[u8]>::to_vec),
            timestamp: view.record.timestamp,
            headers: view.record.headers.clone(),
        }
    }
}
