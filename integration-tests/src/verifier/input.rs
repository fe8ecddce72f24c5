//! The input: records that follow from the seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use streams_dsl::client::{ClientProperties, DataProducer, Enqueued};
use streams_dsl::processor::partition_for_key;
use streams_dsl::{Headers, Timestamp};

use super::plan::Plan;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Records per millisecond of event time.
const RECORDS_PER_MS: u64 = 4;
/// How far event times may be out of order.
const DISORDER_MS: i64 = 3_000;
/// How often a batch is sent.
const TICK: Duration = Duration::from_millis(20);
/// Longest wait for the broker.
const FLUSH_LIMIT: Duration = Duration::from_secs(120);
/// Values are unique: their lower bits are the record's number.
const NUMBER_BITS: u32 = 24;

/// Sends the plan's rate until `over` is set, then what the plan wants beyond. Answers how many records were sent.
pub(super) async fn feed(
    bootstrap: String,
    topic: Arc<str>,
    plan: Plan,
    over: Arc<AtomicBool>,
) -> Outcome<u64> {
    let producer = DataProducer::start(&ClientProperties::new(bootstrap, "verifier-input"), None)?;
    let target = producer.topic(&topic)?;
    let mut random = StdRng::seed_from_u64(plan.seed);
    // Of today: changelogs of windows are deleted by the age of event times, in Kafka as well.
    let first_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
    let begun = Instant::now();
    let mut sent = 0;
    loop {
        let ending = over.load(Ordering::Acquire);
        let due = match ending {
            true => plan.records.max(sent),
            false => (begun.elapsed().as_secs_f64() * plan.rate as f64) as u64,
        };
        while sent < due {
            let (key, value, at) = record(&mut random, sent, plan.keys, first_ms);
            let partition = partition_for_key(key.as_bytes(), plan.partitions);
            let (key, value) = (Some(key.as_bytes()), value.to_be_bytes());
            while target.send(partition, at, key, Some(&value), &Headers::new())? == Enqueued::Full {
                producer.check()?;
                producer.room().await;
            }
            sent += 1;
        }
        producer.check()?;
        if ending {
            producer.flush(FLUSH_LIMIT).await?;
            return Ok(sent);
        }
        tokio::time::sleep(TICK).await;
    }
}

fn record(random: &mut StdRng, number: u64, keys: u64, first_ms: i64) -> (String, i64, Timestamp) {
    let key = format!("k{}", random.random_range(0..keys));
    let high: i16 = random.random();
    let value = (i64::from(high) << NUMBER_BITS) | (number as i64 & ((1 << NUMBER_BITS) - 1));
    let disorder = random.random_range(0..DISORDER_MS);
    let at = first_ms + (number / RECORDS_PER_MS) as i64 - disorder;
    (key, value, Timestamp::from_millis(at))
}
