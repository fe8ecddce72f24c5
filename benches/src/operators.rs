//! The topologies of the micro-benchmark: one operator each, below the records' (de)serialization.

use std::time::Duration;

use streams_dsl::prelude::*;
use streams_dsl::record::OwnedRecord;

use crate::{BareGraph, BareTask, Error};

/// How many keys the records of stateful operators have.
const KEYS: u64 = 1_000;
/// How many records come between two commits.
const RECORDS_PER_COMMIT: u64 = 10_000;

/// An operator that is fed with records.
#[derive(Debug)]
pub struct Operator {
    graph: BareGraph,
    /// The processors behind the sources, fed by turns.
    inputs: Vec<u32>,
    keys: Vec<String>,
    made: u64,
    fed: u64,
}

impl Operator {
    fn new(builder: &StreamsBuilder, topics: &[&str]) -> Result<Self, Error> {
        let topology = builder.build()?;
        let inputs = topics.iter().map(|topic| BareGraph::behind_source(&topology, topic));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let keys = (0..KEYS).map(|key| format!("key-{key}")).collect();
        Ok(Operator { graph: BareGraph::new(&topology)?, inputs, keys, made: 0, fed: 0 })
    }

    /// The next record: its key takes turns, its time goes on by a millisecond.
    pub fn next_record(&mut self) -> (u32, Record<String, i64>) {
        let number = self.made;
        self.made += 1;
        let input = self.inputs[number as usize % self.inputs.len()];
        let key = self.keys[(number / self.inputs.len() as u64 % KEYS) as usize].clone();
        (input, Record::new(key, number as i64, Timestamp::from_millis(number as i64)))
    }

    /// Sends a record through, and commits now and then.
    ///
    /// # Errors
    /// Those of the operator and its stores.
    pub fn feed(&mut self, (input, record): (u32, Record<String, i64>)) -> Result<(), Error> {
        self.graph.feed(input, record)?;
        self.fed += 1;
        if self.fed.is_multiple_of(RECORDS_PER_COMMIT) {
            self.graph.commit()?;
        }
        Ok(())
    }
}

/// Three maps and two filters, which let everything pass.
fn five_operators(stream: &KStream<String, i64>) -> KStream<String, i64> {
    stream
        .map_values(|value| value + 1)
        .filter(|_, value| *value > 0)
        .map_values(|value| value * 3)
        .filter(|key, _| !key.is_empty())
        .map(|key, value| (key, value - 1))
}

/// Nothing but the stream's end: what a record costs without an operator, its own key's end included.
///
/// # Errors
/// When the topology has a fault.
pub fn nothing() -> Result<Operator, Error> {
    let builder = StreamsBuilder::new();
    builder.stream::<String, i64>("in").for_each(|_, _| {});
    Operator::new(&builder, &["in"])
}

/// Three maps and two filters, which let everything pass.
///
/// # Errors
/// When the topology has a fault.
pub fn chain_of_5() -> Result<Operator, Error> {
    let builder = StreamsBuilder::new();
    five_operators(&builder.stream("in")).for_each(|_, _| {});
    Operator::new(&builder, &["in"])
}

/// One filter.
///
/// # Errors
/// When the topology has a fault.
pub fn filter() -> Result<Operator, Error> {
    let builder = StreamsBuilder::new();
    builder.stream::<String, i64>("in").filter(|_, value| *value >= 0).for_each(|_, _| {});
    Operator::new(&builder, &["in"])
}

/// A count by key.
///
/// # Errors
/// When the topology has a fault.
pub fn count() -> Result<Operator, Error> {
    let builder = StreamsBuilder::new();
    let counts = builder.stream::<String, i64>("in").group_by_key();
    counts.count_with(Materialized::named("counts").in_memory()).to_stream().for_each(|_, _| {});
    Operator::new(&builder, &["in"])
}

/// A count by key and window of a minute.
///
/// # Errors
/// When the topology has a fault.
pub fn windowed_count() -> Result<Operator, Error> {
    let builder = StreamsBuilder::new();
    let windows = TimeWindows::of_size(Duration::from_secs(60)).grace(Duration::from_secs(10));
    let counts = builder.stream::<String, i64>("in").group_by_key().windowed_by(windows);
    counts.count_with(Materialized::named("counts").in_memory()).to_stream().for_each(|_, _| {});
    Operator::new(&builder, &["in"])
}

/// A stream joined with a table; every other record is a row.
///
/// # Errors
/// When the topology has a fault.
pub fn stream_table_join() -> Result<Operator, Error> {
    let builder = StreamsBuilder::new();
    let rows = builder.stream::<String, i64>("rows").to_table_with(Materialized::named("rows").in_memory());
    let stream = builder.stream::<String, i64>("in");
    stream.join(&rows, |value, row| value + row).for_each(|_, _| {});
    Operator::new(&builder, &["rows", "in"])
}

/// Two streams joined within a window, in which each record meets one or two of the other side.
///
/// # Errors
/// When the topology has a fault.
pub fn stream_stream_join() -> Result<Operator, Error> {
    let builder = StreamsBuilder::new();
    let (left, right) = (builder.stream::<String, i64>("left"), builder.stream::<String, i64>("right"));
    let windows = JoinWindows::of(Duration::from_secs(2)).no_grace();
    let side = right.within(windows).with(StreamJoined::new().in_memory());
    left.join(side, |left, right| left + right).for_each(|_, _| {});
    Operator::new(&builder, &["left", "right"])
}

/// A task that is fed with bytes, and writes bytes.
#[derive(Debug)]
pub struct Task {
    task: BareTask,
    records: Vec<OwnedRecord>,
    made: i64,
}

impl Task {
    fn new(operators: impl FnOnce(&KStream<String, i64>) -> KStream<String, i64>) -> Result<Self, Error> {
        let builder = StreamsBuilder::new();
        operators(&builder.stream("in")).to("out");
        let record = |key: u64| OwnedRecord {
            key: Some(format!("key-{key}").into()),
            value: Some(key.to_be_bytes().to_vec().into()),
            offset: 0,
            timestamp: Timestamp::ZERO,
            headers: Headers::new(),
        };
        let records = (0..KEYS).map(record).collect();
        Ok(Task { task: BareTask::new(builder.build()?, "in")?, records, made: 0 })
    }

    /// The next record as the fetch brings it: its key takes turns, its time goes on by a millisecond.
    pub fn next_record(&mut self) -> OwnedRecord {
        let offset = self.made;
        self.made += 1;
        let record = self.records[offset as usize % self.records.len()].clone();
        OwnedRecord { offset, timestamp: Timestamp::from_millis(offset), ..record }
    }

    /// Takes a batch from the queue to the producer; answers how many records leave.
    ///
    /// # Errors
    /// Those of the task.
    pub fn process(&mut self, records: Vec<OwnedRecord>) -> Result<usize, Error> {
        self.task.process(records)
    }
}

/// A source and a sink.
///
/// # Errors
/// When the topology has a fault.
pub fn source_to_sink() -> Result<Task, Error> {
    Task::new(KStream::clone)
}

/// A source, the five operators of [`chain_of_5`], and a sink.
///
/// # Errors
/// When the topology has a fault.
pub fn source_to_sink_by_5() -> Result<Task, Error> {
    Task::new(five_operators)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a record costs in allocations, its own key not counted.
    fn allocations(operator: &mut Operator, records: u64) -> u64 {
        let records: Vec<_> = (0..records).map(|_| operator.next_record()).collect();
        let counted = allocation_counter::measure(|| {
            for (input, record) in records {
                operator.graph.feed(input, record).expect("the operator works");
            }
        });
        counted.count_total
    }

    #[test]
    fn hops_allocate_nothing() {
        for mut operator in [nothing().unwrap(), filter().unwrap(), chain_of_5().unwrap()] {
            allocations(&mut operator, 1);
            assert_eq!(allocations(&mut operator, 1_000), 0);
        }
    }

    #[test]
    fn operators_allocate_no_more_than_source_and_sink() {
        let allocations = |mut task: Task| {
            let mut batch = || (0..KEYS).map(|_| task.next_record()).collect::<Vec<_>>();
            let [first, second, third] = std::array::from_fn(|_| batch());
            let mut process = |batch| assert_eq!(task.process(batch).unwrap(), KEYS as usize);
            // The queue and the two outputs that take turns take their room.
            process(first);
            process(second);
            allocation_counter::measure(|| process(third)).count_total
        };
        let without = allocations(source_to_sink().unwrap());
        assert_eq!(allocations(source_to_sink_by_5().unwrap()), without);
        // The key of each record, and for the batch some room.
        assert!((KEYS..KEYS + 10).contains(&without), "{without} allocations for {KEYS} records");
    }

    #[test]
    fn every_operator_takes_records_across_commits() {
        for make in [count, windowed_count, stream_table_join, stream_stream_join] {
            let mut operator = make().unwrap();
            for _ in 0..2 * RECORDS_PER_COMMIT {
                let record = operator.next_record();
                operator.feed(record).unwrap();
            }
        }
    }
}
