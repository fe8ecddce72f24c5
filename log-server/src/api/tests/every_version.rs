//! Every version of every API answers a request with content, and one that must be refused.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes};

use super::{answer, test_broker};
use crate::broker::Broker;
use crate::protocol::request_frame;
use crate::records::{BatchBuilder, NewRecord};

use std::sync::Arc;

pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// Sends the request that `make` builds in each version, and checks the answer.
pub(super) async fn each_version<R: Request>(
    broker: &Arc<Broker>,
    versions: std::ops::RangeInclusive<i16>,
    make: impl Fn(i16) -> R,
    check: impl Fn(R::Response, i16),
) {
    for version in versions {
        let mut frame = answer(broker, request_frame(&make(version), version, 7)).await.unwrap();
        assert_eq!(frame.len(), 4 + i32::from_be_bytes(frame[..4].try_into().unwrap()) as usize);
        let mut body = frame.split_off(4);
        ResponseHeader::decode(&mut body, R::Response::header_version(version)).unwrap();
        let response = R::Response::decode(&mut body, version).unwrap();
        assert!(body.is_empty(), "api key {} version {version} has {} more bytes", R::KEY, body.len());
        check(response, version);
    }
}

pub(super) fn batch(values: usize, producer: Option<i32>) -> Bytes {
    let mut builder = BatchBuilder::new(1_000);
    if let Some(sequence) = producer {
        builder = builder.producer(9, 0, sequence);
    }
    for _ in 0..values {
        builder.push(&NewRecord { value: Some(Bytes::from_static(b"v")), ..NewRecord::default() });
    }
    builder.build().unwrap()
}

pub(super) fn produce(topic: &str, records: Bytes, acks: i16) -> ProduceRequest {
    let partition = produce_request::PartitionProduceData::default().with_records(Some(records));
    ProduceRequest::default().with_acks(acks).with_topic_data(vec![
        produce_request::TopicProduceData::default()
            .with_name(name(topic))
            .with_partition_data(vec![partition]),
    ])
}

fn produced(response: &ProduceResponse) -> (i16, i64) {
    let partition = &response.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

pub(super) async fn create(broker: &Arc<Broker>, topic: &str, configs: &[(&str, &str)]) {
    let configs = configs.iter().map(|(name, value)| {
        create_topics_request::CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    });
    let topic = create_topics_request::CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(1)
        .with_replication_factor(1)
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default().with_topics(vec![topic]);
    each_version(
        broker,
        7..=7,
        |_| request.clone(),
        |response, _| assert_eq!(response.topics[0].error_code, 0),
    )
    .await;
}

#[tokio::test]
async fn metadata() {
    let broker = test_broker();
    create(&broker, "there", &[]).await;
    for internal in ["__consumer_offsets", "__transaction_state"] {
        broker.topics().internal(internal, 1).unwrap();
    }
    let id = broker.topics().get("there").unwrap().id;
    let wanted = |topic: &str| metadata_request::MetadataRequestTopic::default().with_name(Some(name(topic)));
    let both = |_| {
        MetadataRequest::default()
            .with_topics(Some(vec![wanted("there"), wanted("not a topic")]))
            .with_allow_auto_topic_creation(true)
    };
    each_version(&broker, 0..=12, both, |response, version| {
        assert_eq!(response.brokers.len(), 1);
        assert_eq!(response.topics[0].partitions.len(), 1);
        assert_eq!((response.topics[0].error_code, response.topics[1].error_code), (0, 17));
        assert_eq!(response.topics[0].topic_id == id, version >= 10);
    })
    .await;
    let all = |version| MetadataRequest::default().with_topics((version == 0).then(Vec::new));
    each_version(&broker, 0..=12, all, |response, version| {
        let internal = response.topics.iter().filter(|topic| topic.is_internal).count();
        assert_eq!(response.topics.len(), 3);
        assert_eq!(internal, if version >= 1 { 2 } else { 0 });
    })
    .await;
    let by_id = |_| {
        let topic = metadata_request::MetadataRequestTopic::default().with_topic_id(id).with_name(None);
        MetadataRequest::default().with_topics(Some(vec![topic]))
    };
    each_version(&broker, 12..=12, by_id, |response, _| {
        assert_eq!(response.topics[0].name.as_ref().unwrap().as_str(), "there");
    })
    .await;
    let creating = |version: i16| {
        let topic = wanted(&format!("new-{version}"));
        MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(version % 2 == 0)
    };
    each_version(&broker, 4..=12, creating, |response, version| {
        assert_eq!(response.topics[0].error_code, if version % 2 == 0 { 0 } else { 3 });
    })
    .await;
}

#[tokio::test]
async fn produce_and_fetch() {
    let broker = test_broker();
    create(&broker, "topic", &[]).await;
    let id = broker.topics().get("topic").unwrap().id;
    each_version(
        &broker,
        3..=12,
        |_| produce("topic", batch(2, None), -1),
        |response, version| {
            assert_eq!(produced(&response), (0, i64::from(version - 3) * 2));
        },
    )
    .await;
    each_version(
        &broker,
        3..=12,
        |_| produce("none", batch(1, None), 1),
        |response, _| {
            assert_eq!(produced(&response), (3, -1));
        },
    )
    .await;
    let fetch = |version: i16, offset: i64| {
        let partition = fetch_request::FetchPartition::default()
            .with_fetch_offset(offset)
            .with_partition_max_bytes(1_000_000);
        let topic = fetch_request::FetchTopic::default().with_partitions(vec![partition]);
        let topic = if version >= 13 { topic.with_topic_id(id) } else { topic.with_topic(name("topic")) };
        let mut request =
            FetchRequest::default().with_max_bytes(1_000_000).with_min_bytes(1).with_topics(vec![topic]);
        request.isolation_level = i8::from(version % 2 == 0);
        if version <= 14 {
            request.replica_id = BrokerId(-1);
        }
        request
    };
    each_version(
        &broker,
        4..=16,
        |version| fetch(version, 0),
        |response, version| {
            let partition = &response.responses[0].partitions[0];
            assert_eq!((partition.error_code, partition.high_watermark), (0, 20));
            assert_eq!(partition.aborted_transactions.is_some(), version % 2 == 0);
            assert_eq!(partition.records.as_ref().unwrap().len(), 10 * batch(2, None).len());
        },
    )
    .await;
    each_version(
        &broker,
        4..=16,
        |version| fetch(version, 21),
        |response, _| {
            assert_eq!(response.responses[0].partitions[0].error_code, 1);
        },
    )
    .await;
}

#[tokio::test]
async fn bad_batches_are_refused_with_kafkas_codes() {
    let broker = test_broker();
    create(&broker, "plain", &[("max.message.bytes", "200")]).await;
    create(&broker, "compacted", &[("cleanup.policy", "compact")]).await;
    broker.topics().internal("__consumer_offsets", 1).unwrap();
    let damaged = {
        let mut bytes = BytesMut::from(&batch(1, None)[..]);
        bytes[62] ^= 1;
        bytes.freeze()
    };
    let old = {
        let mut bytes = BytesMut::from(&batch(1, None)[..]);
        bytes[16] = 1;
        bytes.freeze()
    };
    let two = Bytes::from([batch(1, None), batch(1, None)].concat());
    let mut marker = BatchBuilder::new(0).transactional(true);
    marker.push(&NewRecord::default());
    let cases = [
        ("plain", damaged, -1, 2),
        ("plain", old, -1, 87),
        ("plain", two, -1, 87),
        ("plain", Bytes::new(), -1, 2),
        ("plain", batch(50, None), -1, 10),
        ("plain", marker.build().unwrap(), -1, 87),
        ("plain", batch(1, Some(-1)), -1, 87),
        ("plain", batch(1, None), 5, 21),
        ("compacted", batch(1, None), -1, 87),
        ("__consumer_offsets", batch(1, None), -1, 17),
        ("plain", batch(1, None), -1, 0),
    ];
    for (topic, records, acks, code) in cases {
        each_version(
            &broker,
            12..=12,
            |_| produce(topic, records.clone(), acks),
            |response, _| {
                assert_eq!(produced(&response).0, code, "{topic} {records:?}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_repeated_batch_is_stored_once() {
    let broker = test_broker();
    create(&broker, "topic", &[]).await;
    for (sequence, expected) in
        [(0, (0, 0)), (2, (0, 2)), (2, (0, 2)), (0, (0, 0)), (7, (45, -1)), (4, (0, 4))]
    {
        each_version(
            &broker,
            9..=9,
            |_| produce("topic", batch(2, Some(sequence)), -1),
            |response, _| {
                assert_eq!(produced(&response), expected, "sequence {sequence}");
            },
        )
        .await;
    }
    assert_eq!(broker.topics().log("topic", 0).unwrap().watermarks().high, 6);
}

#[tokio::test]
async fn a_topic_with_its_own_codec_recompresses() {
    let broker = test_broker();
    create(&broker, "zipped", &[("compression.type", "zstd")]).await;
    each_version(
        &broker,
        9..=9,
        |_| produce("zipped", batch(1000, None), -1),
        |response, _| {
            assert_eq!(produced(&response), (0, 0));
        },
    )
    .await;
    let log = broker.topics().log("zipped", 0).unwrap();
    assert!(log.size_bytes() < batch(1000, None).len() as u64 / 2);
}

#[tokio::test]
async fn acks_zero_gets_no_answer() {
    let broker = test_broker();
    create(&broker, "topic", &[]).await;
    let frame = request_frame(&produce("topic", batch(1, None), 0), 9, 7);
    assert!(answer(&broker, frame).await.unwrap().is_empty());
    assert_eq!(
        broker.topics().log("topic", 0).unwrap().segment_list()[0].size_bytes(),
        batch(1, None).len() as u64
    );
}

#[tokio::test]
async fn a_waiting_fetch_is_woken_by_an_append() {
    let broker = test_broker();
    create(&broker, "topic", &[]).await;
    let partition = fetch_request::FetchPartition::default().with_partition_max_bytes(1000);
    let topic =
        fetch_request::FetchTopic::default().with_topic(name("topic")).with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_max_bytes(1000)
        .with_min_bytes(1)
        .with_max_wait_ms(60_000)
        .with_topics(vec![topic]);
    let waiting = tokio::spawn({
        let broker = Arc::clone(&broker);
        async move { answer(&broker, request_frame(&request, 11, 7)).await.unwrap() }
    });
    each_version(&broker, 9..=9, |_| produce("topic", batch(1, None), -1), |_, _| ()).await;
    let answered = tokio::time::timeout(std::time::Duration::from_secs(10), waiting).await.unwrap().unwrap();
    assert!(answered.len() > batch(1, None).len());
}

#[tokio::test]
async fn offsets_by_time_and_epoch() {
    let broker = test_broker();
    create(&broker, "topic", &[]).await;
    each_version(&broker, 9..=9, |_| produce("topic", batch(2, None), -1), |_, _| ()).await;
    let list = |topic: &str, timestamp: i64| {
        let partition = list_offsets_request::ListOffsetsPartition::default().with_timestamp(timestamp);
        ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![
            list_offsets_request::ListOffsetsTopic::default()
                .with_name(name(topic))
                .with_partitions(vec![partition]),
        ])
    };
    for (timestamp, expected) in [(-1, 2), (-2, 0), (-3, 0), (-4, 0), (500, 0), (1000, 0), (1001, -1)] {
        each_version(
            &broker,
            1..=8,
            |_| list("topic", timestamp),
            |response, _| {
                let partition = &response.topics[0].partitions[0];
                assert_eq!((partition.error_code, partition.offset), (0, expected), "timestamp {timestamp}");
            },
        )
        .await;
    }
    each_version(
        &broker,
        1..=8,
        |_| list("none", -1),
        |response, _| {
            assert_eq!(response.topics[0].partitions[0].error_code, 3);
        },
    )
    .await;
    let epoch = |_| {
        let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
            .with_current_leader_epoch(-1);
        OffsetForLeaderEpochRequest::default().with_topics(vec![
            offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
                .with_topic(name("topic"))
                .with_partitions(vec![partition]),
        ])
    };
    each_version(&broker, 2..=4, epoch, |response, _| {
        let partition = &response.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.leader_epoch, partition.end_offset), (0, 0, 2));
    })
    .await;
}
