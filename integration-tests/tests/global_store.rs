//! A global store is whole before the first record is processed, and follows its topic.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use integration_tests::{TestBroker, Topics, global_lookup};
use streams_dsl::prelude::*;
use streams_dsl::serdes::Void;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_find_what_the_global_topic_held_before_and_what_comes_later() {
    let broker = TestBroker::start().await;
    let topics = Topics::new(broker.bootstrap(), "global");
    for (topic, partitions) in [("codes", 2), ("names", 3), ("out", 1)] {
        topics.create(topic, partitions).await;
    }
    let state = tempfile::tempdir().unwrap();
    topics.send("names", (0..3_000).map(|number| format!("c{number} name-{number}"))).await;
    topics.send("codes", (0..3_000).map(|number| format!("c{number}"))).await;
    for (round, late) in [(1, "late"), (2, "later")] {
        let topology = global_lookup(&topics.name("codes"), &topics.name("names"), &topics.name("out"));
        let config = broker.config(&topics.name("app"), state.path());
        let streams = KafkaStreams::new(topology, config).unwrap().start().await.unwrap();
        topics.send("names", [format!("{late} found")]).await;
        let found = |out: &integration_tests::Counts| {
            out.get(late).is_some_and(|names| names.last().is_some_and(|name| name == b"found"))
        };
        // Asked for until the store has followed its topic.
        loop {
            topics.send("codes", [late.to_owned()]).await;
            topics.read_until("out", |out| out.contains_key(late)).await;
            if found(&topics.read("out").await) {
                break;
            }
        }
        let out = topics.read("out").await;
        for number in 0..3_000 {
            let names = &out[&format!("c{number}")];
            assert_eq!(names, &[format!("name-{number}").into_bytes()], "round {round}: c{number}");
        }
        streams.shutdown().await.unwrap();
    }
}

/// Joins each code with the row of the global table `CODE` → `CODE NAME` that it names.
fn table_lookup(codes: &str, names: &str, output: &str) -> Topology {
    let builder = StreamsBuilder::new();
    let rows = builder.stream_with(codes, Consumed::with(Void, Utf8));
    let names =
        builder.global_table_with::<String, String>(names, Consumed::new(), Materialized::named("names"));
    let named = rows.left_join(names.by(|_: &(), code: &String| code.clone()), |code, name| {
        (code.clone(), name.cloned().unwrap_or_default())
    });
    named.map(|_, pair| pair).to(output);
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_joins_a_global_table_of_all_partitions() {
    let broker = TestBroker::start().await;
    let topics = Topics::new(broker.bootstrap(), "global-table");
    for (topic, partitions) in [("lines", 1), ("codes", 2), ("names", 3), ("out", 1)] {
        topics.create(topic, partitions).await;
    }
    let state = tempfile::tempdir().unwrap();
    // An application of its own fills the table's topic by key.
    let builder = StreamsBuilder::new();
    let lines = builder.stream_with(topics.name("lines"), Consumed::with(Void, Utf8));
    lines
        .map(|_, line| (line.split(' ').next().unwrap_or_default().to_owned(), line))
        .to(topics.name("names"));
    let config = broker.config(&topics.name("filler"), state.path());
    let filler = KafkaStreams::new(builder.build().unwrap(), config).unwrap().start().await.unwrap();
    topics.send("lines", (0..500).map(|number| format!("c{number} name-{number}"))).await;
    topics.read_until("names", |names| names.len() == 500).await;
    filler.shutdown().await.unwrap();
    topics.send("codes", (0..500).map(|number| format!("c{number}"))).await;
    let topology = table_lookup(&topics.name("codes"), &topics.name("names"), &topics.name("out"));
    let config = broker.config(&topics.name("app"), state.path());
    let streams = KafkaStreams::new(topology, config).unwrap().start().await.unwrap();
    let out = topics.read_until("out", |out| out.len() == 500).await;
    for number in 0..500 {
        let name = format!("c{number} name-{number}").into_bytes();
        assert_eq!(out[&format!("c{number}")], [name], "c{number}");
    }
    streams.shutdown().await.unwrap();
}
