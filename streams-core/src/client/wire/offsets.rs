//! Where logs begin and end, and cutting off their beginning.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, DeleteRecordsRequest, ListOffsetsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::client::WireClient;
use super::error::WireError;
use super::metadata::BrokerAddress;
use crate::record::TopicPartition;

/// Which offset of a partition is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first offset that is still there.
    Earliest,
    /// One past the last record (read uncommitted) or the last stable offset (read committed).
    Latest,
    /// The first record whose timestamp is at least this, in milliseconds since 1970.
    AtOrAfter(i64),
}

impl OffsetSpec {
    fn timestamp(self) -> i64 {
        match self {
            Self::Earliest => -2,
            Self::Latest => -1,
            Self::AtOrAfter(timestamp) => timestamp,
        }
    }
}

/// `isolation.level`: whether records of open transactions count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// All records.
    #[default]
    ReadUncommitted,
    /// Records up to the last stable offset.
    ReadCommitted,
}

/// An offset as a leader reported it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; -1 if no record is that late.
    pub offset: i64,
    /// The record's timestamp in milliseconds, -1 for [`OffsetSpec::Earliest`] and [`OffsetSpec::Latest`].
    pub timestamp: i64,
    /// Epoch of the leader that wrote it, -1 if unknown.
    pub leader_epoch: i32,
}

impl WireClient {
    /// Asks the leaders of `partitions` for the offset that `spec` describes.
    ///
    /// # Errors
    /// When a partition does not exist or has no leader, or a leader refuses, for longer than `api_timeout`.
    pub async fn list_offsets(
        &self,
        partitions: &[TopicPartition],
        spec: OffsetSpec,
        isolation: Isolation,
    ) -> Result<BTreeMap<TopicPartition, ListedOffset>, WireError> {
        self.retrying(|| async {
            let asked = self.leaders(partitions).await?.into_iter();
            let answers =
                try_join_all(asked.map(|(leader, led)| self.list_led(leader, led, spec, isolation))).await?;
            Ok(answers.into_iter().flatten().collect())
        })
        .await
    }

    async fn list_led(
        &self,
        leader: BrokerAddress,
        led: Vec<TopicPartition>,
        spec: OffsetSpec,
        isolation: Isolation,
    ) -> Result<Vec<(TopicPartition, ListedOffset)>, WireError> {
        let topic = |(name, partitions): (&str, Vec<i32>)| {
            let partition = |number: i32| {
                ListOffsetsPartition::default()
                    .with_partition_index(number)
                    .with_current_leader_epoch(-1)
                    .with_timestamp(spec.timestamp())
            };
            ListOffsetsTopic::default()
                .with_name(TopicName(StrBytes::from_string(name.to_owned())))
                .with_partitions(partitions.into_iter().map(partition).collect())
        };
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(i8::from(isolation == Isolation::ReadCommitted))
            .with_topics(by_topic(&led).into_iter().map(topic).collect());
        let broker = self.connect(&leader.address()).await?;
        let answer = broker.request(&request).await?;
        let mut listed = Vec::with_capacity(led.len());
        for topic in answer.topics {
            for partition in topic.partitions {
                let place = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                if let Some(code) = ResponseError::try_from_code(partition.error_code) {
                    return Err(broker.refused::<ListOffsetsRequest>(&place.to_string(), code, None));
                }
                let (offset, timestamp) = (partition.offset, partition.timestamp);
                listed
                    .push((place, ListedOffset { offset, timestamp, leader_epoch: partition.leader_epoch }));
            }
        }
        Ok(listed)
    }

    /// Deletes all records before the given offset of each partition; returns the new first offsets.
    ///
    /// # Errors
    /// When a partition has no leader or a leader refuses, for longer than `api_timeout`: for example because the topic
    /// is compacted only.
    pub async fn delete_records(
        &self,
        before: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, i64>, WireError> {
        let partitions: Vec<TopicPartition> = before.keys().cloned().collect();
        self.retrying(|| async {
            let asked = self.leaders(&partitions).await?.into_iter();
            let answers =
                try_join_all(asked.map(|(leader, led)| self.delete_led(leader, led, before))).await?;
            Ok(answers.into_iter().flatten().collect())
        })
        .await
    }

    async fn delete_led(
        &self,
        leader: BrokerAddress,
        led: Vec<TopicPartition>,
        before: &BTreeMap<TopicPartition, i64>,
    ) -> Result<Vec<(TopicPartition, i64)>, WireError> {
        let topic = |(name, partitions): (&str, Vec<i32>)| {
            let partition = |number: i32| {
                let offset = before.get(&TopicPartition::new(name, number)).copied().unwrap_or_default();
                DeleteRecordsPartition::default().with_partition_index(number).with_offset(offset)
            };
            DeleteRecordsTopic::default()
                .with_name(TopicName(StrBytes::from_string(name.to_owned())))
                .with_partitions(partitions.into_iter().map(partition).collect())
        };
        let request = DeleteRecordsRequest::default()
            .with_topics(by_topic(&led).into_iter().map(topic).collect())
            .with_timeout_ms(self.broker_timeout_ms());
        let broker = self.connect(&leader.address()).await?;
        let answer = broker.request(&request).await?;
        let mut deleted = Vec::with_capacity(led.len());
        for topic in answer.topics {
            for partition in topic.partitions {
                let place = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                if let Some(code) = ResponseError::try_from_code(partition.error_code) {
                    return Err(broker.refused::<DeleteRecordsRequest>(&place.to_string(), code, None));
                }
                deleted.push((place, partition.low_watermark));
            }
        }
        Ok(deleted)
    }
}

/// Partition numbers by topic, as requests list them.
pub(super) fn by_topic(partitions: &[TopicPartition]) -> BTreeMap<&str, Vec<i32>> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    topics
}
