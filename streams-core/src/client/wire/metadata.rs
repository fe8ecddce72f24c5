//! What the cluster looks like: brokers, topics, partitions and their leaders.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::client::WireClient;
use super::error::WireError;
use crate::record::TopicPartition;

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    /// `node.id`.
    pub node_id: i32,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: i32,
}

impl BrokerAddress {
    /// `host:port`, IPv6 addresses in brackets.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A snapshot of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterMetadata {
    /// The cluster's id, if it told one.
    pub cluster_id: Option<String>,
    /// Node that creates topics, -1 if unknown.
    pub controller_id: i32,
    /// Live brokers by node id.
    pub brokers: BTreeMap<i32, BrokerAddress>,
    /// The topics asked for that exist, by name.
    pub topics: BTreeMap<String, TopicMetadata>,
    /// The topics asked for that do not exist or cannot be read, with the reason.
    pub missing: BTreeMap<String, ResponseError>,
}

impl ClusterMetadata {
    /// Number of partitions of `topic`, `None` if it does not exist.
    pub fn partition_count(&self, topic: &str) -> Option<i32> {
        self.topics.get(topic).and_then(|topic| i32::try_from(topic.partitions.len()).ok())
    }

    /// The broker that leads a partition, if it has a leader.
    pub fn leader(&self, partition: &TopicPartition) -> Option<&BrokerAddress> {
        let topic = self.topics.get(&*partition.topic)?;
        let leader = topic.partitions.get(&partition.partition)?.leader;
        self.brokers.get(&leader)
    }

    /// The epoch of the broker that leads a partition, -1 where it did not tell.
    pub fn leader_epoch(&self, partition: &TopicPartition) -> Option<i32> {
        Some(self.topics.get(&*partition.topic)?.partitions.get(&partition.partition)?.leader_epoch)
    }

    fn read(answer: MetadataResponse) -> Self {
        let mut cluster = Self {
            cluster_id: answer.cluster_id.map(|id| id.to_string()),
            controller_id: answer.controller_id.0,
            ..Self::default()
        };
        for broker in answer.brokers {
            let node_id = broker.node_id.0;
            let address = BrokerAddress { node_id, host: broker.host.to_string(), port: broker.port };
            cluster.brokers.insert(node_id, address);
        }
        for topic in answer.topics {
            let name = topic.name.map(|name| name.to_string()).unwrap_or_default();
            if let Some(code) = ResponseError::try_from_code(topic.error_code) {
                cluster.missing.insert(name, code);
                continue;
            }
            let partition =
                |partition: &kafka_protocol::messages::metadata_response::MetadataResponsePartition| {
                    let leader = partition.leader_id.0;
                    let replicas = partition.replica_nodes.len();
                    let leader_epoch = partition.leader_epoch;
                    (partition.partition_index, PartitionMetadata { leader, leader_epoch, replicas })
                };
            let partitions = topic.partitions.iter().map(partition).collect();
            cluster.topics.insert(name, TopicMetadata { internal: topic.is_internal, partitions });
        }
        cluster
    }
}

/// One topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Whether it is the broker's own (`__consumer_offsets`).
    pub internal: bool,
    /// Partitions by number.
    pub partitions: BTreeMap<i32, PartitionMetadata>,
}

/// One partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Node id of the leader, -1 if there is none.
    pub leader: i32,
    /// The leader's epoch, -1 if unknown.
    pub leader_epoch: i32,
    /// Number of replicas.
    pub replicas: usize,
}

impl WireClient {
    /// Describes the cluster and `topics` (all topics if `None`, only the brokers if empty). Creates nothing.
    ///
    /// A topic that does not exist is listed in [`missing`](ClusterMetadata::missing); that is not an error.
    ///
    /// # Errors
    /// When no broker answers within `api_timeout`.
    pub async fn metadata(&self, topics: Option<&[&str]>) -> Result<Arc<ClusterMetadata>, WireError> {
        let name = |topic: &&str| Some(TopicName(StrBytes::from_string((*topic).to_owned())));
        let names = topics.map(|topics| {
            topics.iter().map(|topic| MetadataRequestTopic::default().with_name(name(topic))).collect()
        });
        let request = MetadataRequest::default().with_topics(names).with_allow_auto_topic_creation(false);
        let answer = self
            .retrying(|| async {
                let broker = self.any_broker().await?;
                broker.request(&request).await
            })
            .await?;
        let cluster = Arc::new(ClusterMetadata::read(answer));
        self.remember(&cluster);
        Ok(cluster)
    }
}
