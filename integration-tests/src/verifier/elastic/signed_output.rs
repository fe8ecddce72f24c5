//! The output of a relay or a tally: what came when, and from which process.

use std::collections::{HashMap, HashSet};

use streams_dsl::FetchedRecord;

use super::options::ElasticOptions;
use super::pauses::longest;
use super::steady_input::SteadyInput;
use crate::verifier::application::Application;
use crate::verifier::readback::Reader;
use crate::verifier::topology::{SIGNED, name, signature};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What a partition of the output got.
#[derive(Debug, Clone, Default)]
struct PartitionOutput {
    /// When the broker appended each record, in milliseconds since 1970.
    moments: Vec<i64>,
    /// The process that wrote it.
    writers: Vec<u32>,
    /// A relay's numbers.
    numbers: HashSet<u32>,
    /// A tally's largest count of each key.
    counts: HashMap<String, u64>,
}

/// The output of a run, by partition.
#[derive(Debug)]
pub(super) struct SignedOutput {
    partitions: Vec<PartitionOutput>,
    application: Application,
}

/// A time in which tasks may move.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) begin_ms: i64,
    pub(super) end_ms: i64,
}

impl SignedOutput {
    /// Reads all of it.
    pub(super) async fn read(reader: &Reader, options: &ElasticOptions, prefix: &str) -> Outcome<Self> {
        let count = usize::try_from(options.partitions).unwrap_or_default();
        let mut partitions = vec![PartitionOutput::default(); count];
        let each = |partition: i32, record: &_| {
            let Some(output) = partitions.get_mut(partition as usize) else { return };
            let value = FetchedRecord::value(record).and_then(|value| value.try_into().ok());
            let (writer, number) = signature(value.map_or(0, i64::from_be_bytes));
            output.moments.push(FetchedRecord::timestamp(record).as_millis());
            output.writers.push(writer);
            match options.application {
                Application::Relay => drop(output.numbers.insert(number)),
                _ => {
                    let key = FetchedRecord::key(record).unwrap_or_default();
                    let key = String::from_utf8_lossy(key).into_owned();
                    let count = output.counts.entry(key).or_default();
                    *count = (*count).max(u64::from(number));
                }
            }
        };
        reader.read(&name(prefix, SIGNED), each).await?;
        Ok(SignedOutput { partitions, application: options.application })
    }

    /// Results that are missing, and those that came more than once.
    pub(super) fn compare(&self, input: &SteadyInput) -> (u64, u64) {
        let (mut lost, mut duplicated) = (0, 0);
        for (partition, output) in self.partitions.iter().enumerate() {
            if self.application == Application::Relay {
                lost += input.sent[partition].saturating_sub(output.numbers.len() as u64);
                duplicated += (output.moments.len() - output.numbers.len()) as u64;
                continue;
            }
            for (number, key) in input.keys[partition].iter().enumerate() {
                let expected = input.count_of(partition, number);
                let found = output.counts.get(key).copied().unwrap_or_default();
                lost += expected.saturating_sub(found);
                duplicated += found.saturating_sub(expected);
            }
        }
        (lost, duplicated)
    }

    /// The longest pause of each partition in a span: of those whose writer stayed, and of those that moved.
    pub(super) fn pauses(&self, span: Span) -> (Vec<i64>, Vec<i64>) {
        let (mut kept, mut moved) = (Vec::new(), Vec::new());
        for output in &self.partitions {
            let before = output.moments.partition_point(|moment| *moment <= span.begin_ms);
            let behind = output.moments.partition_point(|moment| *moment < span.end_ms);
            let writer = |number: Option<usize>| output.writers.get(number?);
            // The output may end with the span, so it is the last record within it that counts.
            let stayed = writer(before.checked_sub(1)) == writer(behind.checked_sub(1));
            let pause = longest(&output.moments, span.begin_ms, span.end_ms);
            if stayed { kept.push(pause) } else { moved.push(pause) }
        }
        (kept, moved)
    }

    /// How long after `begin_ms` each partition of `writer` went on, by another process.
    pub(super) fn resumed(&self, writer: u32, begin_ms: i64) -> Vec<Option<i64>> {
        let of_writer = self.partitions.iter().filter(|output| {
            let before = output.moments.partition_point(|moment| *moment <= begin_ms);
            before.checked_sub(1).is_some_and(|number| output.writers[number] == writer)
        });
        let next = of_writer.map(|output| {
            let before = output.moments.partition_point(|moment| *moment <= begin_ms);
            let next = (before..output.moments.len()).find(|number| output.writers[*number] != writer)?;
            Some(output.moments[next] - begin_ms)
        });
        next.collect()
    }
}
