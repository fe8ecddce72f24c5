//! The workloads, each as anyone would write it, with counters at both ends.

use std::sync::Arc;

use streams_dsl::prelude::*;

use crate::counters::Counters;
use crate::{Error, Workload};

/// The topology of a workload, with its results in the topic `output`.
///
/// # Errors
/// When the topology has a fault.
pub(crate) fn build(workload: Workload, output: &str, counters: &Arc<Counters>) -> Result<Topology, Error> {
    let builder = StreamsBuilder::new();
    match workload {
        Workload::Passthrough => passthrough(&builder, output, counters),
        Workload::Wordcount | Workload::Surge | Workload::Fraud | Workload::Keys | Workload::Join => {
            return Err(Error::NotYet(workload));
        }
        Workload::Live => live(&builder, output, counters),
        Workload::LiveCount => return Err(Error::NotYet(workload)),
    }
    Ok(builder.build()?)
}

fn passthrough(builder: &StreamsBuilder, output: &str, counters: &Arc<Counters>) {
    builder
        .stream::<String, String>("in-pages")
        .peek(input(counters))
        .map_values(upper_case)
        .filter(|key, _| key.bytes().next_back().is_some_and(|digit| digit % 2 == 0))
        .peek(results(counters))
        .to(output);
}

fn input<K, V>(counters: &Arc<Counters>) -> impl Fn(&K, &V) + Send + Sync + 'static {
    let counters = Arc::clone(counters);
    move |_, _| counters.take_input()
}

fn results<K, V>(counters: &Arc<Counters>) -> impl Fn(&K, &V) + Send + Sync + 'static {
    let counters = Arc::clone(counters);
    move |_, _| counters.output.add(1)
}

fn upper_case(mut text: String) -> String {
    text.make_ascii_uppercase();
    text
}

fn live(builder: &StreamsBuilder, output: &str, counters: &Arc<Counters>) {
    let seen = Arc::clone(counters);
    let records = builder
        .stream::<String, String>("in-live")
        .peek(input(counters))
        .process_values(move |_| Ok(Clock(Arc::clone(&seen))), []);
    records.map_values(upper_case).to(output);
}

/// Takes note of how late each record is, and from which partition.
struct Clock(Arc<Counters>);

impl FixedKeyProcessor<String, String, String> for Clock {
    fn process(
        &mut self,
        record: FixedKeyRecord<String, String>,
        context: &mut FixedKeyContext<'_, '_, '_, String, String>,
    ) -> Result<(), ProcessorError> {
        let partition = context.record_context().map_or(0, |origin| origin.partition);
        self.0.latency.take(partition, record.timestamp().as_millis());
        context.forward(record)
    }
}
