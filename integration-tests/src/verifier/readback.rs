//! Reads topics whole, as a consumer of committed records sees them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use streams_dsl::TopicPartition;
use streams_dsl::client::wire::{Isolation, NewTopic, OffsetSpec, WireClient, WireConfig};
use streams_dsl::client::{
    ClientProperties, DataConsumer, FetchAssignment, FetchEvent, FetchFrom, FetchedMessage,
};
use tokio::sync::mpsc;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const BUFFER_BYTES: usize = 16 << 20;
/// Longest wait for a record that is there.
const READ_LIMIT: Duration = Duration::from_secs(60);
const CATCH_UP_PAUSE: Duration = Duration::from_millis(200);

/// Looks at topics and offsets of a broker.
#[derive(Debug)]
pub(super) struct Reader {
    wire: WireClient,
    bootstrap: String,
}

impl Reader {
    pub(super) fn new(bootstrap: &str) -> Self {
        Reader { wire: WireClient::new(WireConfig::new(bootstrap)), bootstrap: bootstrap.to_owned() }
    }

    /// Creates topics.
    pub(super) async fn create_topics(&self, topics: &[NewTopic]) -> Outcome<()> {
        for (topic, created) in self.wire.create_topics(topics, false).await? {
            created.map_err(|fault| format!("{topic}: {fault}"))?;
        }
        Ok(())
    }

    /// The broker's address.
    pub(super) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Hands each record of a topic to `each`, with its partition, in the order of each partition; control records and what was
    /// not committed are left out.
    pub(super) async fn read(&self, topic: &str, mut each: impl FnMut(i32, &FetchedMessage)) -> Outcome<()> {
        let partitions = self.partitions(topic).await?;
        let ends = self.wire.list_offsets(&partitions, OffsetSpec::Latest, Isolation::ReadCommitted).await?;
        let properties = ClientProperties::new(&self.bootstrap, "verifier-reader")
            .with("isolation.level", "read_committed");
        let consumer = DataConsumer::start(&properties, "verifier-reader", BUFFER_BYTES)?;
        let (sender, mut events) = mpsc::unbounded_channel();
        let assignments = partitions.iter().map(|partition| {
            let (sender, number) = (sender.clone(), partition.partition);
            let sink = Box::new(move |event| drop(sender.send((number, event))));
            FetchAssignment { partition: partition.clone(), from: FetchFrom::Beginning, sink }
        });
        consumer.assign(assignments.collect()).await?;
        let mut open: BTreeMap<i32, i64> =
            ends.iter().map(|(partition, end)| (partition.partition, end.offset)).collect();
        open.retain(|_, end| *end > 0);
        while !open.is_empty() {
            let event = tokio::time::timeout(READ_LIMIT, events.recv()).await;
            let Some((partition, event)) = event.map_err(|_| format!("{topic} could not be read"))? else {
                return Err("the reader ended".into());
            };
            match event {
                FetchEvent::Records(batch) => {
                    batch.records.iter().for_each(|record| each(partition, record));
                }
                FetchEvent::End { offset } => {
                    open.retain(|number, end| *number != partition || *end > offset);
                }
                FetchEvent::Fault(fault) => return Err(fault.into()),
            }
        }
        Ok(())
    }

    /// Waits until the group has committed all of the input and of its repartition topics; after `limit` it answers what is left.
    pub(super) async fn until_caught_up(
        &self,
        group: &str,
        input: &str,
        limit: Duration,
    ) -> Outcome<Vec<String>> {
        let begun = Instant::now();
        loop {
            // Brokers may still be coming back.
            let left = self.backlog(group, input).await;
            match left {
                Ok(left) if left.is_empty() || begun.elapsed() > limit => return Ok(left),
                Err(error) if begun.elapsed() > limit => return Err(error),
                Ok(_) | Err(_) => tokio::time::sleep(CATCH_UP_PAUSE).await,
            }
        }
    }

    /// The partitions that the group has not committed to their ends.
    async fn backlog(&self, group: &str, input: &str) -> Outcome<Vec<String>> {
        let cluster = self.wire.metadata(None).await?;
        let internal = |name: &&String| name.starts_with(group) && name.ends_with("-repartition");
        // The input first: what a repartition topic still gets comes from it.
        let topics = std::iter::once(input.to_owned()).chain(cluster.topics.keys().filter(internal).cloned());
        let mut left = Vec::new();
        for topic in topics {
            let partitions = self.partitions(&topic).await?;
            let committed = self.wire.fetch_committed(group, &partitions, true).await?;
            let ends =
                self.wire.list_offsets(&partitions, OffsetSpec::Latest, Isolation::ReadCommitted).await?;
            for (partition, end) in ends {
                let reached = committed.get(&partition).map_or(0, |committed| committed.offset);
                if reached < end.offset {
                    left.push(format!("{partition}: {reached} of {} committed", end.offset));
                }
            }
        }
        Ok(left)
    }

    async fn partitions(&self, topic: &str) -> Outcome<Vec<TopicPartition>> {
        let cluster = self.wire.metadata(Some(&[topic])).await?;
        let count = cluster.partition_count(topic).ok_or_else(|| format!("there is no topic {topic}"))?;
        let name: Arc<str> = topic.into();
        Ok((0..count).map(|partition| TopicPartition::new(Arc::clone(&name), partition)).collect())
    }
}
