//! Input at the same rate in each partition.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use streams_dsl::client::{ClientProperties, DataProducer, Enqueued};
use streams_dsl::processor::partition_for_key;
use streams_dsl::{Headers, Timestamp};

use super::options::ElasticOptions;
use super::poison::poisoned;
use crate::verifier::application::Application;
use crate::verifier::status_report::now_ms;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How often what is due is sent.
const TICK: Duration = Duration::from_millis(5);
/// Longest wait for the broker.
const FLUSH_LIMIT: Duration = Duration::from_secs(60);

/// What was sent: record `n` of a partition has the number `n` and the key `n` modulo the number of keys.
#[derive(Debug, Clone)]
pub(super) struct SteadyInput {
    /// The keys of each partition.
    pub(super) keys: Vec<Vec<String>>,
    /// How many records each partition got.
    pub(super) sent: Vec<u64>,
}

impl SteadyInput {
    /// How often a key of a partition was sent.
    pub(super) fn count_of(&self, partition: usize, key: usize) -> u64 {
        let keys = self.keys[partition].len() as u64;
        (self.sent[partition] + keys - 1 - key as u64) / keys
    }

    /// All records.
    pub(super) fn records(&self) -> u64 {
        self.sent.iter().sum()
    }
}

/// Keys that lie in each partition, so that what is written by key stays in its partition.
fn keys(options: &ElasticOptions) -> Vec<Vec<String>> {
    let mut random = StdRng::seed_from_u64(options.seed);
    let partitions = usize::try_from(options.partitions).unwrap_or(1);
    let mut keys = vec![Vec::new(); partitions];
    while keys.iter().any(|keys: &Vec<String>| keys.len() < options.keys) {
        let key = format!("k{:08x}", random.random::<u32>());
        let of_partition = &mut keys[partition_for_key(key.as_bytes(), options.partitions) as usize];
        if of_partition.len() < options.keys && !of_partition.contains(&key) {
            of_partition.push(key);
        }
    }
    keys
}

/// Sends at the options' rate until `over` is set.
pub(super) async fn feed(
    bootstrap: String,
    topic: Arc<str>,
    options: ElasticOptions,
    over: Arc<AtomicBool>,
) -> Outcome<SteadyInput> {
    let properties = ClientProperties::new(bootstrap, "verifier-input").with("linger.ms", "1");
    let producer = DataProducer::start(&properties, None)?;
    let target = producer.topic(&topic)?;
    let keys = keys(&options);
    let mut input = SteadyInput { sent: vec![0; keys.len()], keys };
    let begun = Instant::now();
    while !over.load(Ordering::Acquire) {
        let rounds = begun.elapsed().as_secs_f64() * options.rate as f64 / input.keys.len() as f64;
        let at = Timestamp::from_millis(now_ms());
        while input.sent[0] < rounds as u64 {
            for (partition, keys) in input.keys.iter().enumerate() {
                let number = input.sent[partition];
                let key = keys[number as usize % keys.len()].as_bytes();
                let value = match options.application {
                    Application::Poison => poisoned(partition, number),
                    _ => (number as i64).to_be_bytes().to_vec(),
                };
                let send = || target.send(partition as i32, at, Some(key), Some(&value), &Headers::new());
                while send()? == Enqueued::Full {
                    producer.check()?;
                    producer.room().await;
                }
                input.sent[partition] += 1;
            }
        }
        producer.check()?;
        tokio::time::sleep(TICK).await;
    }
    producer.flush(FLUSH_LIMIT).await?;
    Ok(input)
}
