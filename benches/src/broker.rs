//! What the benchmark asks of a broker beside records: topics and their ends.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::Error;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to a broker for questions about topics.
pub struct Broker {
    admin: AdminClient<DefaultClientContext>,
    consumer: BaseConsumer,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").finish_non_exhaustive()
    }
}

impl Broker {
    /// Connects to `bootstrap`, host:port.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn connect(bootstrap: &str) -> Result<Self, Error> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap);
        Ok(Self { admin: config.create()?, consumer: config.create()? })
    }

    /// The topics that exist, with their numbers of partitions.
    ///
    /// # Errors
    /// When the broker does not answer within 30 seconds.
    pub fn topics(&self) -> Result<BTreeMap<String, i32>, Error> {
        let metadata = self.consumer.fetch_metadata(None, TIMEOUT)?;
        let sizes =
            metadata.topics().iter().map(|topic| (topic.name().to_owned(), topic.partitions().len() as i32));
        Ok(sizes.collect())
    }

    /// Creates topics that keep their records for ever.
    ///
    /// # Errors
    /// When the broker refuses one of them.
    pub async fn create(&self, topics: &[&str], partitions: i32) -> Result<(), Error> {
        let new = topics.iter().map(|name| {
            NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1")
        });
        let answers = self.admin.create_topics(&new.collect::<Vec<_>>(), &options()).await?;
        answers.into_iter().try_for_each(|answer| {
            answer.map(drop).map_err(|(topic, code)| Error::Topic { topic, code, doing: "created" })
        })
    }

    /// Deletes topics.
    ///
    /// # Errors
    /// When the broker refuses for one of them.
    pub async fn delete(&self, topics: &[&str]) -> Result<(), Error> {
        let answers = self.admin.delete_topics(topics, &options()).await?;
        answers.into_iter().try_for_each(|answer| {
            answer.map(drop).map_err(|(topic, code)| Error::Topic { topic, code, doing: "deleted" })
        })
    }

    /// The end offset of each partition of a topic.
    ///
    /// # Errors
    /// When the topic is not there or the broker does not answer.
    pub fn ends(&self, topic: &str) -> Result<Vec<i64>, Error> {
        let partitions = self.topics()?.get(topic).copied().unwrap_or(0);
        if partitions == 0 {
            return Err(Error::NoInput { topic: topic.to_owned() });
        }
        (0..partitions).map(|it| Ok(self.consumer.fetch_watermarks(topic, it, TIMEOUT)?.1)).collect()
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT))
}
