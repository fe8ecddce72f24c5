//! DescribeTopicPartitions (key 75), version 0: topics and partitions in pages (KIP-966).

use std::sync::Arc;

use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::metadata::TOPIC_OPERATIONS;
use super::{Api, Reply, RequestContext};
use crate::broker::{Broker, NODE_ID};
use crate::log::PartitionLog;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};

/// The most partitions in one answer, whatever the request asks for.
const MAX_PARTITIONS: usize = 2000;

/// The handler.
pub(crate) struct DescribeTopicPartitions;

impl Api for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;
    const VERSIONS: (i16, i16) = (0, 0);
    const SHAPE: &'static str = "[(s)] 4 ?(s 4)";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: DescribeTopicPartitionsRequest,
    ) -> Reply<DescribeTopicPartitionsResponse> {
        let mut names: Vec<String> = match request.topics.is_empty() {
            true => broker.topics().all().iter().map(|topic| topic.name.to_string()).collect(),
            false => request.topics.iter().map(|topic| topic.name.to_string()).collect(),
        };
        if request.topics.is_empty() {
            names.retain(|name| context.allows(Operation::Describe, Resource::Topic(name)));
        }
        names.sort_unstable();
        names.dedup();
        let (first_topic, mut first_partition) = match &request.cursor {
            Some(cursor) => {
                (cursor.topic_name.to_string(), usize::try_from(cursor.partition_index).unwrap_or(0))
            }
            None => (String::new(), 0),
        };
        let limit = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, MAX_PARTITIONS);
        let mut left = limit;
        let mut response = DescribeTopicPartitionsResponse::default();
        for name in names.into_iter().filter(|name| *name >= first_topic) {
            let from = if name == first_topic { std::mem::take(&mut first_partition) } else { 0 };
            if left == 0 {
                response.next_cursor = Some(cursor(&name, from));
                break;
            }
            let (described, total) = describe(&broker, &context, &name, from..from.saturating_add(left));
            let shown = described.partitions.len();
            left -= shown;
            response.topics.push(described);
            if from + shown < total {
                response.next_cursor = Some(cursor(&name, from + shown));
                break;
            }
        }
        Reply::Now(response)
    }
}

fn cursor(name: &str, partition: usize) -> Cursor {
    Cursor::default().with_topic_name(topic_name(name)).with_partition_index(partition as i32)
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// The partitions of a topic within `shown`, and how many it has.
fn describe(
    broker: &Broker,
    context: &RequestContext,
    name: &str,
    shown: std::ops::Range<usize>,
) -> (DescribeTopicPartitionsResponseTopic, usize) {
    let response = DescribeTopicPartitionsResponseTopic::default().with_name(Some(topic_name(name)));
    if let Err(code) = context.check(Operation::Describe, Resource::Topic(name)) {
        return (response.with_error_code(code.code()), 0);
    }
    let Some(topic) = broker.topics().get(name) else {
        return (response.with_error_code(ErrorCode::UnknownTopicOrPartition.code()), 0);
    };
    let partitions = topic.partitions();
    let shown =
        partitions.iter().skip(shown.start).take(shown.len()).map(|log| describe_partition(log)).collect();
    let response = response
        .with_topic_id(topic.id)
        .with_is_internal(topic.is_internal())
        .with_partitions(shown)
        .with_topic_authorized_operations(
            context.access().operations(TOPIC_OPERATIONS, Resource::Topic(name)),
        );
    (response, partitions.len())
}

fn describe_partition(log: &PartitionLog) -> DescribeTopicPartitionsResponsePartition {
    DescribeTopicPartitionsResponsePartition::default()
        .with_partition_index(log.partition())
        .with_leader_id(NODE_ID)
        .with_leader_epoch(log.leader_epoch())
        .with_replica_nodes(vec![NODE_ID])
        .with_isr_nodes(vec![NODE_ID])
        .with_eligible_leader_replicas(Some(Vec::new()))
        .with_last_known_elr(Some(Vec::new()))
}
