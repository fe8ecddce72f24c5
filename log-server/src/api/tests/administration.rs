//! Every version of the administration APIs.

use kafka_protocol::messages::*;

use super::every_version::{batch, create, each_version, name, produce, text};
use super::test_broker;

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
        let topics = vec![
            topic(&own),
            topic("bad name"),
            topic("many").with_replication_factor(3),
            topic("__consumer_offsets"),
        ];
        CreateTopicsRequest::default().with_topics(topics)
    };
    each_version(&broker, 2..=7, creation, |response, version| {
        let codes: Vec<_> = response.topics.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [0, 17, 38, 36], "the server's own topics are made by itself");
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
