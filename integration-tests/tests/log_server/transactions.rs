//! Transactions: what readers of committed records see, offsets within them, fencing, and restarts.

use std::cell::RefCell;
use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::broker::{Broker, LIMIT, assigned, number, poll_until, send};

const PARTITIONS: i32 = 2;

fn producer(broker: &Broker, id: &str, timeout_ms: u32) -> BaseProducer {
    let mut config = broker.client();
    config.set("transactional.id", id).set("transaction.timeout.ms", timeout_ms.to_string());
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(LIMIT).unwrap();
    producer
}

fn transact(producer: &BaseProducer, topic: &str, numbers: std::ops::Range<i32>, is_commit: bool) {
    producer.begin_transaction().unwrap();
    send(producer, topic, PARTITIONS, numbers);
    producer.flush(LIMIT).unwrap();
    if is_commit {
        producer.commit_transaction(LIMIT).unwrap();
    } else {
        producer.abort_transaction(LIMIT).unwrap();
    }
}

/// Reads until `last` has come, and returns all numbers, sorted.
fn read(broker: &Broker, topic: &str, isolation: &str, last: i32) -> Vec<i32> {
    let reader = broker.consumer("readers", &[("isolation.level", isolation)]);
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    reader.assign(&all).unwrap();
    let seen = RefCell::new(Vec::new());
    // Each partition ends with a number of its own.
    let ends: Vec<i32> = (0..PARTITIONS).map(|partition| last - partition).collect();
    let done = || ends.iter().all(|end| seen.borrow().contains(end));
    poll_until("the last number is read", &[&reader], |_, m| seen.borrow_mut().push(number(m)), done);
    let mut seen = seen.into_inner();
    seen.sort_unstable();
    seen
}

#[test]
fn readers_of_committed_records_see_no_aborted_ones() {
    let mut broker = Broker::start();
    broker.create_topic("mixed", PARTITIONS);
    let writer = producer(&broker, "w", 10_000);
    for round in 0..10 {
        transact(&writer, "mixed", round * 10..round * 10 + 10, round % 2 == 0);
    }
    transact(&writer, "mixed", 100..110, true);
    let expected: Vec<i32> = (0..110).filter(|number| (number / 10) % 2 == 0).collect();
    assert_eq!(read(&broker, "mixed", "read_committed", 109), expected);
    assert_eq!(read(&broker, "mixed", "read_uncommitted", 109), (0..110).collect::<Vec<_>>());
    drop(writer);
    broker.restart();
    assert_eq!(read(&broker, "mixed", "read_committed", 109), expected, "also after a restart");
}

#[test]
fn offsets_within_a_transaction_count_when_it_commits() {
    let broker = Broker::start();
    broker.create_topic("in", PARTITIONS);
    broker.create_topic("out", PARTITIONS);
    broker.produce("in", PARTITIONS, 0..10);
    let consumer = broker.consumer("etl", &[]);
    consumer.subscribe(&["in"]).unwrap();
    poll_until("it has all", &[&consumer], |_, _| {}, || assigned(&consumer) == 2);
    let writer = producer(&broker, "etl", 10_000);
    let committed = |consumer: &BaseConsumer| {
        let mut asked_for = TopicPartitionList::new();
        asked_for.add_partition("in", 0);
        consumer.committed_offsets(asked_for, LIMIT).unwrap().elements()[0].offset()
    };
    for (offset, is_commit, expected) in
        [(3, false, Offset::Invalid), (4, true, Offset::Offset(4)), (5, false, Offset::Offset(4))]
    {
        writer.begin_transaction().unwrap();
        send(&writer, "out", PARTITIONS, 0..2);
        writer.flush(LIMIT).unwrap();
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset("in", 0, Offset::Offset(offset)).unwrap();
        let group = consumer.group_metadata().unwrap();
        writer.send_offsets_to_transaction(&offsets, &group, LIMIT).unwrap();
        if is_commit {
            writer.commit_transaction(LIMIT).unwrap();
        } else {
            writer.abort_transaction(LIMIT).unwrap();
        }
        assert_eq!(committed(&consumer), expected, "after offset {offset}");
    }
}

#[test]
fn second_producer_of_an_id_fences_the_first() {
    let broker = Broker::start();
    broker.create_topic("fenced", PARTITIONS);
    let first = producer(&broker, "w", 10_000);
    first.begin_transaction().unwrap();
    send(&first, "fenced", PARTITIONS, 0..10);
    first.flush(LIMIT).unwrap();
    let second = producer(&broker, "w", 10_000);
    let refused = first.commit_transaction(LIMIT).unwrap_err();
    let KafkaError::Transaction(error) = &refused else { panic!("{refused}") };
    let fenced =
        [RDKafkaErrorCode::Fenced, RDKafkaErrorCode::ProducerFenced, RDKafkaErrorCode::InvalidProducerEpoch];
    assert!(error.is_fatal() && fenced.contains(&error.code()), "{error:?}");
    transact(&second, "fenced", 10..20, true);
    assert_eq!(read(&broker, "fenced", "read_committed", 19), (10..20).collect::<Vec<_>>());
}

#[test]
fn abandoned_transaction_is_aborted_after_its_time_over_a_restart() {
    let mut broker = Broker::start();
    broker.create_topic("abandoned", PARTITIONS);
    let lost = producer(&broker, "lost", 3_000);
    lost.begin_transaction().unwrap();
    send(&lost, "abandoned", PARTITIONS, 0..10);
    lost.flush(LIMIT).unwrap();
    std::mem::forget(lost);
    broker.restart();
    broker.produce("abandoned", PARTITIONS, 10..20);
    let began = Instant::now();
    assert_eq!(read(&broker, "abandoned", "read_committed", 19), (10..20).collect::<Vec<_>>());
    assert!(began.elapsed() < LIMIT / 2, "readers waited {:?}", began.elapsed());
}

#[test]
fn transactions_follow_each_other_without_retries() {
    let broker = Broker::start();
    broker.create_topic("many", PARTITIONS);
    let writer = producer(&broker, "w", 10_000);
    let began = Instant::now();
    for round in 0..50 {
        transact(&writer, "many", round * 2..round * 2 + 2, true);
    }
    println!("50 transactions in {:?}", began.elapsed());
    assert_eq!(read(&broker, "many", "read_committed", 99), (0..100).collect::<Vec<_>>());
}
