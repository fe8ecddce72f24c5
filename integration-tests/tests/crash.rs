//! An application that ends without a word, again and again: nothing is lost, and with exactly-once nothing counts twice.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use integration_tests::{Counts, TestBroker, Topics, count_of, word_count};
use streams_dsl::{KafkaStreams, ProcessingGuarantee, StreamsState};

const LIMIT: Duration = Duration::from_secs(40);
const WORDS: i64 = 20;
const ROUNDS: i64 = 3;
const LINES: i64 = 2_000;

/// Runs a word count that crashes in every round but the last, each time after some counts of the round came out.
async fn crash_and_go_on(scenario: &str, guarantee: ProcessingGuarantee) -> Counts {
    let broker = TestBroker::start().await;
    let topics = Topics::new(broker.bootstrap(), scenario);
    topics.create("lines", 2).await;
    topics.create("counts", 1).await;
    let state = tempfile::tempdir().unwrap();
    let total = |counts: &Counts| counts.keys().map(|word| count_of(counts, word)).sum::<i64>();
    let mut counts = Counts::new();
    for round in 1..=ROUNDS {
        topics.send("lines", (0..LINES).map(|number| format!("w{}", number % WORDS))).await;
        let topology = word_count(&topics.name("lines"), &topics.name("counts"));
        let config = broker
            .config(&topics.name("app"), state.path())
            .guarantee(guarantee)
            .commit_interval(Duration::from_millis(50));
        let streams = KafkaStreams::new(topology, config).unwrap().start().await.unwrap();
        assert!(streams.wait_for(StreamsState::Running, LIMIT).await, "round {round}");
        if round < ROUNDS {
            let some = (round - 1) * LINES + 1;
            topics.read_until("counts", |counts| total(counts) >= some).await;
            drop(streams);
        } else {
            counts = topics.read_until("counts", |counts| total(counts) >= ROUNDS * LINES).await;
            streams.shutdown().await.unwrap();
        }
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_least_once_loses_nothing() {
    let counts = crash_and_go_on("crash-alos", ProcessingGuarantee::AtLeastOnce).await;
    for word in 0..WORDS {
        assert!(count_of(&counts, &format!("w{word}")) >= ROUNDS * LINES / WORDS, "w{word}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_once_counts_each_record_once() {
    let counts = crash_and_go_on("crash-eos", ProcessingGuarantee::ExactlyOnce).await;
    for word in 0..WORDS {
        let values = &counts[&format!("w{word}")];
        let values: Vec<i64> =
            values.iter().map(|it| i64::from_be_bytes(it[..].try_into().unwrap())).collect();
        let expected: Vec<i64> = (1..=ROUNDS * LINES / WORDS).collect();
        assert_eq!(values, expected, "every count of w{word} came out once, in order");
    }
}
