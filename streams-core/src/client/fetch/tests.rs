//! The consumer against librdkafka's own mock cluster.

use std::sync::mpsc;
use std::time::Instant;

use super::*;
use crate::client::mock::{LIMIT, cluster, produce, properties};
use crate::client::{ClientError, DataProducer, Enqueued};
use crate::record::{FetchedRecord, Headers, TopicPartition};
use crate::time::Timestamp;

const BUFFER_BYTES: usize = 1 << 20;

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
    // Batches of a few records each, so that the broker can answer with little.
    for from in (0..5_000).step_by(1_250) {
        produce(&cluster, 0, from, from + 1_250).await;
    }
    let consumer = DataConsumer::start(&properties(&cluster), "app", 64 * 1024).unwrap();
    let (fat, fat_events) = assignment(0, FetchFrom::Beginning);
    consumer.assign(vec![fat]).await.unwrap();
    let first = fat_events.recv_timeout(LIMIT).unwrap();
    produce(&cluster, 1, 0, 10).await;
    let (lean, lean_events) = assignment(1, FetchFrom::Beginning);
    consumer.assign(vec![lean]).await.unwrap();
    assert_eq!(until_end(&lean_events).len(), 10);
    // Nothing of the first partition was given back so far.
    let kept: Vec<FetchEvent> = std::iter::once(first).chain(fat_events.try_iter()).collect();
    let held = |event: &FetchEvent| match event {
        FetchEvent::Records(batch) => (batch.permit.bytes(), batch.records.len()),
        other => panic!("{other:?} before the end"),
    };
    let (bytes, seen) =
        kept.iter().map(held).fold((0, 0), |(bytes, seen), (more, records)| (bytes + more, seen + records));
    assert!(seen < 5_000 && bytes < 2 * 64 * 1024, "{bytes} bytes of {seen} records");
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

#[test]
fn an_unknown_property_is_refused_with_its_name() {
    let properties = crate::client::ClientProperties::new("b:1", "test").with("no.such.property", "1");
    let refused = DataConsumer::start(&properties, "app", BUFFER_BYTES).unwrap_err().to_string();
    assert!(refused.contains("no.such.property"), "{refused}");
}
