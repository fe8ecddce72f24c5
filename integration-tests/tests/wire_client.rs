//! Admin requests against a real broker.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use integration_tests::TestBroker;
use kafka_protocol::ResponseError;
use streams_core::TopicPartition;
use streams_core::client::wire::{Isolation, NewTopic, OffsetSpec, WireClient, WireConfig, WireError};
use uuid::Uuid;

fn client(broker: &TestBroker) -> WireClient {
    let mut config = WireConfig::new(broker.bootstrap());
    config.api_timeout = Duration::from_secs(10);
    WireClient::new(config)
}

fn fresh(name: &str) -> String {
    format!("{name}-{}", Uuid::new_v4().simple())
}

#[tokio::test]
async fn creates_and_describes_topics() {
    let broker = TestBroker::start().await;
    let (client, name) = (client(&broker), fresh("counts"));
    let topic =
        NewTopic::new(&name, 3).config("cleanup.policy", "compact").config("segment.bytes", "1048576");
    let checked = client.create_topics(std::slice::from_ref(&topic), true).await.expect("validated");
    assert!(checked[&name].is_ok(), "{checked:?}");
    let before = client.metadata(Some(&[&name])).await.expect("metadata");
    assert_eq!(before.missing.get(&name), Some(&ResponseError::UnknownTopicOrPartition));

    let created = client.create_topics(std::slice::from_ref(&topic), false).await.expect("created");
    assert!(created[&name].is_ok(), "{created:?}");
    let cluster = client.metadata(Some(&[&name])).await.expect("metadata");
    assert_eq!(cluster.partition_count(&name), Some(3));
    assert!(cluster.leader(&TopicPartition::new(name.as_str(), 2)).is_some());

    let configs = client.describe_topic_configs(&[&name]).await.expect("described");
    let policy = &configs[&name]["cleanup.policy"];
    assert_eq!((policy.value.as_deref(), policy.set_on_topic), (Some("compact"), true));
    assert!(!configs[&name]["retention.ms"].set_on_topic);

    client.alter_topic_config(&name, "retention.ms", "86400000").await.expect("altered");
    let configs = client.describe_topic_configs(&[&name]).await.expect("described");
    assert_eq!(configs[&name]["retention.ms"].value.as_deref(), Some("86400000"));
    assert_eq!(configs[&name]["cleanup.policy"].value.as_deref(), Some("compact"), "the others stay");
    let refused = client.alter_topic_config(&name, "retention.ms", "soon").await.expect_err("no number");
    assert!(refused.to_string().contains(&name), "{refused}");

    let again = client.create_topics(&[topic], false).await.expect("answered");
    let error = again[&name].as_ref().expect_err("it exists");
    assert_eq!(error.code(), Some(ResponseError::TopicAlreadyExists));
    assert!(error.to_string().contains(&name), "{error}");

    let grown = client.create_partitions(&[(&name, 5)]).await.expect("answered");
    assert!(grown[&name].is_ok(), "{grown:?}");
    let cluster = client.metadata(Some(&[&name])).await.expect("metadata");
    assert_eq!(cluster.partition_count(&name), Some(5));
}

#[tokio::test]
async fn lists_offsets_and_deletes_records() {
    let broker = TestBroker::start().await;
    let (client, name) = (client(&broker), fresh("rides"));
    let created = client.create_topics(&[NewTopic::new(&name, 2)], false).await.expect("created");
    assert!(created[&name].is_ok(), "{created:?}");
    let partitions: Vec<TopicPartition> = (0..2).map(|p| TopicPartition::new(name.as_str(), p)).collect();
    for (spec, isolation) in [
        (OffsetSpec::Earliest, Isolation::ReadUncommitted),
        (OffsetSpec::Latest, Isolation::ReadUncommitted),
        (OffsetSpec::Latest, Isolation::ReadCommitted),
    ] {
        let listed = client.list_offsets(&partitions, spec, isolation).await.expect("listed");
        assert_eq!(listed.values().map(|listed| listed.offset).collect::<Vec<_>>(), [0, 0], "{spec:?}");
    }
    let deleted = client.delete_records(&[(partitions[0].clone(), 0)].into()).await.expect("deleted");
    assert_eq!(deleted[&partitions[0]], 0);
    let beyond =
        client.delete_records(&[(partitions[0].clone(), 9)].into()).await.expect_err("nothing is there");
    assert_eq!(beyond.code(), Some(ResponseError::OffsetOutOfRange), "{beyond}");
}

#[tokio::test]
async fn says_which_partition_is_not_there() {
    let broker = TestBroker::start().await;
    let mut config = client(&broker).config().clone();
    config.api_timeout = Duration::from_millis(300);
    let nowhere = TopicPartition::new(fresh("nowhere"), 0);
    let listed = WireClient::new(config);
    let error =
        listed.list_offsets(std::slice::from_ref(&nowhere), OffsetSpec::Latest, Isolation::default()).await;
    let error = error.expect_err("there is no such topic");
    assert!(
        matches!(&error, WireError::NoLeader { topic, partition: 0 } if **topic == *nowhere.topic),
        "{error}"
    );
}

#[tokio::test]
async fn an_unknown_group_is_dead_and_has_no_offsets() {
    let broker = TestBroker::start().await;
    let (client, group) = (client(&broker), fresh("app"));
    let described = client.describe_group(&group).await;
    match described {
        Ok(described) => assert_eq!(described.state, "Dead"),
        Err(error) => assert_eq!(error.code(), Some(ResponseError::GroupIdNotFound)),
    }
    let nothing =
        client.fetch_committed(&group, &[TopicPartition::new("rides", 0)], true).await.expect("fetched");
    assert!(nothing.is_empty(), "{nothing:?}");
}

#[tokio::test]
async fn an_unreachable_broker_is_named_in_time() {
    let mut config = WireConfig::new("127.0.0.1:1, localhost:2");
    config.api_timeout = Duration::from_millis(500);
    let begin = Instant::now();
    let error = WireClient::new(config).metadata(None).await.expect_err("nobody listens there");
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1") && text.contains("localhost:2"), "{text}");
}
