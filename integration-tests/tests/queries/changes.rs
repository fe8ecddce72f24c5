//! A table is followed while its application runs.

use integration_tests::{LIMIT, TestBroker, Topics};
use streams_dsl::prelude::*;
use streams_dsl::serdes::Void;
use tokio_stream::StreamExt;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_of_a_count_is_told_in_order() {
    let broker = TestBroker::start().await;
    let topics = Topics::new(broker.bootstrap(), "changes");
    topics.create("words", 2).await;
    let state = tempfile::tempdir().unwrap();
    let builder = StreamsBuilder::new();
    let words = builder.stream_with(topics.name("words"), Consumed::with(Void, Utf8));
    let counts =
        words.group_by(|_, word| word.clone()).count_with(Materialized::named("counts").caching(false));
    let mut changes = counts.changes();
    let config = broker.config(&topics.name("app"), state.path());
    let streams = KafkaStreams::new(builder.build().unwrap(), config).unwrap().start().await.unwrap();
    topics.send("words", (0..300).map(|number| format!("word-{}", number % 3))).await;
    let mut last = std::collections::BTreeMap::<String, i64>::new();
    for _ in 0..300 {
        let change = tokio::time::timeout(LIMIT, changes.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(change.old.unwrap_or(0), last.get(&change.key).copied().unwrap_or(0));
        assert_eq!(change.new, Some(change.old.unwrap_or(0) + 1));
        last.insert(change.key, change.new.unwrap());
    }
    assert!(last.values().eq(&[100, 100, 100]), "{last:?}");
    streams.shutdown().await.unwrap();
}
