//! What the HTTP service answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use integration_tests::{HttpClient, LIMIT, TestBroker, Topics, WordCountScenario, until, word_count};
use serde_json::Value;
use streams_dsl::StreamsState;
use streams_dsl::http::{HttpOptions, StartWithHttp};
use streams_dsl::membership::InstanceMetadata;
use streams_dsl::prelude::*;
use streams_dsl::query::KeyMetadata;
use tokio::net::TcpStream;

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    HttpClient::default().get(address, path).await.unwrap()
}

async fn get_json(address: SocketAddr, path: &str) -> (u16, Value) {
    HttpClient::default().get_json(address, path).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_shows_keys_pages_metrics_and_status() {
    let broker = TestBroker::start().await;
    let topics = Topics::new(broker.bootstrap(), "http");
    topics.create("lines", 2).await;
    topics.create("counts", 1).await;
    let state = tempfile::tempdir().unwrap();
    let topology = Arc::new(word_count(&topics.name("lines"), &topics.name("counts")));
    let mut config = broker.config(&topics.name("app"), state.path());
    config.set("metrics.recording.level", "DEBUG").unwrap();
    let streams = KafkaStreams::new(Arc::clone(&topology), config).unwrap();
    let streams = streams.start_with_http(HttpOptions::default()).await.unwrap();
    let at = streams.address();
    assert!(streams.wait_for(StreamsState::Running, LIMIT).await);
    topics.send("lines", (0..30).map(|number| format!("w{number:02} w{number:02} all"))).await;
    until("all words are counted", async || {
        let (status, body) = get_json(at, "/stores/counts/keys/all?latest=true").await;
        assert_eq!(status, 200, "{body}");
        (body["value"] == 30).then_some(())
    })
    .await;
    let token =
        get_json(at, "/stores/counts/keys/all?latest=true").await.1["position"].as_str().unwrap().to_owned();
    let committed = get_json(at, &format!("/stores/counts/keys/all?timeout_ms=10000&position={token}")).await;
    assert_eq!((committed.0, &committed.1["value"]), (200, &Value::from(30)), "{}", committed.1);
    assert_eq!(get_json(at, "/stores/counts/keys/coffee").await.1["found"], false);

    // Pages come in the order of the keys of all partitions, each entry once.
    let words = words_by_pages(at).await;
    assert_eq!(words, (0..30).map(|number| format!("w{number:02}")).collect::<Vec<_>>());
    let (_, page) = get_json(at, "/stores/counts/entries?start=w10&end=w13&reverse=true").await;
    assert_eq!(page["entries"].as_array().unwrap().len(), 3, "{page}");
    assert_eq!(page["entries"][0]["key"], "w12");

    let (status, absent) = get_json(at, "/stores/count/keys/all").await;
    assert_eq!((status, &absent["error"]["kind"]), (404, &Value::from("unknown_store")), "{absent}");
    assert_eq!(get_json(at, "/stores/counts/keys/all?position=x").await.0, 400);

    assert_eq!(get_json(at, "/health/ready").await.0, 200);
    assert_eq!(get(at, "/topology").await.1, topology.describe());
    assert!(get(at, "/topology/mermaid").await.1.starts_with("flowchart LR"));
    let status = until("the status shows all tasks", async || {
        let (_, status) = get_json(at, "/status").await;
        (status["tasks"].as_array().unwrap().len() == 4 && status["lag"] == 0).then_some(status)
    });
    let status = status.await;
    assert_eq!(status["stores"][0]["partitions"][1]["owner"], at.to_string(), "{status}");
    assert_eq!(status["instances"][0]["application_server"], at.to_string());
    check_metrics(at).await;
    streams.shutdown().await.unwrap();
    assert!(TcpStream::connect(at).await.is_err(), "the service ends with the application");
}

async fn words_by_pages(at: SocketAddr) -> Vec<String> {
    let mut words = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/stores/counts/entries?prefix=w&limit=7&timeout_ms=10000{cursor}");
        let (status, page) = get_json(at, &path).await;
        assert_eq!(status, 200, "{page}");
        let entries = page["entries"].as_array().unwrap();
        assert!(entries.len() <= 7 && entries.iter().all(|entry| entry["value"] == 2), "{page}");
        words.extend(entries.iter().map(|entry| entry["key"].as_str().unwrap().to_owned()));
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    words
}

async fn check_metrics(at: SocketAddr) {
    until("the metrics count the records", async || {
        let (_, text) = get(at, "/metrics").await;
        text.contains("kafka_streams_stream_task_metrics_process_total").then_some(())
    })
    .await;
    for name in [
        "kafka_streams_stream_processor_node_metrics_record_e2e_latency",
        "kafka_streams_stream_topic_metrics_records_consumed_total",
        "kafka_streams_stream_thread_metrics_commit_latency",
        "kafka_streams_stream_state_metrics_put_latency",
        "kafka_streams_stream_state_metrics_flush_latency",
        "kafka_streams_stream_state_metrics_estimate_num_keys",
        "kafka_streams_stream_state_metrics_size_all_mem_tables",
        "kafka_streams_stream_state_metrics_total_sst_files_size",
        "kafka_streams_stream_state_metrics_estimate_pending_compaction_bytes",
        "kafka_streams_stream_state_metrics_block_cache_usage",
    ] {
        assert!(metrics_contain(&get(at, "/metrics").await.1, name), "{name}");
    }
}

fn metrics_contain(text: &str, name: &str) -> bool {
    text.lines().any(|line| line.starts_with(name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_are_shown_by_key_time_and_page() {
    let broker = TestBroker::start().await;
    let topics = Topics::new(broker.bootstrap(), "http-windows");
    topics.create("lines", 2).await;
    let state = tempfile::tempdir().unwrap();
    let builder = StreamsBuilder::new();
    let minute = Duration::from_millis(100);
    let _counts = builder
        .stream::<Option<String>, String>(topics.name("lines"))
        .group_by(|_, word| word.clone())
        .windowed_by(TimeWindows::of_size(minute).grace(Duration::from_secs(3_600)))
        .count_with(Materialized::named("per-window"));
    let config = broker.config(&topics.name("app"), state.path());
    let streams = KafkaStreams::new(builder.build().unwrap(), config).unwrap();
    let streams = streams.start_with_http(HttpOptions::default()).await.unwrap();
    let at = streams.address();
    // One record per millisecond from 1000 on: 100 of each window, every second of them tea.
    topics
        .send("lines", (0..400).map(|number| if number % 2 == 0 { "tea" } else { "milk" }.to_owned()))
        .await;
    until("all windows are counted", async || {
        let whole = async |word: &str| {
            let path = format!("/stores/per-window/keys/{word}?timeout_ms=10000");
            let (status, body) = get_json(at, &path).await;
            let windows = body["entries"].as_array().map_or(0, Vec::len);
            status == 200 && windows == 4 && body["entries"][3]["value"] == 50
        };
        (whole("tea").await && whole("milk").await).then_some(())
    })
    .await;
    let (_, some) = get_json(at, "/stores/per-window/keys/tea?from=1100&to=1200").await;
    assert_eq!(some["entries"][1]["window"], serde_json::json!({ "start": 1_200, "end": 1_300 }), "{some}");
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = get_json(at, &format!("/stores/per-window/entries?limit=3{cursor}")).await;
        let entries = page["entries"].as_array().unwrap().clone();
        seen.extend(
            entries.iter().map(|it| (it["key"].to_string(), it["window"]["start"].as_i64().unwrap())),
        );
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((all, seen.len()), (8, 8), "{seen:?}");
    streams.shutdown().await.unwrap();
}

/// Of three instances one has a partition, another a copy, and the third, which is asked, neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_answers_for_an_owner_that_is_dead_where_the_query_allows_it() {
    const WORDS: usize = 30;
    let scenario = WordCountScenario::new("http-standby", 3).await;
    let directories = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let mut instances = Vec::new();
    for directory in &directories {
        let instance = scenario.instance(scenario.config(directory.path()).standby_replicas(1));
        instances.push(instance.start_with_http(HttpOptions::default()).await.unwrap());
    }
    scenario.topics.send("lines", (0..WORDS).map(|number| format!("w{number}"))).await;
    // Settled means: all know the same, and each partition has an owner and a copy.
    let owners = until("each partition has a copy", async || {
        let known: Vec<_> = instances.iter().map(|it| it.handle().instances()).collect();
        let owners: Option<Vec<_>> =
            (0..3).map(|partition| instances[0].handle().owners("counts", partition).ok()).collect();
        let whole = |it: &KeyMetadata| it.active.is_some() && it.standbys.len() == 1;
        let same = known[0].len() == 3 && known.iter().all(|it| *it == known[0]);
        owners.filter(|owners| same && owners.iter().all(whole))
    })
    .await;
    // The first partition's owner will die; who has nothing of it is asked.
    let has = |place: usize, instance: &InstanceMetadata| {
        instances[place].handle().process_id() == instance.process_id
    };
    let foreign = &owners[0];
    let dead = (0..3).find(|place| foreign.active.iter().any(|it| has(*place, it))).unwrap();
    let copy = (0..3).find(|place| has(*place, &foreign.standbys[0])).unwrap();
    let asked = instances[3 - dead - copy].address();
    let mut positions = Vec::new();
    for number in 0..WORDS {
        let path = format!("/stores/counts/keys/w{number}");
        let position = until("each word is counted", async || {
            let (status, body) = get_json(asked, &path).await;
            (status == 200 && body["value"] == 1).then(|| body["position"].as_str().unwrap().to_owned())
        });
        positions.push((path.clone(), position.await));
    }
    let before = std::time::Instant::now();
    drop(instances.remove(dead));
    let mut answered = 0;
    for (path, position) in &positions {
        let (_, body) =
            get_json(asked, &format!("{path}?standbys=true&position={position}&timeout_ms=3000")).await;
        if body["partition"] == foreign.partition {
            assert_eq!((&body["value"], &body["standby"]), (&Value::from(1), &Value::from(true)), "{body}");
            let (status, refused) = get_json(asked, &format!("{path}?timeout_ms=50")).await;
            assert_eq!((status, &refused["error"]["retriable"]), (503, &Value::from(true)), "{refused}");
            answered += 1;
        }
    }
    assert!(before.elapsed() < Duration::from_secs(5), "the owner's session had not run out");
    assert!(answered > 0, "some word is in each partition");
    until("another instance owns the partition", async || {
        let (status, body) = get_json(asked, &positions[0].0).await;
        (status == 200 && body["standby"] == false).then_some(())
    })
    .await;
    for instance in instances {
        instance.shutdown().await.unwrap();
    }
}
