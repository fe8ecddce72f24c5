//! An application that is closed, or whose state is deleted, goes on as if it had never stopped.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use integration_tests::{Counts, WordCountScenario, count_of};

const WORDS: i64 = 50;

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
