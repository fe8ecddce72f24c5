//! The queries, each begun at its time.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;

use super::plan::{QueryFigures, QueryPlan};
use crate::http_client::HttpClient;

/// Examples of wrong answers that are told.
const EXAMPLES_MAX: usize = 5;

/// How often a word is counted.
pub(super) fn expected(word: u64) -> u64 {
    word % 5 + 1
}

pub(super) fn word(number: u64) -> String {
    format!("w{number}")
}

enum Answer {
    Right,
    Retriable(String),
    Wrong(String),
}

/// Asks one service after the other for random words, and gathers what comes of it.
pub(super) async fn ask(plan: QueryPlan, servers: [SocketAddr; 2], client: HttpClient) -> QueryFigures {
    let mut under_way = JoinSet::new();
    let mut ticks =
        tokio::time::interval(Duration::from_secs(1) / u32::try_from(plan.rate.max(1)).unwrap_or(u32::MAX));
    let mut random = plan.seed;
    for number in 0..plan.queries {
        // SplitMix64.
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let asked = (mixed ^ (mixed >> 31)) % plan.keys;
        let (server, timeout_ms, client) = (servers[(number % 2) as usize], plan.timeout_ms, client.clone());
        // What is late is made up for: the rate is that of the clients, not of the services.
        let due = ticks.tick().await.into_std();
        under_way.spawn(async move {
            let answer = ask_one(&client, server, asked, timeout_ms).await;
            (answer, due.elapsed())
        });
    }
    let mut figures = QueryFigures {
        seed: plan.seed,
        queries: plan.queries,
        rate: plan.rate,
        timeout_ms: plan.timeout_ms,
        ..QueryFigures::default()
    };
    let (mut all, mut right) = (Vec::new(), Vec::new());
    for (answer, took) in under_way.join_all().await {
        all.push(took);
        match answer {
            Answer::Right => right.push(took),
            Answer::Retriable(kind) => *figures.retriable.entry(kind).or_default() += 1,
            Answer::Wrong(what) => {
                figures.wrong += 1;
                if figures.examples.len() < EXAMPLES_MAX {
                    figures.examples.push(what);
                }
            }
        }
    }
    figures.right = right.len() as u64;
    all.sort_unstable();
    right.sort_unstable();
    figures.p50_ms = percentile(&all, 50);
    figures.p99_ms = percentile(&all, 99);
    figures.max_ms = percentile(&all, 100);
    figures.p99_right_ms = percentile(&right, 99);
    figures
}

async fn ask_one(client: &HttpClient, server: SocketAddr, asked: u64, timeout_ms: u64) -> Answer {
    let word = word(asked);
    let path = format!("/stores/counts/keys/{word}?timeout_ms={timeout_ms}");
    let (status, body) = match client.get_json(server, &path).await {
        Ok(answer) => answer,
        Err(fault) => return Answer::Wrong(format!("{word} of {server}: {fault}")),
    };
    match status {
        200 if body["value"] == expected(asked) => Answer::Right,
        503 if body["error"]["retriable"] == true => {
            Answer::Retriable(body["error"]["kind"].as_str().unwrap_or_default().to_owned())
        }
        _ => Answer::Wrong(format!("{word} of {server}: {status} {body}")),
    }
}

/// In milliseconds; of sorted durations.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(0.0, |took| took.as_secs_f64() * 1e3)
}
