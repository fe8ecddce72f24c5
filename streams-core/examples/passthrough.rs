//! The smallest application of the Processor API: values in upper case, of records whose key ends in an even digit.
//!
//! `cargo run --release -p streams-core --example passthrough -- BOOTSTRAP INPUT OUTPUT [key=value ...]` runs until
//! everything that was there is processed, then prints the rate and closes.

use std::env;
use std::sync::Arc;
use std::time::{Duration, Instant};

use streams_core::processor::{
    InitContext, Partitioner, Processor, ProcessorContext, ProcessorError, SinkTopic, SourceNode,
    TimestampExtractor,
};
use streams_core::serdes::Utf8;
use streams_core::topology::{ProcessorSpec, SinkSpec, SourceSpec, Topics, TopologyBuilder};
use streams_core::{Error, KafkaStreams, Record, StreamsConfig, StreamsState};

struct UpperCase;

impl Processor<String, String, String, String> for UpperCase {
    fn process(
        &mut self,
        mut record: Record<String, String>,
        context: &mut ProcessorContext<'_, '_, String, String>,
    ) -> Result<(), ProcessorError> {
        if record.key.ends_with(['0', '2', '4', '6', '8']) {
            record.value.make_ascii_uppercase();
            context.forward(record)?;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [bootstrap, input, output, settings @ ..] = arguments.as_slice() else {
        return Err("usage: passthrough BOOTSTRAP INPUT OUTPUT [key=value ...]".into());
    };
    let mut config = StreamsConfig::new("passthrough", bootstrap);
    for (key, value) in settings.iter().filter_map(|setting| setting.split_once('=')) {
        config.set(key, value)?;
    }
    let mut builder = TopologyBuilder::new();
    let source =
        SourceNode::<String, String>::new(Arc::new(Utf8), Arc::new(Utf8), TimestampExtractor::FailOnInvalid);
    builder
        .add_source("in", SourceSpec::new(Topics::Named(vec![input.as_str().into()]), source))
        .add_processor("upper", &["in"], ProcessorSpec::new(|_: &mut InitContext<'_>| Ok(UpperCase)))
        .add_sink(
            "out",
            &["upper"],
            SinkSpec::new::<String, String>(
                SinkTopic::Fixed(output.as_str().into()),
                Arc::new(Utf8),
                Arc::new(Utf8),
                Partitioner::default(),
            ),
        );
    let begun = Instant::now();
    let streams = KafkaStreams::new(builder.build()?, config)?.start().await?;
    let (records, first) = until_caught_up(&streams).await?;
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{records} records in {seconds:.3} s, first after {first:.3} s: {:.0}/s",
        records as f64 / seconds
    );
    streams.shutdown().await?;
    println!("closed after {:.3} s", begun.elapsed().as_secs_f64());
    Ok(())
}

async fn until_caught_up(streams: &streams_core::RunningStreams) -> Result<(u64, f64), Error> {
    let begun = Instant::now();
    let mut first = None;
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let status = streams.status();
        let records = status.tasks.values().map(|task| task.processed_records).sum();
        if records > 0 && first.is_none() {
            first = Some(begun.elapsed().as_secs_f64());
        }
        let caught_up = |task: &streams_core::TaskStatus| {
            !task.inputs.is_empty() && task.inputs.values().all(|(_, lag)| *lag == Some(0))
        };
        let all = !status.tasks.is_empty() && status.tasks.values().all(caught_up);
        if (all && records > 0) || streams.state() == StreamsState::Failed {
            return Ok((records, first.unwrap_or_default()));
        }
    }
}
