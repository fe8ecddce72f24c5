//! With a standby, a task moves without its state being restored from the start.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use integration_tests::{WordCountScenario, count_of, until};
use streams_dsl::RunningStreams;

const LINES: i64 = 2_000;

fn copied(streams: &RunningStreams) -> i64 {
    streams.status().standbys.values().sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_with_next_to_nothing_to_restore() {
    let scenario = WordCountScenario::new("standby", 2).await;
    let topics = &scenario.topics;
    let start = async |state: &std::path::Path| {
        // State without a cache: each count is a record of the changelog.
        scenario.start(scenario.config(state).standby_replicas(1).cache_max_bytes(0)).await
    };
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = start(here.path()).await;
    topics.send("lines", (0..LINES).map(|number| format!("w{number}"))).await;
    topics.read_until("counts", |counts| counts.len() == LINES as usize).await;
    let second = start(there.path()).await;
    // Whatever each has as its own, the other has a copy of: all counts of the changelog are here or there twice.
    until("two tasks with state have a standby", async || {
        (first.status().standbys.len() + second.status().standbys.len() == 2).then_some(())
    })
    .await;
    until("the standbys have caught up", async || (copied(&first) + copied(&second) >= LINES).then_some(()))
        .await;
    second.shutdown().await.unwrap();
    until("the first instance has all tasks again", async || {
        let tasks = first.status().tasks;
        (tasks.len() == 4 && tasks.values().all(|task| task.running)).then_some(())
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
