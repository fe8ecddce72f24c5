//! The producer against librdkafka's own mock cluster.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaRespErr;

use super::*;
use crate::client::mock::{LIMIT, cluster, properties};
use crate::record::{Headers, TopicPartition};
use crate::time::Timestamp;

#[tokio::test]
async fn a_failed_delivery_is_kept_with_its_place() {
    let cluster = cluster(1);
    let properties = properties(&cluster).with("message.timeout.ms", "1000");
    let producer = DataProducer::start(&properties, None).unwrap();
    let topic = producer.topic(&"t".into()).unwrap();
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 20];
    cluster.request_errors(rdkafka::types::RDKafkaApiKey::Produce, &refused);
    let at = Timestamp::from_millis(1);
    assert_eq!(topic.send(0, at, None, Some(b"x"), &Headers::new()).unwrap(), Enqueued::Taken);
    let failure = producer.flush(LIMIT).await.unwrap_err();
    assert!(
        matches!(&failure, ClientError::Delivery { partition, .. } if partition.partition == 0),
        "{failure}"
    );
    assert!(producer.check().is_err(), "the failure stays");
}

#[tokio::test]
async fn a_flush_without_a_broker_ends_in_time() {
    let properties = ClientProperties::new("127.0.0.1:1", "test");
    let producer = DataProducer::start(&properties, None).unwrap();
    let topic = producer.topic(&Arc::from("t")).unwrap();
    let at = Timestamp::from_millis(1);
    assert_eq!(topic.send(0, at, None, Some(b"x"), &Headers::new()).unwrap(), Enqueued::Taken);
    let failure = producer.flush(Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(failure, ClientError::FlushTimeout { records: 1, timeout_ms: 300 }), "{failure}");
}

#[tokio::test]
async fn a_transaction_commits_records_and_offsets_of_a_foreign_member() {
    let cluster = cluster(1);
    let producer = DataProducer::start(&properties(&cluster), Some("tx")).unwrap();
    producer.init_transactions(LIMIT).await.unwrap();
    producer.begin_transaction().unwrap();
    let topic = producer.topic(&"t".into()).unwrap();
    let at = Timestamp::from_millis(1);
    assert_eq!(topic.send(0, at, None, Some(b"x"), &Headers::new()).unwrap(), Enqueued::Taken);
    let member = GroupMember {
        group_id: "app".to_owned(),
        generation: 3,
        member_id: "m-1".to_owned(),
        instance_id: None,
    };
    let offsets = [(TopicPartition::new("t", 0), 1, "time".to_owned())];
    producer.send_offsets(&offsets, &member, LIMIT).await.unwrap();
    let started = Instant::now();
    producer.commit_transaction(LIMIT).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_unknown_property_is_refused_with_its_name() {
    let properties = ClientProperties::new("b:1", "test").with("no.such.property", "1");
    let refused = DataProducer::start(&properties, None).unwrap_err().to_string();
    assert!(refused.contains("no.such.property"), "{refused}");
}
