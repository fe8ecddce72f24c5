//! Counters behind the sources and before the sinks; they are all that is added to a plain topology.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use crate::live::Latency;

/// Threads beyond this number share a cell.
const CELLS: usize = 16;

/// Keeps the cells of two threads out of one cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cell(AtomicU64);

/// A count that many threads add to without waiting for each other.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    cells: [Cell; CELLS],
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static CELL: usize = THREADS.fetch_add(1, Ordering::Relaxed) % CELLS;
}

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        CELL.with(|cell| self.cells[*cell].0.fetch_add(n, Ordering::Relaxed));
    }

    pub(crate) fn sum(&self) -> u64 {
        self.cells.iter().map(|cell| cell.0.load(Ordering::Relaxed)).sum()
    }
}

/// What a run counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Input records; the profiles of the fraud workload are not counted.
    pub(crate) input: Counter,
    /// Records sent to the repartition topic.
    pub(crate) inner_sent: Counter,
    /// Records read from the repartition topic.
    pub(crate) inner_done: Counter,
    /// Records sent to the output topic.
    pub(crate) output: Counter,
    /// What live workloads tell.
    pub(crate) latency: Latency,
    first: OnceLock<Instant>,
}

impl Counters {
    pub(crate) fn take_input(&self) {
        if self.first.get().is_none() {
            self.first.get_or_init(Instant::now);
        }
        self.input.add(1);
    }

    /// When the first input record was seen.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.first.get().copied()
    }

    /// Whether so many input records have come, and all that they sent inside the topology has arrived.
    pub(crate) fn reached(&self, records: u64) -> bool {
        self.input.sum() >= records && self.inner_done.sum() >= self.inner_sent.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_add_up() {
        let counters = Counters::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| counters.take_input()));
            }
        });
        assert!(counters.reached(4_000) && !counters.reached(4_001) && counters.first().is_some());
        counters.inner_sent.add(1);
        assert!(!counters.reached(4_000));
    }
}
