//! Every version of every API answers a request with content, and one that must be refused.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes};

use super::{answer, test_broker};
use crate::broker::Broker;
use crate::protocol::request_frame;
use crate::records::{BatchBuilder, NewRecord};

use std::sync::Arc;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// Sends the request that `make` builds in each version, and checks the answer.
async fn each_version<R: Request>(
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

fn batch(values: usize, producer: Option<i32>) -> Bytes {
    let mut builder = BatchBuilder::new(1_000);
    if let Some(sequence) = producer {
        builder = builder.producer(9, 0, sequence);
    }
    for _ in 0..values {
        builder.push(&NewRecord { value: Some(Bytes::from_static(b"v")), ..NewRecord::default() });
    }
    builder.build().unwrap()
}

fn produce(topic: &str, records: Bytes, acks: i16) -> ProduceRequest {
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

async fn create(broker: &Arc<Broker>, topic: &str, configs: &[(&str, &str)]) {
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

#[tokio::test]
async fn topics_are_created_grown_and_deleted() {
    let broker = test_broker();
    let topic = |topic: &str| {
        create_topics_request::CreatableTopic::default()
            .with_name(name(topic))
            .with_num_partitions(2)
            .with_replication_factor(-1)
    };
    let creation = |version: i16| {
        let own = format!("own-{version}");
        let topics = vec![topic(&own), topic("bad name"), topic("many").with_replication_factor(3)];
        CreateTopicsRequest::default().with_topics(topics)
    };
    each_version(&broker, 2..=7, creation, |response, version| {
        let codes: Vec<_> = response.topics.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [0, 17, 38]);
        if version >= 5 {
            assert_eq!(response.topics[0].num_partitions, 2);
        }
    })
    .await;
    each_version(&broker, 2..=7, creation, |response, _| assert_eq!(response.topics[0].error_code, 36)).await;
    let growth = |version: i16| {
        let topic = create_partitions_request::CreatePartitionsTopic::default()
            .with_name(name("own-2"))
            .with_count(i32::from(version) + 3)
            .with_assignments(None);
        CreatePartitionsRequest::default().with_topics(vec![topic])
    };
    each_version(&broker, 0..=3, growth, |response, _| assert_eq!(response.results[0].error_code, 0)).await;
    assert_eq!(broker.topics().get("own-2").unwrap().partitions().len(), 6);
    each_version(&broker, 0..=3, growth, |response, _| assert_eq!(response.results[0].error_code, 37)).await;
    let deletion = |version: i16| {
        let names = vec![name(&format!("own-{}", version + 1)), name("none")];
        let states = names
            .iter()
            .map(|name| delete_topics_request::DeleteTopicState::default().with_name(Some(name.clone())));
        match version {
            6 => DeleteTopicsRequest::default().with_topics(states.collect()),
            _ => DeleteTopicsRequest::default().with_topic_names(names),
        }
    };
    each_version(&broker, 1..=6, deletion, |response, _| {
        let codes: Vec<_> = response.responses.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [0, 3]);
    })
    .await;
    assert!(broker.topics().all().iter().all(|topic| topic.is_internal()));
}

#[tokio::test]
async fn configs_are_described_and_changed() {
    let broker = test_broker();
    create(&broker, "topic", &[("retention.ms", "5")]).await;
    let describe = |_| {
        let resource = |kind, name| {
            describe_configs_request::DescribeConfigsResource::default()
                .with_resource_type(kind)
                .with_resource_name(text(name))
                .with_configuration_keys(None)
        };
        DescribeConfigsRequest::default()
            .with_resources(vec![resource(2, "topic"), resource(4, "1"), resource(2, "none")])
            .with_include_synonyms(true)
    };
    each_version(&broker, 1..=4, describe, |response, _| {
        let codes: Vec<_> = response.results.iter().map(|result| result.error_code).collect();
        assert_eq!(codes, [0, 0, 3]);
        let find = |name: &str| {
            response.results[0].configs.iter().find(|config| config.name.as_str() == name).unwrap()
        };
        let retention = find("retention.ms");
        assert_eq!((retention.value.as_deref(), retention.config_source), (Some("5"), 1));
        assert_eq!(retention.synonyms.len(), 2);
        assert_eq!(find("segment.bytes").config_source, 5);
    })
    .await;
    let incremental = |version: i16| {
        let config = incremental_alter_configs_request::AlterableConfig::default()
            .with_name(text("retention.ms"))
            .with_value(Some(text(&format!("{}", 100 + version))));
        let resource = incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text("topic"))
            .with_configs(vec![config]);
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
    };
    each_version(&broker, 0..=1, incremental, |response, _| assert_eq!(response.responses[0].error_code, 0))
        .await;
    assert_eq!(broker.topics().get("topic").unwrap().config().retention_ms, Some(101));
    assert_eq!(broker.topics().log("topic", 0).unwrap().config().retention_ms, Some(101));
    let replace = |_| {
        let config = alter_configs_request::AlterableConfig::default()
            .with_name(text("retention.bytes"))
            .with_value(Some(text("many")));
        let resource = alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text("topic"));
        AlterConfigsRequest::default()
            .with_resources(vec![resource.clone(), resource.with_configs(vec![config])])
    };
    each_version(&broker, 0..=2, replace, |response, _| {
        assert_eq!((response.responses[0].error_code, response.responses[1].error_code), (0, 40));
    })
    .await;
    assert_eq!(broker.topics().get("topic").unwrap().config().retention_ms, None);
}

#[tokio::test]
async fn records_are_deleted() {
    let broker = test_broker();
    create(&broker, "topic", &[]).await;
    each_version(&broker, 9..=9, |_| produce("topic", batch(5, None), -1), |_, _| ()).await;
    let delete = |offset: i64| {
        let partition = delete_records_request::DeleteRecordsPartition::default().with_offset(offset);
        DeleteRecordsRequest::default().with_topics(vec![
            delete_records_request::DeleteRecordsTopic::default()
                .with_name(name("topic"))
                .with_partitions(vec![partition]),
        ])
    };
    for (offset, code, low) in [(2, 0, 2), (6, 1, -1), (-1, 0, 5)] {
        each_version(
            &broker,
            0..=2,
            |_| delete(offset),
            |response, _| {
                let partition = &response.topics[0].partitions[0];
                assert_eq!((partition.error_code, partition.low_watermark), (code, low), "offset {offset}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn producers_cluster_and_directories() {
    let broker = test_broker();
    create(&broker, "topic", &[]).await;
    let last = std::cell::Cell::new(-1);
    each_version(
        &broker,
        0..=5,
        |_| InitProducerIdRequest::default().with_transactional_id(None),
        |response, _| {
            assert_eq!(response.error_code, 0);
            assert!(response.producer_id.0 > last.replace(response.producer_id.0));
        },
    )
    .await;
    each_version(
        &broker,
        0..=1,
        |_| DescribeClusterRequest::default(),
        |response, _| {
            assert_eq!((response.error_code, response.brokers.len()), (0, 1));
        },
    )
    .await;
    let dirs = |_| DescribeLogDirsRequest::default().with_topics(None);
    each_version(&broker, 1..=4, dirs, |response, _| {
        assert!(response.results[0].topics.iter().any(|topic| topic.name.as_str() == "topic"));
    })
    .await;
    let page = describe_topic_partitions_response::Cursor::default();
    let mut next = Some(page.with_topic_name(name("")).with_partition_index(0));
    let mut pages = 0;
    while let Some(cursor) = next {
        let cursor = describe_topic_partitions_request::Cursor::default()
            .with_topic_name(cursor.topic_name)
            .with_partition_index(cursor.partition_index);
        let request = DescribeTopicPartitionsRequest::default()
            .with_response_partition_limit(1)
            .with_cursor(Some(cursor));
        let found = std::cell::Cell::new(None);
        each_version(
            &broker,
            0..=0,
            |_| request.clone(),
            |response, _| {
                assert_eq!(response.topics[0].partitions.len(), 1);
                found.set(response.next_cursor);
            },
        )
        .await;
        next = found.take();
        pages += 1;
    }
    let partitions: usize = broker.topics().all().iter().map(|topic| topic.partitions().len()).sum();
    assert_eq!(pages, partitions);
}
