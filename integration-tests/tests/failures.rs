//! What fails is dealt with by policy: dead letters are whole, others are not disturbed, and what is left stops as asked.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use integration_tests::{TestBroker, Topics};
use streams_dsl::client::{ClientProperties, DataProducer, Enqueued};
use streams_dsl::prelude::*;
use streams_dsl::processor::Respond;
use streams_dsl::{Error, ErrorPolicy, ProcessingGuarantee, RunningStreams, StreamsState, UncaughtResponse};

const LIMIT: Duration = Duration::from_secs(40);
const RECORDS: i64 = 2_000;

/// Doubles `in` to `out` and panics at numbers for which `panics` says so; counts them by key to `counts`.
fn topology(topics: &Topics, panics: impl Fn(i64) -> bool + Send + Sync + 'static) -> Topology {
    let builder = StreamsBuilder::new();
    let doubled = builder.stream::<String, i64>(topics.name("in")).map_values(move |number| {
        assert!(!panics(number), "{number} cannot be doubled");
        number * 2
    });
    doubled.to(topics.name("out"));
    doubled.group_by_key().count().to_stream().to(topics.name("counts"));
    builder.build().unwrap()
}

async fn create(topics: &Topics) {
    for (topic, partitions) in [("in", 3), ("out", 1), ("counts", 1), ("dead", 1)] {
        topics.create(topic, partitions).await;
    }
}

/// Sends numbers; every hundredth has too few bytes.
async fn send_numbers(broker: &TestBroker, topics: &Topics, poison: bool) {
    let producer = DataProducer::start(&ClientProperties::new(broker.bootstrap(), "poison"), None).unwrap();
    let target = producer.topic(&topics.name("in").into()).unwrap();
    for number in 0..RECORDS {
        let (key, bytes) = (format!("k{}", number % 10), number.to_be_bytes());
        let value = if poison && number % 100 == 0 { &bytes[..3] } else { &bytes[..] };
        let (at, partition) = (Timestamp::from_millis(1_000 + number), (number % 10 % 3) as i32);
        let sent = target.send(partition, at, Some(key.as_bytes()), Some(value), &Headers::new()).unwrap();
        assert_eq!(sent, Enqueued::Taken);
    }
    producer.flush(LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_goes_to_the_dead_letters_and_nothing_else_suffers() {
    let broker = TestBroker::start().await;
    let topics = Topics::new(broker.bootstrap(), "poison");
    create(&topics).await;
    send_numbers(&broker, &topics, true).await;
    let state = tempfile::tempdir().unwrap();
    let config = broker
        .config(&topics.name("app"), state.path())
        .guarantee(ProcessingGuarantee::ExactlyOnce)
        .deserialization_errors(ErrorPolicy::Continue)
        .processing_errors(ErrorPolicy::Continue)
        .dead_letter_topic(topics.name("dead"));
    // One in a thousand, none of them unreadable.
    let topology = topology(&topics, |number| number % 1_000 == 7);
    let streams = KafkaStreams::new(topology, config).unwrap().start().await.unwrap();
    let (unreadable, panicked) = (RECORDS / 100, RECORDS / 1_000);
    let good = RECORDS - unreadable - panicked;
    let total = |values: &integration_tests::Counts| values.values().map(Vec::len).sum::<usize>() as i64;
    let out = topics.read_until("out", |out| total(out) >= good).await;
    assert_eq!(total(&out), good);
    let dead = topics.read_until("dead", |dead| total(dead) >= unreadable + panicked).await;
    let short = dead.values().flatten().filter(|value| value.len() == 3).count() as i64;
    assert_eq!((total(&dead), short), (unreadable + panicked, unreadable), "as they came");
    let counts = topics.read_until("counts", |counts| sum_of_last(counts) >= good).await;
    assert_eq!(sum_of_last(&counts), good);
    assert_eq!(streams.state(), StreamsState::Running);
    let dropped: u64 = streams.status().tasks.values().map(|task| task.dropped_records).sum();
    assert_eq!(dropped as i64, unreadable + panicked);
    streams.shutdown().await.unwrap();
}

fn sum_of_last(counts: &integration_tests::Counts) -> i64 {
    let last = |values: &Vec<Vec<u8>>| i64::from_be_bytes(values.last()?.as_slice().try_into().ok()?).into();
    counts.values().filter_map(|values| -> Option<i64> { last(values) }).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_worker_goes_on_from_the_last_commit() {
    let broker = TestBroker::start().await;
    let topics = Topics::new(broker.bootstrap(), "replace");
    create(&topics).await;
    send_numbers(&broker, &topics, false).await;
    let state = tempfile::tempdir().unwrap();
    let (failures, asked) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let asks = Arc::clone(&asked);
    let config = broker
        .config(&topics.name("app"), state.path())
        .guarantee(ProcessingGuarantee::ExactlyOnce)
        .on_uncaught_error(move |error: &Error| {
            assert!(error.to_string().contains("cannot be doubled"), "{error}");
            asks.fetch_add(1, Ordering::Relaxed);
            UncaughtResponse::ReplaceWorker
        });
    let topology =
        topology(&topics, move |number| number == 1_500 && failures.fetch_add(1, Ordering::Relaxed) < 2);
    let streams = KafkaStreams::new(topology, config).unwrap().start().await.unwrap();
    let counts = topics.read_until("counts", |counts| sum_of_last(counts) >= RECORDS).await;
    assert_eq!((sum_of_last(&counts), asked.load(Ordering::Relaxed)), (RECORDS, 2));
    streams.shutdown().await.unwrap();
}

/// Both ways in which a record can be too large: the topic's own limit is known before it is handed over; that of a topic which
/// compresses is not, and there the broker refuses it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_production_handler_decides_about_records_that_are_too_large() {
    for compression in ["none", "lz4"] {
        let broker = TestBroker::start().await;
        let topics = Topics::new(broker.bootstrap(), "too-large");
        topics.create("in", 1).await;
        topics.create("dead", 1).await;
        topics.create_with("out", 1, &[("max.message.bytes", "2000")]).await;
        let texts = |length: usize| random_text(length);
        topics.send("in", [texts(100), texts(3_000), texts(200), texts(4_000), texts(300)]).await;
        let state = tempfile::tempdir().unwrap();
        let (out, dead) = (topics.name("out"), topics.name("dead"));
        let config = broker
            .config(&topics.name("app"), state.path())
            // Each record in a batch of its own, as the broker refuses batches.
            .with("producer.batch.size", "1")
            .and_then(|config| config.with("producer.compression.type", compression))
            .unwrap()
            .on_production_error(move |failed| {
                assert_eq!((failed.topic, failed.partition), (&*out, Some(0)));
                match failed.value.map_or(0, <[u8]>::len) {
                    4_000 => Respond::DeadLetter(dead.as_str().into()),
                    _ => Respond::Continue,
                }
            });
        let builder = StreamsBuilder::new();
        builder.stream::<Option<String>, String>(topics.name("in")).to(topics.name("out"));
        let streams = KafkaStreams::new(builder.build().unwrap(), config).unwrap().start().await.unwrap();
        let lengths =
            |values: &integration_tests::Counts| values.values().flatten().map(Vec::len).collect::<Vec<_>>();
        let out = topics.read_until("out", |out| lengths(out).len() >= 3).await;
        assert_eq!(lengths(&out), [100, 200, 300], "{compression}: in their order");
        let dead = topics.read_until("dead", |dead| !dead.is_empty()).await;
        assert_eq!(lengths(&dead), [4_000], "{compression}");
        assert_eq!(streams.state(), StreamsState::Running);
        streams.shutdown().await.unwrap();
    }
}

/// Letters that cannot be compressed to much less.
fn random_text(length: usize) -> String {
    let mut state = length as u64;
    let letters = std::iter::repeat_with(|| {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        char::from(b'!' + ((mixed ^ (mixed >> 31)) % 90) as u8)
    });
    letters.take(length).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_may_stop_all_instances() {
    let broker = TestBroker::start().await;
    let topics = Topics::new(broker.bootstrap(), "stop-all");
    create(&topics).await;
    let fails = Arc::new(AtomicBool::new(false));
    let start = async |state: &std::path::Path| -> RunningStreams {
        let config = broker
            .config(&topics.name("app"), state)
            .on_uncaught_error(|_: &Error| UncaughtResponse::StopApplication);
        let fails = Arc::clone(&fails);
        let topology = topology(&topics, move |_| fails.swap(false, Ordering::Relaxed));
        KafkaStreams::new(topology, config).unwrap().start().await.unwrap()
    };
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (start(here.path()).await, start(there.path()).await);
    for streams in [&first, &second] {
        assert!(streams.wait_for(StreamsState::Running, LIMIT).await);
    }
    fails.store(true, Ordering::Relaxed);
    send_numbers(&broker, &topics, false).await;
    let ended = async |streams: RunningStreams| {
        let ended = tokio::time::timeout(LIMIT, streams.run_until(std::future::pending::<()>())).await;
        ended.expect("it stops in time").unwrap_err().to_string()
    };
    let mut errors = [ended(first).await, ended(second).await];
    errors.sort_by_key(|error| error.contains("asked the whole application to stop"));
    assert!(errors[0].contains("cannot be doubled") && !errors[0].contains("asked"), "{errors:?}");
    assert!(errors[1].contains("asked the whole application to stop"), "{errors:?}");
}
