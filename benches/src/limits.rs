//! What the machine and the libraries allow, below any engine: the yardstick for where a workload's time goes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::arguments::LimitArguments;
use crate::load::print;
use crate::{Broker, Error, Process};

const TOPIC: &str = "in-pages";
const FEW_KEYS: u64 = 10_000;
const MANY_KEYS: u64 = 1_000_000;
const OPERATIONS: u64 = 1_000_000;
const FLUSH_LIMIT: Duration = Duration::from_secs(60);

/// Measures bare loops over the topic of the passthrough workload, and RocksDB alone; prints one JSON line for each.
///
/// # Errors
/// When the topic is missing, or the broker or the file system refuses.
pub async fn limits(arguments: &LimitArguments) -> Result<(), Error> {
    let broker = Broker::connect(&arguments.bootstrap)?;
    let ends = broker.ends(TOPIC)?;
    for (name, tuned) in [("consume, librdkafka's defaults", false), ("consume", true)] {
        measure(name, || consume(&arguments.bootstrap, &ends, tuned, |_| Ok(())))?;
    }
    let output = format!("limits-{}-out", std::process::id());
    broker.create(&[&output], ends.len() as i32).await?;
    measure("consume, upper-case, produce half", || pass_through(&arguments.bootstrap, &ends, &output))?;
    broker.delete(&[&output]).await?;
    for keys in [FEW_KEYS, MANY_KEYS] {
        let directory = std::env::temp_dir().join(format!("bench-limits-{}-{keys}", std::process::id()));
        let result = rocks(&directory, keys);
        std::fs::remove_dir_all(&directory).ok();
        result?;
    }
    Ok(())
}

fn measure(name: &str, run: impl FnOnce() -> Result<u64, Error>) -> Result<(), Error> {
    let (began, cpu) = (Instant::now(), Process::this().cpu_seconds());
    let records = run()?;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), Process::this().cpu_seconds() - cpu);
    print(format_args!(
        "{{\"limit\":\"{name}\",\"records\":{records},\"seconds\":{seconds:.3},\"per_s\":{:.0},\"cpu_s\":{cpu:.2},\"ns_each\":{:.0}}}",
        records as f64 / seconds,
        seconds * 1e9 / records as f64,
    ));
    Ok(())
}

fn consume(
    bootstrap: &str,
    ends: &[i64],
    tuned: bool,
    mut each: impl FnMut(&rdkafka::message::BorrowedMessage<'_>) -> Result<(), Error>,
) -> Result<u64, Error> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "bench-limits")
        .set("enable.auto.commit", "false");
    if tuned {
        // By default it waits a second before it fetches on, once 100,000 records are queued.
        config.set("fetch.queue.backoff.ms", "10").set("queued.min.messages", "1000000");
    }
    let consumer: BaseConsumer = config.create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..ends.len() {
        assignment.add_partition_offset(TOPIC, partition as i32, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let (all, mut records) = (ends.iter().sum::<i64>() as u64, 0);
    while records < all {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            each(&message?)?;
            records += 1;
        }
    }
    Ok(records)
}

fn pass_through(bootstrap: &str, ends: &[i64], output: &str) -> Result<u64, Error> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("linger.ms", "100")
        .set("batch.size", "131072")
        .set("queue.buffering.max.messages", "1000000")
        .set("partitioner", "murmur2_random")
        .create()?;
    let mut value = Vec::new();
    let records = consume(bootstrap, ends, true, |message| {
        let key = message.key().unwrap_or_default();
        if key.last().is_none_or(|digit| digit % 2 == 1) {
            return Ok(());
        }
        value.clear();
        value.extend_from_slice(message.payload().unwrap_or_default());
        value.make_ascii_uppercase();
        let mut next = BaseRecord::to(output).key(key).payload(&value);
        loop {
            match producer.send(next) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    next = back;
                    producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    })?;
    producer.flush(FLUSH_LIMIT)?;
    Ok(records)
}

/// One thread, no log, eight-byte values, keys in a scattered order.
fn rocks(directory: &PathBuf, keys: u64) -> Result<(), Error> {
    let refused = |error: rocksdb::Error| Error::File {
        path: directory.display().to_string(),
        source: std::io::Error::other(error),
    };
    let mut options = rocksdb::Options::default();
    options.create_if_missing(true);
    let database = rocksdb::DB::open(&options, directory).map_err(refused)?;
    let mut unlogged = rocksdb::WriteOptions::default();
    unlogged.disable_wal(true);
    let key = |i: u64| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % keys).to_be_bytes();
    measure(&format!("RocksDB put, {keys} keys"), || {
        (0..OPERATIONS)
            .try_for_each(|i| database.put_opt(key(i), i.to_be_bytes(), &unlogged).map_err(refused))?;
        Ok(OPERATIONS)
    })?;
    measure(&format!("RocksDB get, {keys} keys"), || {
        for i in 0..OPERATIONS {
            std::hint::black_box(database.get_pinned(key(i)).map_err(refused)?);
        }
        Ok(OPERATIONS)
    })?;
    measure(&format!("RocksDB get and put, {keys} keys"), || {
        for i in 0..OPERATIONS {
            let found = database.get_pinned(key(i)).map_err(refused)?.is_some();
            database.put_opt(key(i), (i + u64::from(found)).to_be_bytes(), &unlogged).map_err(refused)?;
        }
        Ok(OPERATIONS)
    })
}
