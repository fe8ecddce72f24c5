//! A second instance takes its share; the tasks that stay go on; what one gives back the other takes up.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use integration_tests::{Counts, WordCountScenario, count_of, until};
use streams_dsl::RunningStreams;
use streams_dsl::topology::TaskId;

async fn until_tasks(streams: &RunningStreams, count: usize) -> BTreeSet<TaskId> {
    let running = async || {
        let tasks = streams.status().tasks;
        let running: BTreeSet<TaskId> =
            tasks.iter().filter(|(_, task)| task.running).map(|(id, _)| *id).collect();
        (running.len() == count && tasks.len() == count).then_some(running)
    };
    until(&format!("{count} tasks run"), running).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_share_the_tasks_and_lose_nothing() {
    let scenario = WordCountScenario::new("scale-out", 4).await;
    let topics = &scenario.topics;
    let state = tempfile::tempdir().unwrap();
    let start = async || scenario.start(scenario.config(state.path())).await;
    let send = async || topics.send("lines", (0..500).map(|number| format!("all w{}", number % 20))).await;

    let first = start().await;
    until_tasks(&first, 8).await;
    send().await;
    let second = start().await;
    let others = until_tasks(&second, 4).await;
    let kept = until_tasks(&first, 4).await;
    assert!(kept.is_disjoint(&others), "{kept:?} {others:?}");
    let generation = first.status().generation;
    send().await;
    let total = |counts: &Counts| counts.keys().map(|word| count_of(counts, word)).sum::<i64>();
    topics.read_until("counts", |counts| total(counts) >= 2 * 1_000).await;

    // Both share one state directory, so what moves finds its state there.
    second.shutdown().await.unwrap();
    assert_eq!(until_tasks(&first, 8).await.len(), 8);
    let rounds = first.status().generation - generation;
    assert!(rounds >= 2, "its tasks are given to others before it leaves: {rounds} rounds");
    send().await;
    let counts = topics.read_until("counts", |counts| total(counts) >= 2 * 1_500).await;
    first.shutdown().await.unwrap();
    assert_eq!(count_of(&counts, "all"), 1_500, "a clean hand-over repeats nothing");
    for word in 0..20 {
        assert_eq!(count_of(&counts, &format!("w{word}")), 75, "w{word}");
    }
    let all: Vec<i64> =
        counts["all"].iter().map(|count| i64::from_be_bytes(count[..].try_into().unwrap())).collect();
    assert!(all.is_sorted(), "counts never go back");
}
