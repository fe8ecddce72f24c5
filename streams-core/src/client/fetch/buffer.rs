//! The bound on what is fetched ahead: bytes of each partition, and of all partitions of a consumer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::message::FetchedMessage;

/// How many bytes records take that hold on to `held_bytes` of broker's answers.
pub(super) fn counted_bytes(records: usize, held_bytes: usize) -> usize {
    records * size_of::<FetchedMessage>() + held_bytes
}

/// What all partitions of a consumer may hold together.
#[derive(Debug)]
pub(super) struct FetchBudget {
    limit: usize,
    freed: Notify,
}

impl FetchBudget {
    pub(super) fn new(limit: usize) -> Self {
        FetchBudget { limit, freed: Notify::new() }
    }

    /// The part of each of so many partitions.
    pub(super) fn share(&self, partitions: usize) -> usize {
        self.limit / partitions.max(1)
    }

    /// Waits until something was given back since the last wait.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
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
        self.bytes.load(Ordering::Acquire)
    }

    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> FetchPermit {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
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
        self.buffer.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.buffer.budget.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn permits_give_back_and_wake_the_waiting_fetcher() {
        let budget = Arc::new(FetchBudget::new(100));
        let buffer = FetchBuffer::new(&budget);
        let (first, second) = (buffer.take(60), buffer.take(60));
        assert_eq!((buffer.bytes(), budget.share(4), budget.share(0)), (120, 25, 100));
        drop(first);
        budget.freed().await;
        assert_eq!(buffer.bytes(), 60);
        drop(second);
        budget.freed().await;
        assert_eq!(buffer.bytes(), 0);
    }
}
