//! Random keys through either instance while another one comes and goes: an answer is right, or says that asking again
//! will help.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use integration_tests::{TestBroker, Topics, count_of, word_count};
use streams_dsl::http::{HttpOptions, Served, StartWithHttp};
use streams_dsl::{KafkaStreams, StreamsState};

use crate::http::get_json;
use integration_tests::{LIMIT, until};

const WORDS: u64 = 300;
const CLIENTS: u64 = 4;
/// How many keys are asked for; more of them where it is set.
const QUERIES_VARIABLE: &str = "QUERIES";
const QUERIES: u64 = 2_000;

fn expected(word: u64) -> i64 {
    word as i64 % 5 + 1
}

#[derive(Debug, Default)]
struct Outcome {
    right: u64,
    retriable: u64,
    latencies: Vec<Duration>,
}

/// Asks for random words, of one service and then the other.
async fn ask(servers: [SocketAddr; 2], seed: u64, queries: u64) -> Outcome {
    let mut outcome = Outcome::default();
    let mut random = seed;
    for number in 0..queries {
        // SplitMix64.
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (mixed ^ (mixed >> 31)) % WORDS;
        let server = servers[(number % 2) as usize];
        let begun = Instant::now();
        let (status, body) = get_json(server, &format!("/stores/counts/keys/w{word}?timeout_ms=1000")).await;
        outcome.latencies.push(begun.elapsed());
        match status {
            200 => {
                assert_eq!(body["value"], expected(word), "seed {seed}, w{word} of {server}: {body}");
                outcome.right += 1;
            }
            503 => {
                assert_eq!(body["error"]["retriable"], true, "seed {seed}, w{word} of {server}: {body}");
                outcome.retriable += 1;
            }
            _ => panic!("seed {seed}, w{word} of {server}: {status} {body}"),
        }
    }
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_right_or_can_be_tried_again_while_tasks_move() {
    let broker = TestBroker::start().await;
    let topics = Topics::new(broker.bootstrap(), "http-rebalance");
    topics.create("lines", 4).await;
    topics.create("counts", 1).await;
    let directories = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let start = async |place: usize| -> Served {
        let topology = word_count(&topics.name("lines"), &topics.name("counts"));
        let config = broker.config(&topics.name("app"), directories[place].path());
        let streams = KafkaStreams::new(topology, config).unwrap();
        streams.start_with_http(HttpOptions::default()).await.unwrap()
    };
    let (first, second) = (start(0).await, start(1).await);
    let line = |word: u64| vec![format!("w{word}"); expected(word) as usize].join(" ");
    topics.send("lines", (0..WORDS).map(line)).await;
    topics
        .read_until("counts", |counts| {
            (0..WORDS).all(|word| count_of(counts, &format!("w{word}")) == expected(word))
        })
        .await;
    until("both run", async || {
        let running = |it: &Served| it.state() == StreamsState::Running && it.status().tasks.len() == 4;
        (running(&first) && running(&second)).then_some(())
    })
    .await;
    // What was counted is committed shortly after: from then on every answer is known.
    until("all counts are committed", async || {
        let (_, page) = get_json(first.address(), "/stores/counts/entries?limit=1000").await;
        let entries = page["entries"].as_array()?.clone();
        let word = |entry: &serde_json::Value| entry["key"].as_str().unwrap()[1..].parse::<u64>().unwrap();
        let whole =
            entries.len() as u64 == WORDS && entries.iter().all(|it| it["value"] == expected(word(it)));
        whole.then_some(())
    })
    .await;

    let queries = std::env::var(QUERIES_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(QUERIES);
    let servers = [first.address(), second.address()];
    let generation = first.status().generation;
    let clients = (1..=CLIENTS).map(|seed| tokio::spawn(ask(servers, seed, queries / CLIENTS)));
    let clients: Vec<_> = clients.collect();
    let third = start(2).await;
    until("the third one has tasks", async || (third.status().tasks.len() >= 2).then_some(())).await;
    third.shutdown().await.unwrap();
    until("the others have all tasks again", async || {
        (first.status().tasks.len() + second.status().tasks.len() == 8).then_some(())
    })
    .await;
    let mut total = Outcome::default();
    for client in clients {
        let outcome = tokio::time::timeout(LIMIT * 4, client).await.unwrap().unwrap();
        total.right += outcome.right;
        total.retriable += outcome.retriable;
        total.latencies.extend(outcome.latencies);
    }
    report(&mut total);
    assert!(first.status().generation > generation, "there was a rebalance");
    assert!(total.right > total.retriable, "{} right, {} not answered", total.right, total.retriable);
    second.shutdown().await.unwrap();
    first.shutdown().await.unwrap();
}

/// One line of figures.
fn report(total: &mut Outcome) {
    total.latencies.sort_unstable();
    let p99 = total.latencies[total.latencies.len() * 99 / 100];
    let p50 = total.latencies[total.latencies.len() / 2];
    println!(
        "{}",
        serde_json::json!({
            "scenario": "queries during a rebalance",
            "queries": total.latencies.len(),
            "right": total.right,
            "retriable": total.retriable,
            "wrong": 0,
            "p50_ms": p50.as_secs_f64() * 1e3,
            "p99_ms": p99.as_secs_f64() * 1e3,
        })
    );
}
