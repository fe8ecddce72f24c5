//! The bound on what is fetched ahead: bytes of each partition, and of all partitions of a consumer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Bytes that records cost beside their keys and values: librdkafka's own structures.
const RECORD_OVERHEAD_BYTES: usize = 320;

/// How many bytes the records of a batch count.
pub(super) fn counted_bytes(records: usize, payload_bytes: usize) -> usize {
    records * RECORD_OVERHEAD_BYTES + payload_bytes
}

/// The bytes fetched and not yet processed, of all partitions of a consumer.
#[derive(Debug)]
pub(super) struct FetchBudget {
    bytes: AtomicUsize,
    limit: usize,
    // The fetching thread waits here when the budget is spent.
    waiting: AtomicBool,
    lock: Mutex<()>,
    freed: Condvar,
}

impl FetchBudget {
    pub(super) fn new(limit: usize) -> Self {
        FetchBudget {
            bytes: AtomicUsize::new(0),
            limit,
            waiting: AtomicBool::new(false),
            lock: Mutex::new(()),
            freed: Condvar::new(),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn is_spent(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.limit
    }

    /// Waits until there is budget again, somebody calls [`wake`](Self::wake), or the time is over.
    pub(super) fn wait(&self, at_most: Duration) {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.store(true, Ordering::SeqCst);
        if self.bytes.load(Ordering::SeqCst) >= self.limit {
            drop(self.freed.wait_timeout(guard, at_most));
        }
        self.waiting.store(false, Ordering::SeqCst);
    }

    pub(super) fn wake(&self) {
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.freed.notify_all();
    }

    fn release(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        // Woken at half, so that the thread does not run for every few records.
        let half = self.limit / 2;
        if before > half && before - bytes <= half && self.waiting.load(Ordering::SeqCst) {
            self.wake();
        }
    }
}

/// The bytes of one partition that were fetched and are not yet processed. Shared by the fetching thread, which
/// adds, and the partition's task, which releases.
#[derive(Debug)]
pub(super) struct FetchBuffer {
    bytes: AtomicUsize,
    budget: Arc<FetchBudget>,
}

impl FetchBuffer {
    pub(super) fn new(budget: &Arc<FetchBudget>) -> Arc<Self> {
        Arc::new(FetchBuffer { bytes: AtomicUsize::new(0), budget: Arc::clone(budget) })
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> FetchPermit {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.budget.bytes.fetch_add(bytes, Ordering::SeqCst);
        FetchPermit { buffer: Arc::clone(self), bytes }
    }
}

/// So many bytes of a partition's buffer; given back when dropped.
#[derive(Debug)]
pub struct FetchPermit {
    buffer: Arc<FetchBuffer>,
    bytes: usize,
}

impl FetchPermit {
    /// How many bytes it stands for.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for FetchPermit {
    fn drop(&mut self) {
        self.buffer.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.buffer.budget.release(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_give_back_and_wake_the_waiting_thread() {
        let budget = Arc::new(FetchBudget::new(100));
        let buffer = FetchBuffer::new(&budget);
        let first = buffer.take(60);
        let second = buffer.take(60);
        assert!(budget.is_spent());
        let waiter = {
            let budget = Arc::clone(&budget);
            std::thread::spawn(move || budget.wait(Duration::from_secs(30)))
        };
        drop(first);
        drop(second);
        waiter.join().unwrap();
        assert!(!budget.is_spent());
        assert_eq!(buffer.bytes(), 0);
    }
}
