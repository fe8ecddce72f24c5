//! OffsetFetch (key 9), versions 1 to 9: the committed offsets of a group.
//!
//! A partition without one is answered with -1. Version 2 can ask for all partitions, 5 brings leader epochs, 7
//! stable offsets (error 88 while a transaction over the partition is open), 8 many groups at once.
//! Left out: KIP-848 member epochs (version 9 brings the fields, which are not checked), topic ids (version 10).

use std::sync::Arc;

use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::group::coordinator::FetchedOffset;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};

/// From this version on many groups are asked for at once.
const BATCHED: i16 = 8;
/// Before this version no list of topics meant none, not all.
const ALL_TOPICS: i16 = 2;

/// The handler.
pub(crate) struct OffsetFetch;

impl Api for OffsetFetch {
    type Request = OffsetFetchRequest;
    const VERSIONS: (i16, i16) = (1, 9);
    const SHAPE: &'static str = "-7:s -7:[(s [4])] 8+:[(s 9+:s 9+:4 [(s [4])])] 7+:1";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: OffsetFetchRequest,
    ) -> Reply<OffsetFetchResponse> {
        let require_stable = request.require_stable;
        if context.version >= BATCHED {
            let groups =
                request.groups.into_iter().map(|group| fetch(&broker, &context, group, require_stable));
            return Reply::Now(OffsetFetchResponse::default().with_groups(groups.collect()));
        }
        // The former versions ask for one group in fields of their own.
        let topics = request.topics.map(|topics| {
            let batched = |topic: kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic| {
                OffsetFetchRequestTopics::default()
                    .with_name(topic.name)
                    .with_partition_indexes(topic.partition_indexes)
            };
            topics.into_iter().map(batched).collect()
        });
        let topics = if context.version < ALL_TOPICS { topics.or(Some(Vec::new())) } else { topics };
        let group = OffsetFetchRequestGroup::default().with_group_id(request.group_id).with_topics(topics);
        let fetched = fetch(&broker, &context, group, require_stable);
        let topics = fetched.topics.into_iter().map(unbatched).collect();
        let error_code = fetched.error_code;
        Reply::Now(OffsetFetchResponse::default().with_error_code(error_code).with_topics(topics))
    }
}

fn fetch(
    broker: &Broker,
    context: &RequestContext,
    group: OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    if let Err(code) = context.check(Operation::Describe, Resource::Group(&group.group_id)) {
        return refused(group, code);
    }
    let names_topics = group.topics.is_some();
    let asked_for = group.topics.map(|topics| {
        let partitions = |topic: &OffsetFetchRequestTopics| {
            let name = topic.name.to_string();
            topic.partition_indexes.iter().map(move |index| (name.clone(), *index)).collect::<Vec<_>>()
        };
        topics.iter().flat_map(partitions).collect()
    });
    let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
    for mut fetched in broker.groups().fetch_offsets(&group.group_id, asked_for, require_stable) {
        if let Err(code) = context.check(Operation::Describe, Resource::Topic(&fetched.topic)) {
            if !names_topics {
                continue;
            }
            fetched.committed = Err(code);
        }
        if topics.last().is_none_or(|topic| *topic.name != *fetched.topic) {
            let name = StrBytes::from_string(fetched.topic.clone());
            topics.push(OffsetFetchResponseTopics::default().with_name(name.into()));
        }
        if let Some(topic) = topics.last_mut() {
            topic.partitions.push(partition(fetched));
        }
    }
    OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_topics(topics)
}

/// The answer of a group that the client may not look at. Versions without a place for a group's error have it with
/// each partition.
fn refused(group: OffsetFetchRequestGroup, code: ErrorCode) -> OffsetFetchResponseGroup {
    let topic = |topic: OffsetFetchRequestTopics| {
        let place = |partition: &i32| {
            let (topic, committed) = (topic.name.to_string(), Err(code));
            self::partition(FetchedOffset { topic, partition: *partition, committed })
        };
        let partitions = topic.partition_indexes.iter().map(place).collect();
        OffsetFetchResponseTopics::default().with_name(topic.name.clone()).with_partitions(partitions)
    };
    OffsetFetchResponseGroup::default()
        .with_group_id(group.group_id)
        .with_error_code(code.code())
        .with_topics(group.topics.unwrap_or_default().into_iter().map(topic).collect())
}

fn partition(fetched: FetchedOffset) -> OffsetFetchResponsePartitions {
    let answer = OffsetFetchResponsePartitions::default()
        .with_partition_index(fetched.partition)
        .with_committed_offset(-1)
        .with_committed_leader_epoch(-1)
        .with_metadata(Some(StrBytes::new()));
    match fetched.committed {
        Err(error) => answer.with_error_code(error.code()),
        Ok(None) => answer,
        Ok(Some(committed)) => answer
            .with_committed_offset(committed.offset)
            .with_committed_leader_epoch(committed.leader_epoch)
            .with_metadata(Some(StrBytes::from_string(committed.metadata))),
    }
}

fn unbatched(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partition = |partition: OffsetFetchResponsePartitions| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_committed_offset(partition.committed_offset)
            .with_committed_leader_epoch(partition.committed_leader_epoch)
            .with_metadata(partition.metadata)
            .with_error_code(partition.error_code)
    };
    OffsetFetchResponseTopic::default()
        .with_name(topic.name)
        .with_partitions(topic.partitions.into_iter().map(partition).collect())
}
