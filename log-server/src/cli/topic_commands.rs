//! `log-server topics`.

use std::process::ExitCode;

use clap::Subcommand;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    IncrementalAlterConfigsRequest, ListOffsetsRequest, MetadataRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use log_server::Error;

use super::remote::{Remote, Target, outcome_of};
use super::table;

/// The kind of resource that a topic is, in requests about configurations.
const TOPIC_RESOURCE: i8 = 2;
/// The source of a configuration that was set for the topic itself.
const SET_FOR_TOPIC: i8 = 1;
/// Asks for the first offset; see [`LATEST`].
const EARLIEST: i64 = -2;
/// Asks for the offset after the last record.
const LATEST: i64 = -1;
/// How long the server may take for a change.
const CHANGE_TIMEOUT_MS: i32 = 30_000;

/// What can be done with topics.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// List the topics.
    List {
        #[command(flatten)]
        target: Target,
        /// Show those that belong to the server as well.
        #[arg(long)]
        internal: bool,
    },
    /// Show a topic's partitions with their offsets, and what is configured for it.
    Describe {
        topic: String,
        #[command(flatten)]
        target: Target,
    },
    /// Create a topic.
    Create {
        topic: String,
        #[command(flatten)]
        target: Target,
        /// How many partitions; the server's default if it is not said.
        #[arg(long, short, default_value_t = -1, hide_default_value = true)]
        partitions: i32,
        /// A configuration, for example `retention.ms=604800000`; may be repeated.
        #[arg(long, value_name = "NAME=VALUE")]
        config: Vec<String>,
    },
    /// Change a topic: more partitions, other configurations.
    Alter {
        topic: String,
        #[command(flatten)]
        target: Target,
        /// How many partitions it is to have; there cannot become fewer.
        #[arg(long, short)]
        partitions: Option<i32>,
        /// A configuration to set; without `=VALUE` it gets its default back. May be repeated.
        #[arg(long, value_name = "NAME[=VALUE]")]
        config: Vec<String>,
    },
    /// Delete a topic with all its records.
    Delete {
        topic: String,
        #[command(flatten)]
        target: Target,
    },
}

impl TopicCommand {
    /// Does it.
    ///
    /// # Errors
    /// [`Error::Remote`] if the server is not there or refuses.
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        match self {
            TopicCommand::List { target, internal } => list(&mut target.connect()?, internal)?,
            TopicCommand::Describe { topic, target } => describe(&mut target.connect()?, &topic)?,
            TopicCommand::Create { topic, target, partitions, config } => {
                create(&mut target.connect()?, &topic, partitions, &config)?;
            }
            TopicCommand::Alter { topic, target, partitions, config } => {
                let mut remote = target.connect()?;
                if !config.is_empty() {
                    configure(&mut remote, &topic, &config)?;
                }
                if let Some(partitions) = partitions {
                    grow(&mut remote, &topic, partitions)?;
                }
            }
            TopicCommand::Delete { topic, target } => delete(&mut target.connect()?, &topic)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The topics of that name, or all.
fn metadata(remote: &mut Remote, topic: Option<&str>) -> Result<Vec<MetadataResponseTopic>, Error> {
    let named = topic.map(|topic| vec![MetadataRequestTopic::default().with_name(Some(name(topic)))]);
    let request = MetadataRequest::default().with_topics(named).with_allow_auto_topic_creation(false);
    let topics = remote.call(&request, 9)?.topics;
    for topic in &topics {
        remote.check(outcome_of(&format!("topic {}", text(&topic.name)), topic.error_code, None))?;
    }
    Ok(topics)
}

fn list(remote: &mut Remote, internal: bool) -> Result<(), Error> {
    let topics = metadata(remote, None)?;
    let shown = topics.iter().filter(|topic| internal || !topic.is_internal);
    let row = |topic: &MetadataResponseTopic| [text(&topic.name), topic.partitions.len().to_string()];
    table::print(["TOPIC", "PARTITIONS"], &shown.map(row).collect::<Vec<_>>());
    Ok(())
}

fn text(name: &Option<TopicName>) -> String {
    name.as_ref().map(|name| name.to_string()).unwrap_or_default()
}

fn describe(remote: &mut Remote, topic: &str) -> Result<(), Error> {
    let described = metadata(remote, Some(topic))?;
    let partitions: Vec<i32> = described
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|partition| partition.partition_index)
        .collect();
    let starts = offsets(remote, topic, &partitions, EARLIEST)?;
    let ends = offsets(remote, topic, &partitions, LATEST)?;
    let rows: Vec<_> = partitions
        .iter()
        .zip(starts.iter().zip(&ends))
        .map(|(partition, (start, end))| {
            [partition.to_string(), start.to_string(), end.to_string(), (end - start).to_string()]
        })
        .collect();
    table::print(["PARTITION", "START", "END", "RECORDS"], &rows);
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(StrBytes::from_string(topic.to_owned()))
        .with_configuration_keys(None);
    let response = remote.call(&DescribeConfigsRequest::default().with_resources(vec![resource]), 4)?;
    for result in response.results {
        remote.check(outcome_of(
            &format!("topic {topic}"),
            result.error_code,
            result.error_message.as_deref(),
        ))?;
        for config in result.configs.iter().filter(|config| config.config_source == SET_FOR_TOPIC) {
            println!("{}={}", config.name, config.value.as_deref().unwrap_or_default());
        }
    }
    Ok(())
}

/// The first or last offsets of partitions, in their order.
pub(super) fn offsets(
    remote: &mut Remote,
    topic: &str,
    partitions: &[i32],
    time: i64,
) -> Result<Vec<i64>, Error> {
    let partition = |index: &i32| {
        ListOffsetsPartition::default()
            .with_partition_index(*index)
            .with_current_leader_epoch(-1)
            .with_timestamp(time)
    };
    let wanted = ListOffsetsTopic::default()
        .with_name(name(topic))
        .with_partitions(partitions.iter().map(partition).collect());
    let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![wanted]);
    let mut found = Vec::with_capacity(partitions.len());
    for partition in remote.call(&request, 7)?.topics.into_iter().flat_map(|topic| topic.partitions) {
        remote.check(outcome_of(
            &format!("{topic}-{}", partition.partition_index),
            partition.error_code,
            None,
        ))?;
        found.push(partition.offset);
    }
    Ok(found)
}

fn create(remote: &mut Remote, topic: &str, partitions: i32, configs: &[String]) -> Result<(), Error> {
    let mut wanted = Vec::new();
    for config in configs {
        let (key, value) =
            config.split_once('=').ok_or_else(|| Error::Config(format!("{config} is not NAME=VALUE")))?;
        let value = Some(StrBytes::from_string(value.to_owned()));
        let key = StrBytes::from_string(key.to_owned());
        wanted.push(CreatableTopicConfig::default().with_name(key).with_value(value));
    }
    let topic = CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(-1)
        .with_configs(wanted);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(CHANGE_TIMEOUT_MS);
    for result in remote.call(&request, 5)?.topics {
        let subject = format!("topic {}", result.name.0);
        remote.check(outcome_of(&subject, result.error_code, result.error_message.as_deref()))?;
        println!("created {} with {} partitions", result.name.0, result.num_partitions);
    }
    Ok(())
}

fn configure(remote: &mut Remote, topic: &str, configs: &[String]) -> Result<(), Error> {
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    let change = |config: &String| {
        let (key, value) =
            config.split_once('=').map_or((config.as_str(), None), |(key, value)| (key, Some(value)));
        AlterableConfig::default()
            .with_name(StrBytes::from_string(key.to_owned()))
            .with_config_operation(if value.is_some() { SET } else { DELETE })
            .with_value(value.map(|value| StrBytes::from_string(value.to_owned())))
    };
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(StrBytes::from_string(topic.to_owned()))
        .with_configs(configs.iter().map(change).collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    for result in remote.call(&request, 1)?.responses {
        remote.check(outcome_of(
            &format!("topic {topic}"),
            result.error_code,
            result.error_message.as_deref(),
        ))?;
    }
    println!("configured {topic}");
    Ok(())
}

fn grow(remote: &mut Remote, topic: &str, partitions: i32) -> Result<(), Error> {
    let wanted =
        CreatePartitionsTopic::default().with_name(name(topic)).with_count(partitions).with_assignments(None);
    let request =
        CreatePartitionsRequest::default().with_topics(vec![wanted]).with_timeout_ms(CHANGE_TIMEOUT_MS);
    for result in remote.call(&request, 3)?.results {
        remote.check(outcome_of(
            &format!("topic {topic}"),
            result.error_code,
            result.error_message.as_deref(),
        ))?;
    }
    println!("{topic} has {partitions} partitions");
    Ok(())
}

fn delete(remote: &mut Remote, topic: &str) -> Result<(), Error> {
    let request =
        DeleteTopicsRequest::default().with_topic_names(vec![name(topic)]).with_timeout_ms(CHANGE_TIMEOUT_MS);
    for result in remote.call(&request, 5)?.responses {
        remote.check(outcome_of(
            &format!("topic {topic}"),
            result.error_code,
            result.error_message.as_deref(),
        ))?;
    }
    println!("deleted {topic}");
    Ok(())
}

/// A topic's name as requests have it.
pub(super) fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}
