//! Reading topic configs, and setting one.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use kafka_protocol::protocol::StrBytes;

use super::client::WireClient;
use super::error::WireError;

/// `ConfigResource.Type.TOPIC`.
const TOPIC_RESOURCE: i8 = 2;
/// `ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG`: set on the topic itself.
const SET_ON_TOPIC: i8 = 1;

/// One config of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Value; `None` if the broker keeps it secret.
    pub value: Option<String>,
    /// Whether it was set on the topic itself and is not the broker's default.
    pub set_on_topic: bool,
}

/// `AlterConfigOp.OpType.SET`.
const SET: i8 = 0;

impl WireClient {
    /// Sets one config of a topic, and leaves its others as they are.
    ///
    /// # Errors
    /// When there is no such topic or config, the right to alter it is missing, or no broker answers within
    /// `api_timeout`.
    pub async fn alter_topic_config(&self, topic: &str, name: &str, value: &str) -> Result<(), WireError> {
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let config = AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(SET)
            .with_value(Some(text(value)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(text(topic))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        self.retrying(|| async {
            let broker = self.any_broker().await?;
            let answer = broker.request(&request).await?;
            for result in answer.responses {
                if let Some(code) = ResponseError::try_from_code(result.error_code) {
                    let subject = format!("topic {topic}");
                    let message = result.error_message.as_deref();
                    return Err(broker.refused::<IncrementalAlterConfigsRequest>(&subject, code, message));
                }
            }
            Ok(())
        })
        .await
    }

    /// The configs in force for each of `topics`, by topic and Kafka's config name.
    ///
    /// # Errors
    /// When a topic does not exist or cannot be read, or no broker answers within `api_timeout`.
    pub async fn describe_topic_configs(
        &self,
        topics: &[&str],
    ) -> Result<BTreeMap<String, BTreeMap<String, ConfigEntry>>, WireError> {
        let resource = |topic: &&str| {
            DescribeConfigsResource::default()
                .with_resource_type(TOPIC_RESOURCE)
                .with_resource_name(StrBytes::from_string((*topic).to_owned()))
                .with_configuration_keys(None)
        };
        let request = DescribeConfigsRequest::default().with_resources(topics.iter().map(resource).collect());
        self.retrying(|| async {
            let broker = self.any_broker().await?;
            let answer = broker.request(&request).await?;
            let mut described = BTreeMap::new();
            for result in answer.results {
                let topic = result.resource_name.to_string();
                if let Some(code) = ResponseError::try_from_code(result.error_code) {
                    let subject = format!("topic {topic}");
                    let message = result.error_message.as_deref();
                    return Err(broker.refused::<DescribeConfigsRequest>(&subject, code, message));
                }
                let entries = result.configs.into_iter().map(|config| {
                    let value = config.value.map(|value| value.to_string());
                    let entry = ConfigEntry { value, set_on_topic: config.config_source == SET_ON_TOPIC };
                    (config.name.to_string(), entry)
                });
                described.insert(topic, entries.collect());
            }
            Ok(described)
        })
        .await
    }
}
