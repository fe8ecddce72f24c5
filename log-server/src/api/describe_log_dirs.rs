//! DescribeLogDirs (key 35), versions 1 to 4: the sizes of the partitions in the one data directory.
//!
//! Left out: the size and the free space of the disk (version 4), answered as unknown.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::security::{Operation, Resource};

/// The handler.
pub(crate) struct DescribeLogDirs;

impl Api for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;
    const VERSIONS: (i16, i16) = (1, 4);
    const SHAPE: &'static str = "[(s [4])]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: DescribeLogDirsRequest,
    ) -> Reply<DescribeLogDirsResponse> {
        if let Err(code) = context.check(Operation::Describe, Resource::Cluster) {
            // Before version 3 there is no place for the error: the answer is empty then.
            let code = if context.version >= 3 { code.code() } else { 0 };
            return Reply::Now(DescribeLogDirsResponse::default().with_error_code(code));
        }
        let wanted: Option<HashSet<(String, i32)>> = request.topics.map(|topics| {
            let pairs = topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|partition| (topic.topic.to_string(), *partition))
            });
            pairs.collect()
        });
        let mut topics = Vec::new();
        for topic in broker.topics().all() {
            let is_wanted = |partition: i32| {
                wanted.as_ref().is_none_or(|wanted| wanted.contains(&(topic.name.to_string(), partition)))
            };
            let partitions: Vec<_> = topic
                .partitions()
                .iter()
                .filter(|log| is_wanted(log.partition()))
                .map(|log| {
                    DescribeLogDirsPartition::default()
                        .with_partition_index(log.partition())
                        .with_partition_size(i64::try_from(log.size_bytes()).unwrap_or(i64::MAX))
                })
                .collect();
            if !partitions.is_empty() {
                let name = TopicName(StrBytes::from_string(topic.name.to_string()));
                topics.push(DescribeLogDirsTopic::default().with_name(name).with_partitions(partitions));
            }
        }
        let result = DescribeLogDirsResult::default()
            .with_log_dir(StrBytes::from_string(broker.config().data_dir.display().to_string()))
            .with_topics(topics);
        Reply::Now(DescribeLogDirsResponse::default().with_results(vec![result]))
    }
}
