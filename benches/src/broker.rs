//! What the benchmark asks of a broker beside records: topics, their ends, and how far a group is.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, TopicPartitionList};

use crate::Error;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to a broker for questions about topics.
pub struct Broker {
    admin: AdminClient<DefaultClientContext>,
    consumer: BaseConsumer,
    config: ClientConfig,
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
        Ok(Self { admin: config.create()?, consumer: config.create()?, config })
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

    /// The sum of a group's committed offsets over all partitions of some topics.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn committed(&self, group: &str, topics: &[&str]) -> Result<i64, Error> {
        let consumer: BaseConsumer = self.config.clone().set("group.id", group).create()?;
        let mut asked = TopicPartitionList::new();
        for topic in topics {
            let partitions = self.topics()?.get(*topic).copied().unwrap_or(0);
            asked.add_partition_range(topic, 0, partitions - 1);
        }
        let answers = consumer.committed_offsets(asked, TIMEOUT)?;
        Ok(answers.elements().iter().filter_map(|it| it.offset().to_raw()).filter(|it| *it > 0).sum())
    }

    /// How many members a group has.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn members(&self, group: &str) -> Result<usize, Error> {
        let groups = self.consumer.fetch_group_list(Some(group), TIMEOUT)?;
        Ok(groups.groups().iter().map(|group| group.members().len()).sum())
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT))
}
