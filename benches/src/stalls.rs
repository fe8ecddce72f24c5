//! How long a run stands still: what a commit costs those who wait for results.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::counters::Counters;

/// Between two looks at the counters.
const LOOK: Duration = Duration::from_micros(500);
/// Of each such time the longest stall counts: the default commit interval of exactly-once.
const WINDOW: Duration = Duration::from_millis(100);

/// Watches the counters of a run from a thread of its own.
#[derive(Debug)]
pub(crate) struct StallWatch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<f64>>,
}

/// The longest stalls of windows of 100 ms, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stalls {
    /// 99 of 100 windows have none that is longer.
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

impl StallWatch {
    pub(crate) fn begin(counters: Arc<Counters>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let thread = std::thread::spawn(move || watch(&counters, &ends));
        StallWatch { over, thread }
    }

    pub(crate) fn end(self) -> Stalls {
        self.over.store(true, Ordering::Release);
        Stalls::of(self.thread.join().unwrap_or_default())
    }
}

/// The longest stall of each window, from the first record on.
fn watch(counters: &Counters, over: &AtomicBool) -> Vec<f64> {
    let mut longest = Vec::new();
    let (mut seen, mut last, mut window) = (0, Instant::now(), Instant::now());
    let mut stall = Duration::ZERO;
    while !over.load(Ordering::Acquire) {
        std::thread::sleep(LOOK);
        let now = Instant::now();
        let records = counters.input.sum() + counters.inner_done.sum();
        if records == 0 {
            (last, window) = (now, now);
            continue;
        }
        if records == seen {
            stall = stall.max(now - last);
        } else {
            (seen, last) = (records, now);
        }
        if now - window >= WINDOW {
            longest.push(std::mem::take(&mut stall).as_secs_f64() * 1e3);
            window = now;
        }
    }
    longest
}

impl Stalls {
    fn of(mut longest: Vec<f64>) -> Self {
        longest.sort_by(f64::total_cmp);
        let rank = (longest.len() * 99).div_ceil(100).saturating_sub(1);
        let p99_ms = longest.get(rank).copied().unwrap_or_default();
        Stalls { p99_ms, max_ms: longest.last().copied().unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_window_of_a_hundred_may_be_worse() {
        let stalls = Stalls::of((1..=200).map(f64::from).collect());
        assert_eq!(stalls, Stalls { p99_ms: 198.0, max_ms: 200.0 });
        assert_eq!(Stalls::of(Vec::new()), Stalls { p99_ms: 0.0, max_ms: 0.0 });
    }

    #[test]
    fn a_run_that_stands_still_is_seen() {
        let counters = Arc::new(Counters::default());
        let watch = StallWatch::begin(Arc::clone(&counters));
        counters.input.add(1);
        // What is measured is the time itself.
        std::thread::sleep(3 * WINDOW);
        assert!(watch.end().max_ms >= 50.0);
    }
}
