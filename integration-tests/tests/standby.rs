//! With a standby, a task moves without its state being restored from the start.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use integration_tests::{TestBroker, Topics, count_of, word_count};
use streams_dsl::{KafkaStreams, RunningStreams, StreamsState};

const LIMIT: Duration = Duration::from_secs(40);
const LINES: i64 = 2_000;

async fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LIMIT, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn copied(streams: &RunningStreams) -> i64 {
    streams.status().standbys.values().sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_with_next_to_nothing_to_restore() {
    let broker = TestBroker::start().await;
    let topics = Topics::new(broker.bootstrap(), "standby");
    topics.create("lines", 2).await;
    topics.create("counts", 1).await;
    let start = async |state: &std::path::Path| {
        let topology = word_count(&topics.name("lines"), &topics.name("counts"));
        let mut config = broker.config(&topics.name("app"), state);
        config.set("num.standby.replicas", "1").unwrap();
        // State without a cache: each count is a record of the changelog.
        config.set("statestore.cache.max.bytes", "0").unwrap();
        let streams = KafkaStreams::new(topology, config).unwrap().start().await.unwrap();
        assert!(streams.wait_for(StreamsState::Running, LIMIT).await);
        streams
    };
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = start(here.path()).await;
    topics.send("lines", (0..LINES).map(|number| format!("w{number}"))).await;
    topics.read_until("counts", |counts| counts.len() == LINES as usize).await;
    let second = start(there.path()).await;
    // Whatever each has as its own, the other has a copy of: all counts of the changelog are here or there twice.
    until("two tasks with state have a standby", || {
        first.status().standbys.len() + second.status().standbys.len() == 2
    })
    .await;
    until("the standbys have caught up", || copied(&first) + copied(&second) >= LINES).await;
    second.shutdown().await.unwrap();
    until("the first instance has all tasks again", || {
        let tasks = first.status().tasks;
        tasks.len() == 4 && tasks.values().all(|task| task.running)
    })
    .await;
    let restored: u64 = first.status().tasks.values().map(|task| task.restored_records).sum();
    assert!(restored < 100, "{restored} records were restored although a copy was there");
    topics.send("lines", (0..LINES).map(|number| format!("w{number}"))).await;
    let counts = topics
        .read_until("counts", |counts| (0..LINES).all(|n| count_of(counts, &format!("w{n}")) >= 2))
        .await;
    assert!((0..LINES).all(|number| count_of(&counts, &format!("w{number}")) == 2));
    first.shutdown().await.unwrap();
}
