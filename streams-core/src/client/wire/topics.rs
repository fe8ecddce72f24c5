//! Creating topics and adding partitions.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::{CreatePartitionsRequest, CreateTopicsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::client::WireClient;
use super::connection::Connection;
use super::error::WireError;

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Name.
    pub name: String,
    /// Number of partitions; -1 leaves it to the broker.
    pub partitions: i32,
    /// Replicas of each partition; -1 leaves it to the broker.
    pub replication_factor: i16,
    /// Topic configs by Kafka's names, such as `cleanup.policy`.
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic with `partitions` partitions, the broker's replication factor and no configs of its own.
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self { name: name.into(), partitions, replication_factor: -1, configs: BTreeMap::new() }
    }

    /// Sets one config.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(name.into(), value.into());
        self
    }

    /// Sets the number of replicas.
    #[must_use]
    pub fn replication_factor(mut self, replicas: i16) -> Self {
        self.replication_factor = replicas;
        self
    }

    fn to_wire(&self) -> CreatableTopic {
        let text = |text: &String| StrBytes::from_string(text.clone());
        let config = |(name, value): (&String, &String)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
        };
        CreatableTopic::default()
            .with_name(TopicName(text(&self.name)))
            .with_num_partitions(self.partitions)
            .with_replication_factor(self.replication_factor)
            .with_configs(self.configs.iter().map(config).collect())
    }
}

/// What became of each topic of a request, by name.
pub type TopicResults = BTreeMap<String, Result<(), WireError>>;

impl WireClient {
    /// Creates `topics` through the controller; with `validate_only` it only checks that it could.
    ///
    /// Each topic has its own outcome: [`ResponseError::TopicAlreadyExists`] is left to the caller to judge, and is also
    /// what a retry meets after a first try whose answer was lost.
    ///
    /// # Errors
    /// When no controller answers within `api_timeout`.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<TopicResults, WireError> {
        let request = CreateTopicsRequest::default()
            .with_topics(topics.iter().map(NewTopic::to_wire).collect())
            .with_timeout_ms(self.broker_timeout_ms())
            .with_validate_only(validate_only);
        self.retrying(|| async {
            let controller = self.controller().await?;
            let answer = controller.request(&request).await?;
            let outcome = answer.topics.iter().map(|topic| {
                let name = topic.name.to_string();
                let result = judge::<CreateTopicsRequest>(
                    &controller,
                    &name,
                    topic.error_code,
                    topic.error_message.as_deref(),
                );
                (name, result)
            });
            settled(outcome.collect())
        })
        .await
    }

    /// Raises the number of partitions of each `(topic, total)` through the controller.
    ///
    /// # Errors
    /// When no controller answers within `api_timeout`.
    pub async fn create_partitions(&self, totals: &[(&str, i32)]) -> Result<TopicResults, WireError> {
        let topic = |(name, total): &(&str, i32)| {
            let name = TopicName(StrBytes::from_string((*name).to_owned()));
            CreatePartitionsTopic::default().with_name(name).with_count(*total).with_assignments(None)
        };
        let request = CreatePartitionsRequest::default()
            .with_topics(totals.iter().map(topic).collect())
            .with_timeout_ms(self.broker_timeout_ms());
        self.retrying(|| async {
            let controller = self.controller().await?;
            let answer = controller.request(&request).await?;
            let outcome = answer.results.iter().map(|topic| {
                let name = topic.name.to_string();
                let result = judge::<CreatePartitionsRequest>(
                    &controller,
                    &name,
                    topic.error_code,
                    topic.error_message.as_deref(),
                );
                (name, result)
            });
            settled(outcome.collect())
        })
        .await
    }

    /// How long the broker may take itself, in milliseconds: a little less than we wait for it.
    pub(super) fn broker_timeout_ms(&self) -> i32 {
        i32::try_from(self.config().request_timeout.mul_f64(0.9).as_millis()).unwrap_or(i32::MAX)
    }
}

fn judge<R: kafka_protocol::protocol::Request>(
    broker: &Connection,
    topic: &str,
    code: i16,
    message: Option<&str>,
) -> Result<(), WireError> {
    match ResponseError::try_from_code(code) {
        None => Ok(()),
        Some(code) => Err(broker.refused::<R>(&format!("topic {topic}"), code, message)),
    }
}

/// The results, unless the request went to the wrong broker: then that error, so that it is sent again.
fn settled(results: TopicResults) -> Result<TopicResults, WireError> {
    let misrouted = |result: &&Result<(), WireError>| result.as_ref().is_err_and(WireError::is_misrouted);
    match results.values().find(misrouted) {
        Some(Err(error)) => Err(error.clone()),
        _ => Ok(results),
    }
}
