//! How fast the data clients are by themselves: the limit for everything above them.
//!
//! `cargo run --release -p streams-core --example raw_loop -- BOOTSTRAP TOPIC [OUTPUT_TOPIC]` reads every record of
//! `TOPIC`, sends each to the same partition of `OUTPUT_TOPIC` where one is given (it must have as many partitions),
//! and prints one line of JSON: records, seconds, records a second, CPU seconds, peak resident memory.

use std::env;
use std::fs;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use streams_core::client::{
    ClientProperties, DataConsumer, DataProducer, Enqueued, FetchAssignment, FetchEvent, FetchFrom,
    ProducerTopic,
};
use streams_core::{FetchedRecord, Headers, TopicPartition};

const BUFFER_BYTES: usize = 8 << 20;
const CLOCK_TICKS_PER_SECOND: f64 = 100.0;
const LIMIT: Duration = Duration::from_secs(30);

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [bootstrap, topic, output @ ..] = arguments.as_slice() else {
        return Err("usage: raw_loop BOOTSTRAP TOPIC [OUTPUT_TOPIC] [property=value ...]".into());
    };
    let mut properties = ClientProperties::new(bootstrap, "raw-loop");
    for (key, value) in output.iter().filter_map(|argument| argument.split_once('=')) {
        properties = properties.with(key, value);
    }
    let output = output.iter().find(|argument| !argument.contains('='));
    let partitions = partition_count(bootstrap, topic)?;
    let producer = match output {
        Some(_) => Some(DataProducer::start(&properties, None)?),
        None => None,
    };
    let target = match (&producer, output) {
        (Some(producer), Some(output)) => Some(producer.topic(&Arc::from(output.as_str()))?),
        _ => None,
    };
    let started = Instant::now();
    let consumer = DataConsumer::start(&properties, "raw-loop", BUFFER_BYTES)?;
    let (sender, events) = mpsc::channel();
    let assignments = (0..partitions).map(|partition| {
        let sender = sender.clone();
        FetchAssignment {
            partition: TopicPartition::new(topic.as_str(), partition),
            from: FetchFrom::Beginning,
            sink: Box::new(move |event| drop(sender.send((partition, event)))),
        }
    });
    consumer.assign(assignments.collect()).await?;
    let records = drain(&events, partitions, target.as_ref())?;
    if let Some(producer) = &producer {
        producer.flush(LIMIT).await?;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{{\"records\":{records},\"seconds\":{seconds:.3},\"records_per_s\":{:.0},\"cpu_s\":{:.2},\"rss_mb\":{:.0}}}",
        records as f64 / seconds,
        cpu_seconds()?,
        peak_rss_mb()?
    );
    Ok(())
}

fn drain(
    events: &mpsc::Receiver<(i32, FetchEvent)>,
    partitions: i32,
    target: Option<&ProducerTopic>,
) -> Result<u64, Failure> {
    let (mut records, mut ended) = (0, 0);
    while ended < partitions {
        let (partition, event) = events.recv_timeout(LIMIT)?;
        match event {
            FetchEvent::End { .. } => ended += 1,
            FetchEvent::Fault(fault) => return Err(fault.into()),
            FetchEvent::Records(batch) => {
                records += batch.records.len() as u64;
                for record in &batch.records {
                    let Some(target) = target else {
                        std::hint::black_box(record.value());
                        continue;
                    };
                    let (key, value, at) = (record.key(), record.value(), record.timestamp());
                    while target.send(partition, at, key, value, &Headers::new())? == Enqueued::Full {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            }
        }
    }
    Ok(records)
}

fn partition_count(bootstrap: &str, topic: &str) -> Result<i32, Failure> {
    let consumer: BaseConsumer = rdkafka::ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let metadata = consumer.fetch_metadata(Some(topic), LIMIT)?;
    let count = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    if count == 0 { Err(format!("there is no topic {topic}").into()) } else { Ok(i32::try_from(count)?) }
}

fn cpu_seconds() -> Result<f64, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields.iter().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / CLOCK_TICKS_PER_SECOND)
}

fn peak_rss_mb() -> Result<f64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
}
