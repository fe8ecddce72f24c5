//! Topics with names of their own for each scenario: making, filling and reading them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use streams_dsl::client::wire::{Isolation, NewTopic, OffsetSpec, WireClient, WireConfig};
use streams_dsl::client::{
    ClientProperties, DataConsumer, DataProducer, Enqueued, FetchAssignment, FetchEvent, FetchFrom,
};
use streams_dsl::{FetchedRecord, Headers, Timestamp, TopicPartition};
use tokio::sync::mpsc;

/// Nothing in a scenario may take longer.
const LIMIT: Duration = Duration::from_secs(60);
const READ_BUFFER_BYTES: usize = 8 << 20;

/// The values of a topic by key, in order.
pub type Counts = BTreeMap<String, Vec<Vec<u8>>>;

/// The topics of a scenario.
#[derive(Debug)]
pub struct Topics {
    wire: WireClient,
    properties: ClientProperties,
    prefix: String,
}

/// Everything here panics when the broker refuses: the scenario has failed then.
impl Topics {
    /// Topics whose names begin with `scenario` and the process's number.
    pub fn new(bootstrap: &str, scenario: &str) -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Topics {
            wire: WireClient::new(WireConfig::new(bootstrap)),
            properties: ClientProperties::new(bootstrap, "scenario"),
            prefix: format!("{scenario}-{}", since.as_millis()),
        }
    }

    /// The full name of a topic, or an application id, of this scenario.
    pub fn name(&self, topic: &str) -> String {
        format!("{}-{topic}", self.prefix)
    }

    /// Creates a topic.
    pub async fn create(&self, topic: &str, partitions: i32) {
        self.create_with(topic, partitions, &[]).await;
    }

    /// Creates a topic with these settings.
    pub async fn create_with(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let new = NewTopic::new(self.name(topic), partitions);
        let new = settings.iter().fold(new, |new, (key, value)| new.config(*key, *value));
        let created = self.wire.create_topics(&[new], false).await.expect("a controller answers");
        created.into_values().for_each(|result| result.expect("the topic is created"));
    }

    /// Sends values without keys, in turn to each partition; returns when they are acknowledged.
    pub async fn send(&self, topic: &str, values: impl IntoIterator<Item = String>) {
        let name: Arc<str> = self.name(topic).into();
        let partitions = self.partitions(&name).await;
        let producer = DataProducer::start(&self.properties, None).expect("a producer starts");
        let target = producer.topic(&name).expect("the name is legal");
        for (number, value) in (0i64..).zip(values) {
            let partition = (number % i64::from(partitions)) as i32;
            let at = Timestamp::from_millis(1_000 + number);
            let value = Some(value.as_bytes());
            while target.send(partition, at, None, value, &Headers::new()).expect("it is taken")
                == Enqueued::Full
            {
                producer.room().await;
            }
        }
        producer.flush(LIMIT).await.expect("everything is acknowledged");
    }

    /// Sends one value of any bytes to the first partition.
    pub async fn send_bytes(&self, topic: &str, value: &[u8]) {
        let producer = DataProducer::start(&self.properties, None).expect("a producer starts");
        let target = producer.topic(&self.name(topic).into()).expect("the name is legal");
        let at = Timestamp::from_millis(1_000);
        let sent = target.send(0, at, None, Some(value), &Headers::new()).expect("it is taken");
        assert_eq!(sent, Enqueued::Taken);
        producer.flush(LIMIT).await.expect("it is acknowledged");
    }

    /// All values of a topic by key, in order.
    pub async fn read(&self, topic: &str) -> Counts {
        let name: Arc<str> = self.name(topic).into();
        let partitions: Vec<TopicPartition> = (0..self.partitions(&name).await)
            .map(|partition| TopicPartition::new(Arc::clone(&name), partition))
            .collect();
        let ends = self.wire.list_offsets(&partitions, OffsetSpec::Latest, Isolation::ReadUncommitted).await;
        let mut left = ends.expect("leaders answer").into_values().filter(|end| end.offset > 0).count();
        let properties = self.properties.clone().with("isolation.level", "read_committed");
        let consumer = DataConsumer::start(&properties, "scenario", READ_BUFFER_BYTES).expect("it starts");
        let (sender, mut events) = mpsc::unbounded_channel();
        let assignments = partitions.iter().map(|partition| {
            let sender = sender.clone();
            let sink = Box::new(move |event| drop(sender.send(event)));
            FetchAssignment { partition: partition.clone(), from: FetchFrom::Beginning, sink }
        });
        consumer.assign(assignments.collect()).await.expect("it is assigned");
        let mut records: Counts = BTreeMap::new();
        while left > 0 {
            let event = tokio::time::timeout(LIMIT, events.recv()).await.expect("the topic is read in time");
            match event.expect("the consumer lives") {
                FetchEvent::Records(batch) => {
                    for record in batch.records {
                        let key = String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned();
                        records.entry(key).or_default().push(record.value().unwrap_or_default().to_vec());
                    }
                }
                FetchEvent::End { offset } => left -= usize::from(offset > 0),
                FetchEvent::Fault(fault) => panic!("{fault}"),
            }
        }
        records
    }

    /// Reads a topic again and again until it is as it should be.
    pub async fn read_until(&self, topic: &str, done: impl Fn(&Counts) -> bool) -> Counts {
        let begun = Instant::now();
        loop {
            let records = self.read(topic).await;
            if done(&records) {
                return records;
            }
            assert!(
                begun.elapsed() < LIMIT,
                "topic {topic} never came to be as expected: {}",
                summary(&records)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn partitions(&self, topic: &str) -> i32 {
        let cluster = self.wire.metadata(Some(&[topic])).await.expect("a broker answers");
        cluster.partition_count(topic).expect("the topic exists")
    }
}

fn summary(records: &Counts) -> String {
    let values: usize = records.values().map(Vec::len).sum();
    format!("{} keys, {values} values", records.len())
}
