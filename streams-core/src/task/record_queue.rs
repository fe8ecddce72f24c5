//! The records of one input partition that wait for their turn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::vec;

use super::error::TaskError;
use crate::processor::{SourceDecoder, SourceError, Timed};
use crate::record::{FetchedRecord, TopicPartition};
use crate::time::Timestamp;

/// Whether a partition is to be fetched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Enough of its records wait: stop fetching it.
    Pause,
    /// Few of its records wait: fetch it again.
    Resume,
}

/// The bound of a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueLimits {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// The queue of one input partition: bounded by asking for a pause, for records already fetched are never refused.
pub(super) struct RecordQueue<M> {
    pub(super) partition: TopicPartition,
    /// The source's index in the graph.
    pub(super) source: u32,
    pub(super) decoder: Arc<dyn SourceDecoder>,
    /// As they were fetched, batch by batch: none of them is empty.
    batches: VecDeque<vec::IntoIter<M>>,
    len: usize,
    bytes: usize,
    /// The event time of the first record, once it is known.
    head: Option<Timed>,
    /// The largest event time of a record that was taken.
    pub(super) partition_time: Timestamp,
    /// The offset behind the last record that was taken or dropped; none before the first.
    pub(super) consumed: Option<i64>,
    pub(super) leader_epoch: i32,
    /// The offset behind everything that was fetched, records that the consumer keeps to itself included.
    position: Option<i64>,
    /// How many records the broker has beyond the position; none while that is not known.
    pub(super) lag: Option<i64>,
    /// When a task that waits for this empty queue goes on without it.
    pub(super) idle_until: Option<Timestamp>,
    paused: bool,
    limits: QueueLimits,
}

impl<M> std::fmt::Debug for RecordQueue<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} records, {} bytes", self.partition, self.len, self.bytes)
    }
}

impl<M: FetchedRecord> RecordQueue<M> {
    pub(super) fn new(
        partition: TopicPartition,
        source: u32,
        decoder: Arc<dyn SourceDecoder>,
        limits: QueueLimits,
    ) -> Self {
        RecordQueue {
            partition,
            source,
            decoder,
            batches: VecDeque::new(),
            len: 0,
            bytes: 0,
            head: None,
            partition_time: Timestamp::UNKNOWN,
            consumed: None,
            leader_epoch: -1,
            position: None,
            lag: None,
            idle_until: None,
            paused: false,
            limits,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds fetched records, in the order of their offsets. A vector of them is kept as it is, not copied.
    pub(super) fn extend(&mut self, records: impl IntoIterator<Item = M>) {
        let records: Vec<M> = records.into_iter().collect();
        if !records.is_empty() {
            self.len += records.len();
            self.bytes += records.iter().map(FetchedRecord::size).sum::<usize>();
            self.batches.push_back(records.into_iter());
            self.idle_until = None;
        }
    }

    /// Notes how far the fetch has come and how far the partition goes on behind that.
    pub(super) fn note_fetched(&mut self, position: i64, lag: Option<i64>) {
        self.position = Some(position);
        self.lag = lag;
    }

    /// Finds the event time of the first record that is to be processed; records without a valid one are dropped on
    /// the way, and `refuse` decides about those that cannot be read.
    ///
    /// # Errors
    /// Those of `refuse`.
    pub(super) fn find_head(
        &mut self,
        now: Timestamp,
        dropped: &mut u64,
        refuse: &mut dyn FnMut(&TopicPartition, &M, SourceError) -> Result<(), TaskError>,
    ) -> Result<Option<Timestamp>, TaskError> {
        while self.head.is_none() {
            let Some(record) = self.batches.front().and_then(|batch| batch.as_slice().first()) else {
                return Ok(None);
            };
            match self.decoder.time(record, self.partition_time, now) {
                Ok(timed) if timed.timestamp >= Timestamp::ZERO => self.head = Some(timed),
                Ok(_) => {
                    *dropped += 1;
                    self.drop_first();
                }
                Err(error) => {
                    refuse(&self.partition, record, error)?;
                    self.drop_first();
                }
            }
        }
        Ok(self.head.as_ref().map(|head| head.timestamp))
    }

    /// Takes the first record, whose time was found; it counts as consumed only by [`RecordQueue::consume`].
    pub(super) fn take_head(&mut self) -> Option<(M, Timed)> {
        let timed = self.head.take()?;
        Some((self.pop()?, timed))
    }

    /// Puts a record back that was taken, to be taken again.
    pub(super) fn put_back(&mut self, record: M, timestamp: Timestamp) {
        self.bytes += record.size();
        self.len += 1;
        self.batches.push_front(vec![record].into_iter());
        self.head = Some(Timed { timestamp, decoded: None });
    }

    /// Notes that a record has been dealt with.
    pub(super) fn consume(&mut self, record: &M) {
        debug_assert!(self.consumed.is_none_or(|consumed| consumed <= record.offset()), "offsets ascend");
        self.consumed = Some(record.offset() + 1);
        self.leader_epoch = record.leader_epoch();
    }

    /// The offset to commit: behind the last record dealt with, or behind everything fetched where no record waits
    /// (control records of transactions come behind the last record).
    pub(super) fn offset_to_commit(&self) -> Option<i64> {
        match self.position {
            Some(position) if self.is_empty() => Some(self.consumed.unwrap_or(position).max(position)),
            _ => self.consumed,
        }
    }

    /// Says once when the partition is to be paused, and once when it is to be resumed: at half the limit, so that
    /// the fetch has time before the queue runs dry.
    pub(super) fn flow_change(&mut self) -> Option<Flow> {
        let full = self.len > self.limits.records || self.bytes > self.limits.bytes;
        let low = self.len <= self.limits.records / 2 && self.bytes <= self.limits.bytes / 2;
        if full && !self.paused {
            self.paused = true;
            return Some(Flow::Pause);
        }
        if low && self.paused {
            self.paused = false;
            return Some(Flow::Resume);
        }
        None
    }

    fn drop_first(&mut self) {
        if let Some(record) = self.pop() {
            self.consume(&record);
        }
    }

    fn pop(&mut self) -> Option<M> {
        let batch = self.batches.front_mut()?;
        let record = batch.next()?;
        if batch.as_slice().is_empty() {
            self.batches.pop_front();
        }
        self.len -= 1;
        self.bytes -= record.size().min(self.bytes);
        Some(record)
    }
}

#[cfg(test)]
mod tests;
