//! The data clients against librdkafka's own mock cluster.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::RDKafkaRespErr;

use super::*;
use crate::record::{FetchedRecord, Headers, TopicPartition};
use crate::time::Timestamp;

const LIMIT: Duration = Duration::from_secs(20);
const BUFFER_BYTES: usize = 1 << 20;

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster(partitions: i32) -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", partitions, 1).unwrap();
    cluster
}

fn properties(cluster: &Cluster) -> ClientProperties {
    ClientProperties::new(cluster.bootstrap_servers(), "test")
}

async fn produce(cluster: &Cluster, partition: i32, from: i64, to: i64) {
    let producer = DataProducer::start(&properties(cluster), None).unwrap();
    let topic = producer.topic(&"t".into()).unwrap();
    for number in from..to {
        let key = format!("k{number}");
        let mut headers = Headers::new();
        headers.add("n", Some(Bytes::copy_from_slice(key.as_bytes())));
        headers.add("n", None);
        let at = Timestamp::from_millis(1_000 + number);
        let sent = topic.send(partition, at, Some(key.as_bytes()), Some(b"value"), &headers).unwrap();
        assert_eq!(sent, Enqueued::Taken);
    }
    producer.flush(LIMIT).await.unwrap();
    assert_eq!(producer.in_flight(), 0);
}

fn sink() -> (FetchSink, mpsc::Receiver<FetchEvent>) {
    let (sender, receiver) = mpsc::channel();
    (Box::new(move |event| drop(sender.send(event))), receiver)
}

fn assignment(partition: i32, from: FetchFrom) -> (FetchAssignment, mpsc::Receiver<FetchEvent>) {
    let (sink, events) = sink();
    (FetchAssignment { partition: TopicPartition::new("t", partition), from, sink }, events)
}

/// Takes records until the end of the partition is reported; the permits are dropped with their batches.
fn until_end(events: &mpsc::Receiver<FetchEvent>) -> Vec<FetchedMessage> {
    let mut records = Vec::new();
    let until = Instant::now() + LIMIT;
    loop {
        match events.recv_timeout(until.saturating_duration_since(Instant::now())).unwrap() {
            FetchEvent::Records(batch) => records.extend(batch.records),
            FetchEvent::End { .. } => return records,
            FetchEvent::Fault(fault) => panic!("{fault}"),
        }
    }
}

#[tokio::test]
async fn records_come_back_whole_and_in_order() {
    let cluster = cluster(2);
    produce(&cluster, 1, 0, 5_000).await;
    let consumer = DataConsumer::start(&properties(&cluster), "app", BUFFER_BYTES * 16).unwrap();
    let (assignment, events) = assignment(1, FetchFrom::Beginning);
    consumer.assign(vec![assignment]).await.unwrap();
    let records = until_end(&events);
    assert_eq!(records.len(), 5_000);
    for (number, record) in records.iter().enumerate() {
        let key = format!("k{number}");
        assert_eq!(record.offset(), number as i64);
        assert_eq!(record.key(), Some(key.as_bytes()));
        assert_eq!(record.value(), Some(&b"value"[..]));
        assert_eq!(record.timestamp(), Timestamp::from_millis(1_000 + number as i64));
        let headers = record.headers();
        let headers: Vec<_> = headers.iter().map(|header| (&*header.name, header.value.as_deref())).collect();
        assert_eq!(headers, [("n", Some(key.as_bytes())), ("n", None)]);
    }
    // Messages outlive their consumer.
    drop(consumer);
    assert_eq!(records[4_999].value(), Some(&b"value"[..]));
}

#[tokio::test]
async fn nulls_are_not_empty() {
    let cluster = cluster(1);
    let producer = DataProducer::start(&properties(&cluster), None).unwrap();
    let topic = producer.topic(&"t".into()).unwrap();
    let at = Timestamp::from_millis(7);
    for (key, value) in [(None, Some(&b""[..])), (Some(&b""[..]), None)] {
        assert_eq!(topic.send(0, at, key, value, &Headers::new()).unwrap(), Enqueued::Taken);
    }
    producer.flush(LIMIT).await.unwrap();
    let consumer = DataConsumer::start(&properties(&cluster), "app", BUFFER_BYTES).unwrap();
    let (assignment, events) = assignment(0, FetchFrom::Beginning);
    consumer.assign(vec![assignment]).await.unwrap();
    let records = until_end(&events);
    assert_eq!((records[0].key(), records[0].value()), (None, Some(&b""[..])));
    assert_eq!((records[1].key(), records[1].value()), (Some(&b""[..]), None));
}

#[tokio::test]
async fn partitions_come_go_and_are_sought_without_disturbing_the_others() {
    let cluster = cluster(2);
    produce(&cluster, 0, 0, 100).await;
    produce(&cluster, 1, 0, 100).await;
    let consumer = DataConsumer::start(&properties(&cluster), "app", BUFFER_BYTES).unwrap();
    let (first, first_events) = assignment(0, FetchFrom::Offset(40));
    consumer.assign(vec![first]).await.unwrap();
    assert_eq!(until_end(&first_events).first().map(FetchedRecord::offset), Some(40));
    let (second, second_events) = assignment(1, FetchFrom::Beginning);
    consumer.assign(vec![second]).await.unwrap();
    assert_eq!(until_end(&second_events).len(), 100);
    consumer.seek(vec![(TopicPartition::new("t", 1), FetchFrom::Offset(90))]).await.unwrap();
    assert_eq!(until_end(&second_events).len(), 10);
    consumer.unassign(vec![TopicPartition::new("t", 1)]).await.unwrap();
    produce(&cluster, 0, 100, 110).await;
    produce(&cluster, 1, 100, 110).await;
    assert_eq!(until_end(&first_events).len(), 10);
    assert!(second_events.try_recv().is_err(), "an unassigned partition is silent");
}

#[tokio::test]
async fn fetching_stops_at_the_budget_and_a_starving_partition_still_gets_its_records() {
    let cluster = cluster(2);
    produce(&cluster, 0, 0, 5_000).await;
    let consumer = DataConsumer::start(&properties(&cluster), "app", 64 * 1024).unwrap();
    let (fat, fat_events) = assignment(0, FetchFrom::Beginning);
    consumer.assign(vec![fat]).await.unwrap();
    // The first batch alone is beyond the budget, and is kept.
    let FetchEvent::Records(kept) = fat_events.recv_timeout(LIMIT).unwrap() else {
        panic!("records come first")
    };
    assert!(kept.permit.bytes() > 64 * 1024);
    produce(&cluster, 1, 0, 10).await;
    let (lean, lean_events) = assignment(1, FetchFrom::Beginning);
    consumer.assign(vec![lean]).await.unwrap();
    assert_eq!(until_end(&lean_events).len(), 10);
    let seen = kept.records.len();
    drop(kept);
    assert_eq!(seen + until_end(&fat_events).len(), 5_000, "nothing is lost or doubled by the pause");
}

/// A partition is paused right behind its end, and goes on with the very next record.
#[tokio::test]
async fn a_pause_at_the_end_of_a_partition_loses_nothing() {
    let cluster = cluster(2);
    produce(&cluster, 0, 0, 2_000).await;
    let consumer = DataConsumer::start(&properties(&cluster), "app", BUFFER_BYTES / 4).unwrap();
    let (full, full_events) = assignment(0, FetchFrom::Beginning);
    consumer.assign(vec![full]).await.unwrap();
    // Partition 0 spends the budget up to its end, and is paused for the sake of partition 1.
    let mut held = Vec::new();
    let mut offsets: Vec<i64> = Vec::new();
    let until = Instant::now() + LIMIT;
    while offsets.len() < 2_000 {
        match full_events.recv_timeout(until.saturating_duration_since(Instant::now())).unwrap() {
            FetchEvent::Records(batch) => {
                offsets.extend(batch.records.iter().map(FetchedRecord::offset));
                held.push(batch);
            }
            FetchEvent::End { .. } => {}
            FetchEvent::Fault(fault) => panic!("{fault}"),
        }
        // Without room nothing more would come: all but the newest batch are given back.
        held.drain(..held.len().saturating_sub(1));
    }
    produce(&cluster, 1, 0, 10).await;
    let (starving, starving_events) = assignment(1, FetchFrom::Beginning);
    consumer.assign(vec![starving]).await.unwrap();
    assert_eq!(until_end(&starving_events).len(), 10);
    produce(&cluster, 0, 2_000, 2_100).await;
    drop(held);
    while offsets.len() < 2_100 {
        match full_events.recv_timeout(until.saturating_duration_since(Instant::now())).unwrap() {
            FetchEvent::Records(batch) => offsets.extend(batch.records.iter().map(FetchedRecord::offset)),
            FetchEvent::End { .. } => {}
            FetchEvent::Fault(fault) => panic!("{fault}"),
        }
    }
    assert_eq!(offsets, (0..2_100).collect::<Vec<i64>>());
}

#[tokio::test]
async fn an_offset_out_of_range_is_told_to_its_owner() {
    let cluster = cluster(1);
    produce(&cluster, 0, 0, 10).await;
    let consumer = DataConsumer::start(&properties(&cluster), "app", BUFFER_BYTES).unwrap();
    let (assignment, events) = assignment(0, FetchFrom::Offset(1_000));
    consumer.assign(vec![assignment]).await.unwrap();
    match events.recv_timeout(LIMIT).unwrap() {
        FetchEvent::Fault(ClientError::OffsetOutOfRange { partition, offset: 1_000 }) => {
            assert_eq!(partition, TopicPartition::new("t", 0));
        }
        other => panic!("{other:?}"),
    }
}

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
