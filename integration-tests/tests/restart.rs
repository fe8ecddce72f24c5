//! An application that is closed, or whose state is deleted, goes on as if it had never stopped.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use integration_tests::{Counts, TestBroker, Topics, WordCountScenario, count_of};
use streams_core::client::wire::{WireClient, WireConfig};
use streams_dsl::prelude::*;

const LIMIT: Duration = Duration::from_secs(30);
const WORDS: i64 = 50;
const DAY_MS: i64 = 86_400_000;

fn lines(count: i64) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("all w{} w{}", number % WORDS, number % WORDS))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_go_on_after_a_restart_and_after_the_state_is_deleted() {
    let scenario = WordCountScenario::new("restart", 4).await;
    let topics = &scenario.topics;
    let state = tempfile::tempdir().unwrap();
    let application = topics.name("app");
    let run = async |rounds: i64| {
        topics.send("lines", lines(1_000)).await;
        let streams = scenario.start(scenario.config(state.path())).await;
        let total = |counts: &Counts| counts.keys().map(|word| count_of(counts, word)).sum::<i64>();
        let counts = topics.read_until("counts", |counts| total(counts) >= rounds * 3_000).await;
        for word in 0..WORDS {
            assert_eq!(count_of(&counts, &format!("w{word}")), rounds * 1_000 / WORDS * 2, "w{word}");
        }
        assert_eq!(count_of(&counts, "all"), rounds * 1_000);
        let restored: u64 = streams.status().tasks.values().map(|task| task.restored_records).sum();
        streams.shutdown().await.unwrap();
        restored
    };
    assert_eq!(run(1).await, 0, "a new application has nothing to restore");
    assert_eq!(run(2).await, 0, "state that is there is not restored again");
    std::fs::remove_dir_all(state.path().join(&application)).unwrap();
    assert!(run(3).await > 0, "deleted state is restored from the changelog");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_changelog_of_old_events_windows_is_kept_as_much_longer() {
    let broker = TestBroker::start().await;
    let topics = Topics::new(broker.bootstrap(), "old-events");
    topics.create("lines", 1).await;
    let builder = StreamsBuilder::new();
    let _counts = builder
        .stream::<Option<String>, String>(topics.name("lines"))
        .group_by(|_, word| word.clone())
        .windowed_by(TimeWindows::of_size(Duration::from_secs(1)).grace(Duration::ZERO))
        .count_with(Materialized::named("per-window"));
    let state = tempfile::tempdir().unwrap();
    let config = broker.config(&topics.name("app"), state.path());
    let streams = KafkaStreams::new(builder.build().unwrap(), config).unwrap().start().await.unwrap();
    assert!(streams.wait_for(streams_dsl::StreamsState::Running, LIMIT).await);
    let client = WireClient::new(WireConfig::new(broker.bootstrap()));
    let changelog = format!("{}-per-window-changelog", topics.name("app"));
    let retention_ms = async || {
        let described = client.describe_topic_configs(&[&changelog]).await.unwrap();
        described[&changelog]["retention.ms"].value.clone().unwrap().parse::<i64>().unwrap()
    };
    let fresh = retention_ms().await;
    assert!(fresh < 2 * DAY_MS, "{fresh}");
    // These records are from 1970.
    topics.send("lines", ["tea".to_owned()]).await;
    let begun = Instant::now();
    while retention_ms().await < 50 * 365 * DAY_MS {
        assert!(begun.elapsed() < LIMIT, "the retention stays at {} ms", retention_ms().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    streams.shutdown().await.unwrap();
}
