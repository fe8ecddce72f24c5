//! Which record a task processes next (Kafka Streams' `PartitionGroup`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::error::TaskError;
use super::record_queue::RecordQueue;
use crate::processor::SourceError;
use crate::record::{FetchedRecord, TopicPartition};
use crate::time::Timestamp;

/// The queues of a task; the next record is the one with the smallest event time among the first ones, of several
/// the one of the first partition.
pub(super) struct PartitionGroup<M> {
    queues: Vec<RecordQueue<M>>,
    /// Event time and queue of each first record.
    heads: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Queues whose first record has no known event time yet.
    unknown: Vec<usize>,
    max_idle: Option<Duration>,
    /// How often a record was chosen although another partition had none.
    enforced: u64,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// The first record of this queue.
    Queue(usize),
    /// No record waits.
    Empty,
    /// Records wait, but another partition has older ones, or may have, that the fetch is to bring first.
    AwaitingFetch,
    /// Records wait, but another partition that has none gets this long to receive some.
    IdleUntil(Timestamp),
}

impl<M> std::fmt::Debug for PartitionGroup<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.queues).finish()
    }
}

impl<M: FetchedRecord> PartitionGroup<M> {
    pub(super) fn new(queues: Vec<RecordQueue<M>>, max_idle: Option<Duration>) -> Self {
        PartitionGroup { queues, heads: BinaryHeap::new(), unknown: Vec::new(), max_idle, enforced: 0 }
    }

    pub(super) fn queues(&self) -> &[RecordQueue<M>] {
        &self.queues
    }

    pub(super) fn queues_mut(&mut self) -> &mut [RecordQueue<M>] {
        &mut self.queues
    }

    /// Adds fetched records to a queue.
    pub(super) fn add(&mut self, queue: usize, records: impl IntoIterator<Item = M>) {
        let was_empty = self.queues[queue].is_empty();
        self.queues[queue].extend(records);
        // A queue that was just emptied is still among the unknown.
        if was_empty && !self.queues[queue].is_empty() && !self.unknown.contains(&queue) {
            self.unknown.push(queue);
        }
    }

    /// Chooses the next record.
    ///
    /// # Errors
    /// Those of `refuse`, which decides about records that cannot be read.
    pub(super) fn choose(
        &mut self,
        now: Timestamp,
        dropped: &mut u64,
        refuse: &mut dyn FnMut(&TopicPartition, &M, SourceError) -> Result<(), TaskError>,
    ) -> Result<Choice, TaskError> {
        while let Some(&queue) = self.unknown.last() {
            if let Some(time) = self.queues[queue].find_head(now, dropped, refuse)? {
                self.heads.push(Reverse((time, queue)));
            }
            self.unknown.pop();
        }
        if self.heads.len() < self.queues.len() {
            if let Some(wait) = self.wait_for_empty_queues(now) {
                return Ok(if self.heads.is_empty() { Choice::Empty } else { wait });
            }
            self.enforced += u64::from(!self.heads.is_empty());
        }
        Ok(self.heads.peek().map_or(Choice::Empty, |&Reverse((_, queue))| Choice::Queue(queue)))
    }

    pub(super) fn enforced(&self) -> u64 {
        self.enforced
    }

    /// The queue that was chosen, to take its first record.
    pub(super) fn chosen(&mut self) -> Option<(usize, &mut RecordQueue<M>)> {
        let Reverse((_, queue)) = self.heads.pop()?;
        self.unknown.push(queue);
        Some((queue, &mut self.queues[queue]))
    }

    /// Whether records of other partitions must wait for those that are empty: as long as the broker has more, or
    /// may have more; and once it has no more, for the idle time.
    fn wait_for_empty_queues(&mut self, now: Timestamp) -> Option<Choice> {
        let max_idle = self.max_idle?;
        let mut wait = None;
        for queue in self.queues.iter_mut().filter(|queue| queue.is_empty()) {
            if queue.lag != Some(0) {
                queue.idle_until = None;
                wait = Some(Choice::AwaitingFetch);
                continue;
            }
            let until = *queue.idle_until.get_or_insert(now + max_idle);
            if now < until {
                wait = Some(match wait {
                    Some(Choice::AwaitingFetch) => Choice::AwaitingFetch,
                    Some(Choice::IdleUntil(other)) => Choice::IdleUntil(until.max(other)),
                    _ => Choice::IdleUntil(until),
                });
            }
        }
        wait
    }
}

#[cfg(test)]
mod tests;
