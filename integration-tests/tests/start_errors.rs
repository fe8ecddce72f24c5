//! What cannot run says so, in time and in words that help.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use integration_tests::{TestBroker, Topics, WordCountScenario, word_count};
use streams_dsl::{Error, KafkaStreams, StreamsConfig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_not_there_is_an_error_after_the_start_timeout() {
    let state = tempfile::tempdir().unwrap();
    let config = StreamsConfig::new("app", "127.0.0.1:1")
        .state_dir(state.path())
        .startup_timeout(Duration::from_millis(700));
    let begun = Instant::now();
    let error = KafkaStreams::new(word_count("in", "out"), config).unwrap().start().await.unwrap_err();
    assert!(matches!(error, Error::BrokerUnreachable { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_source_topic_is_named_after_the_start_timeout() {
    let broker = TestBroker::start().await;
    let topics = Topics::new(broker.bootstrap(), "missing");
    let state = tempfile::tempdir().unwrap();
    let config = broker.config(&topics.name("app"), state.path()).startup_timeout(Duration::from_millis(700));
    let (input, output) = (topics.name("lines"), topics.name("counts"));
    let error = KafkaStreams::new(word_count(&input, &output), config).unwrap().start().await.unwrap_err();
    assert!(matches!(&error, Error::Topics { .. }), "{error}");
    assert!(error.to_string().contains(&input), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_read_ends_the_application_with_its_place() {
    let scenario = WordCountScenario::new("unreadable", 1).await;
    let topics = &scenario.topics;
    let state = tempfile::tempdir().unwrap();
    topics.send("lines", ["fine".to_owned(), "fine too".to_owned()]).await;
    topics.send_bytes("lines", &[0xff, 0xfe]).await;
    let start = async |policy: &str| {
        let config = scenario.config(state.path()).with("deserialization.exception.handler", policy).unwrap();
        scenario.instance(config).start().await.unwrap()
    };
    let failed = start("fail").await.run_until(std::future::pending::<()>()).await.unwrap_err();
    let text = failed.to_string();
    let place = format!("{}-0 at offset 2", topics.name("lines"));
    assert!(text.contains("0_0") && text.contains(&place), "{text}");

    let streams = start("continue").await;
    topics.send("lines", ["after".to_owned()]).await;
    topics.read_until("counts", |counts| counts.contains_key("after")).await;
    streams.shutdown().await.unwrap();
}
