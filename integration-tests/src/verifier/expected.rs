//! What the input asks for.

use std::collections::{BTreeMap, HashMap};

use super::plan::Program;
use super::topology::{WINDOW, final_window_of, group_of, is_closed};

/// What the input asks for.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// The values of each partition, in order.
    pub(super) partitions: BTreeMap<i32, Vec<i64>>,
    pub(super) counts: HashMap<String, i64>,
    pub(super) sums: HashMap<String, i64>,
    pub(super) minima: HashMap<String, i64>,
    pub(super) group_counts: HashMap<String, i64>,
    pub(super) group_maxima: HashMap<String, i64>,
    pub(super) window_counts: HashMap<String, i64>,
    pub(super) window_sums: HashMap<String, i64>,
    pub(super) group_window_counts: HashMap<String, i64>,
    /// Counts of the windows that have final results, each with its partition and start.
    pub(super) finals: HashMap<String, FinalCount>,
    /// The latest event time of each partition.
    pub(super) stream_times: BTreeMap<i32, i64>,
}

impl Expected {
    /// Takes a record of the input into account.
    pub(super) fn add(&mut self, program: Program, partition: i32, key: &str, value: i64, at_ms: i64) {
        let group = group_of(value);
        match program {
            Program::Eos => {
                self.partitions.entry(partition).or_default().push(value);
                *self.counts.entry(key.to_owned()).or_default() += 1;
                *self.sums.entry(key.to_owned()).or_default() += value;
                let min = self.minima.entry(key.to_owned()).or_insert(i64::MAX);
                *min = value.min(*min);
                *self.group_counts.entry(group.clone()).or_default() += 1;
                let max = self.group_maxima.entry(group).or_insert(i64::MIN);
                *max = value.max(*max);
            }
            Program::Smoke => {
                let size_ms = WINDOW.as_millis() as i64;
                let start = at_ms - at_ms.rem_euclid(size_ms);
                *self.window_counts.entry(format!("{key}@{start}")).or_default() += 1;
                *self.window_sums.entry(format!("{key}@{start}")).or_default() += value;
                *self.group_window_counts.entry(format!("{group}@{start}")).or_default() += 1;
                let start = final_window_of(at_ms);
                let counted = self.finals.entry(format!("{key}@{start}"));
                counted.or_insert(FinalCount { partition, start_ms: start, count: 0 }).count += 1;
                let stream_time = self.stream_times.entry(partition).or_insert(i64::MIN);
                *stream_time = at_ms.max(*stream_time);
            }
        }
    }
}

/// What a window counts in the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct FinalCount {
    partition: i32,
    start_ms: i64,
    pub(super) count: i64,
}

impl Expected {
    /// Whether the stream time of the window's partition has closed it.
    pub(super) fn is_closed(&self, window: &FinalCount) -> bool {
        self.stream_times.get(&window.partition).is_some_and(|time| is_closed(window.start_ms, *time))
    }
}
