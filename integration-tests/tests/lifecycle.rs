//! Pauses, workers that come and go, topics that come later.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use integration_tests::{Counts, LIMIT, TestBroker, Topics, WordCountScenario, count_of, until};
use streams_dsl::client::wire::{WireClient, WireConfig};
use streams_dsl::topology::TaskId;
use streams_dsl::{
    CloseOptions, GroupMembershipOperation, KafkaStreams, RunningStreams, StreamsBuilder, StreamsState,
};

/// How many tasks each worker runs.
fn loads(streams: &RunningStreams) -> Vec<usize> {
    let tasks = streams.status().tasks;
    let workers = tasks.values().map(|task| task.worker).max().map_or(0, |last| last + 1);
    (0..workers).map(|worker| tasks.values().filter(|it| it.worker == worker && it.running).count()).collect()
}

fn total(counts: &Counts) -> i64 {
    counts.keys().map(|word| count_of(counts, word)).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_tasks_wait_and_workers_come_and_go() {
    let scenario = WordCountScenario::new("lifecycle", 2).await;
    let WordCountScenario { broker, topics } = &scenario;
    let state = tempfile::tempdir().unwrap();
    let streams = scenario.start(scenario.config(state.path())).await;
    let send = async || topics.send("lines", (0..500).map(|number| format!("w{}", number % 20))).await;

    // One of the two counting tasks stands still: the other goes on.
    until("four tasks run", async || (loads(&streams) == [4]).then_some(())).await;
    streams.pause_task(TaskId::new(1, 0));
    send().await;
    let counts = topics.read_until("counts", |counts| total(counts) > 0).await;
    assert!(total(&counts) < 500, "half of the words belong to the paused task");
    streams.resume_task(TaskId::new(1, 0));
    topics.read_until("counts", |counts| total(counts) == 500).await;

    streams.pause();
    assert!(streams.is_paused());
    send().await;
    assert_eq!(streams.add_worker().await.unwrap(), 1);
    until("the second worker has its share", async || (loads(&streams) == [2, 2]).then_some(())).await;
    assert_eq!(total(&topics.read("counts").await), 500, "nothing is processed while all is paused");
    streams.resume();
    topics.read_until("counts", |counts| total(counts) == 1_000).await;

    assert_eq!(streams.remove_worker().await.unwrap(), Some(1));
    until("the first worker has all again", async || (loads(&streams) == [4]).then_some(())).await;
    assert_eq!(streams.remove_worker().await.unwrap(), None, "the last one stays");
    send().await;
    let counts = topics.read_until("counts", |counts| total(counts) >= 1_500).await;
    assert_eq!(total(&counts), 1_500, "nothing was counted twice on the way");

    let options = CloseOptions::new().timeout(LIMIT).group_membership(GroupMembershipOperation::Stay);
    streams.shutdown_with(options).await.unwrap();
    let wire = WireClient::new(WireConfig::new(broker.bootstrap()));
    assert_eq!(wire.describe_group(&topics.name("app")).await.unwrap().members.len(), 1, "it stayed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_a_source_has_got_are_reported_and_stop_nothing() {
    let scenario = WordCountScenario::new("growth", 2).await;
    let WordCountScenario { broker, topics } = &scenario;
    let state = tempfile::tempdir().unwrap();
    let config = scenario.config(state.path()).with("metadata.max.age.ms", "300").unwrap();
    let streams = scenario.start(config).await;
    until("this instance leads", async || (streams.status().leader).then_some(())).await;
    let wire = WireClient::new(WireConfig::new(broker.bootstrap()));
    let lines = topics.name("lines");
    let grown = wire.create_partitions(&[(&lines, 3)]).await.unwrap();
    grown.into_values().for_each(|result| result.unwrap());
    let fault = || streams.status().topic_fault.unwrap_or_default();
    until("the growth is reported", async || (fault().contains("partitions")).then_some(())).await;
    assert!(fault().contains("words-repartition"), "{}", fault());
    topics.send("lines", (0..300).map(|_| "word".to_owned())).await;
    topics.read_until("counts", |counts| total(counts) >= 200).await;
    assert_eq!(streams.state(), StreamsState::Running);
    streams.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_comes_later_and_fits_the_pattern_is_read_as_well() {
    let broker = TestBroker::start().await;
    let topics = Topics::new(broker.bootstrap(), "pattern");
    topics.create("in-a", 2).await;
    topics.create("out", 1).await;
    let builder = StreamsBuilder::new();
    let pattern = topics.name("in-.*");
    builder.stream_matching::<Option<String>, String>(pattern).to(topics.name("out"));
    let state = tempfile::tempdir().unwrap();
    let mut config = broker.config(&topics.name("app"), state.path());
    config.set("metadata.max.age.ms", "300").unwrap();
    let streams = KafkaStreams::new(builder.build().unwrap(), config).unwrap().start().await.unwrap();
    topics.send("in-a", (0..100).map(|number| format!("a{number}"))).await;
    let lines = |out: &Counts| out.values().map(Vec::len).sum::<usize>();
    topics.read_until("out", |out| lines(out) == 100).await;
    // Its first two partitions belong to tasks that run already, the third to a new one.
    topics.create("in-b", 3).await;
    topics.send("in-b", (0..100).map(|number| format!("b{number}"))).await;
    let out = topics.read_until("out", |out| lines(out) >= 200).await;
    assert_eq!(lines(&out), 200, "tasks that took the new topic in did not do the old one again");
    assert_eq!(streams.status().tasks.len(), 3);
    streams.shutdown().await.unwrap();
}
