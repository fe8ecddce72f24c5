//! Filling the input topics.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use crate::arguments::LoadArguments;
use crate::inputs::{Inputs, Record};
use crate::{Broker, Error};

const FLUSH_LIMIT: Duration = Duration::from_secs(120);

/// Writes the input topics of a workload and prints one JSON line. Topics that are already there are left alone.
///
/// # Errors
/// When the broker refuses a topic or a record.
pub async fn load(arguments: &LoadArguments) -> Result<(), Error> {
    let broker = Broker::connect(&arguments.bootstrap)?;
    let have = broker.topics()?;
    let inputs = arguments.workload.inputs();
    let make: Vec<_> = inputs.iter().filter(|topic| !have.contains_key(**topic)).copied().collect();
    if make.len() < inputs.len() && !arguments.append {
        print(format_args!("{{\"load\":\"{}\",\"already_there\":true}}", arguments.workload));
        return Ok(());
    }
    if !make.is_empty() {
        broker.create(&make, arguments.partitions).await?;
    }

    let began = Instant::now();
    let mut sender = Sender::new(arguments)?;
    let generator = Inputs::new(arguments.seed);
    if arguments.workload.is_live() || arguments.live {
        live(arguments, &generator, &mut sender)?;
    } else {
        let mut fault = Ok(());
        generator.for_each(arguments.workload, arguments.records, arguments.partitions, |record| {
            if fault.is_ok() {
                fault = sender.send(&record);
            }
        });
        fault?;
    }
    sender.producer.flush(FLUSH_LIMIT)?;
    print(format_args!(
        "{{\"load\":\"{}\",\"records\":{},\"value_bytes\":{},\"seconds\":{:.2}}}",
        arguments.workload,
        sender.records,
        sender.value_bytes,
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Records with the present time, at a steady rate.
fn live(arguments: &LoadArguments, generator: &Inputs, sender: &mut Sender) -> Result<(), Error> {
    let began = Instant::now();
    let end = began + Duration::from_secs(arguments.seconds);
    for i in 0.. {
        let due = began + Duration::from_secs_f64(i as f64 / arguments.rate as f64);
        if due >= end {
            break;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let now =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |it| it.as_millis() as i64);
        sender.send(&generator.live(arguments.workload, i, arguments.partitions, now))?;
    }
    Ok(())
}

struct Sender {
    producer: ThreadedProducer<DefaultProducerContext>,
    records: u64,
    value_bytes: u64,
}

impl Sender {
    fn new(arguments: &LoadArguments) -> Result<Self, Error> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &arguments.bootstrap)
            .set("compression.type", &arguments.compression)
            .set("acks", "all")
            .set("linger.ms", &arguments.linger)
            .set("batch.size", &arguments.batch)
            .set("queue.buffering.max.kbytes", "65536")
            // As the Java producer: by the hash of the key.
            .set("partitioner", "murmur2_random")
            // A topic's records keep their order even where a request is sent again.
            .set("enable.idempotence", "true")
            .create()?;
        Ok(Self { producer, records: 0, value_bytes: 0 })
    }

    /// Queues a record; waits while the producer's queue is full.
    fn send(&mut self, record: &Record) -> Result<(), Error> {
        self.records += 1;
        self.value_bytes += record.value.len() as u64;
        let mut next =
            BaseRecord::<str, str>::to(record.topic).payload(&record.value).timestamp(record.timestamp);
        next.key = record.key.as_deref();
        next.partition = record.partition;
        loop {
            match self.producer.send(next) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    next = back;
                    thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }
}

/// A closed pipe is no fault of the benchmark.
pub(crate) fn print(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    out.write_fmt(format_args!("{line}\n")).and_then(|()| out.flush()).ok();
}
