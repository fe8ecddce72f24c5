//! The topologies of the micro-benchmark: one operator each, below the records' (de)serialization.

use std::time::Duration;

use streams_dsl::prelude::*;

use crate::{BareGraph, Error};

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
    fed: u64,
}

impl Operator {
    fn new(builder: &StreamsBuilder, topics: &[&str]) -> Result<Self, Error> {
        let topology = builder.build()?;
        let inputs = topics.iter().map(|topic| BareGraph::behind_source(&topology, topic));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let keys = (0..KEYS).map(|key| format!("key-{key}")).collect();
        Ok(Operator { graph: BareGraph::new(&topology)?, inputs, keys, fed: 0 })
    }

    /// The next record: its key takes turns, its time goes on by a millisecond.
    pub fn next_record(&mut self) -> (u32, Record<String, i64>) {
        let number = self.fed;
        self.fed += 1;
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
        if self.fed.is_multiple_of(RECORDS_PER_COMMIT) {
            self.graph.commit()?;
        }
        Ok(())
    }
}

/// Three maps and two filters, which let everything pass.
///
/// # Errors
/// When the topology has a fault.
pub fn chain_of_5() -> Result<Operator, Error> {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, i64>("in")
        .map_values(|value| value + 1)
        .filter(|_, value| *value > 0)
        .map_values(|value| value * 3)
        .filter(|key, _| !key.is_empty())
        .map(|key, value| (key, value - 1))
        .for_each(|_, _| {});
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
        for mut operator in [filter().unwrap(), chain_of_5().unwrap()] {
            allocations(&mut operator, 1);
            assert_eq!(allocations(&mut operator, 1_000), 0);
        }
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
