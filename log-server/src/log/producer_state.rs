//! What a partition knows of its producers: sequences for idempotence, open transactions for readers.
//!
//! KIP-98 and KIP-360. Pure: headers in, verdicts out.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::txn_index::AbortedTransaction;
use crate::records::{BatchHeader, NO_PRODUCER_ID, NO_SEQUENCE, next_sequence};

/// How many batches of a producer are remembered to recognise a repetition: a producer has at most five requests
/// in flight.
const REMEMBERED_BATCHES: usize = 5;

/// What is remembered of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeenBatch {
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: i64,
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: i64,
}

impl SeenBatch {
    fn base_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }
}

/// One producer on one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProducerEntry {
    pub(crate) epoch: i16,
    /// The newest last; empty after a new epoch's transaction marker.
    pub(crate) batches: VecDeque<SeenBatch>,
    pub(crate) coordinator_epoch: i32,
    /// The first offset of the open transaction.
    pub(crate) transaction_start: Option<i64>,
    pub(crate) last_timestamp: i64,
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Append it.
    Append,
    /// It is there already: answer success with this offset and timestamp.
    Duplicate { base_offset: i64, timestamp: i64 },
    /// The producer skipped or repeated sequence numbers.
    OutOfOrder,
    /// A newer instance of the producer has taken over.
    Fenced,
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    Abort,
    Commit,
}

/// All producers of one partition.
#[derive(Debug, Default)]
pub(crate) struct ProducerStates {
    producers: HashMap<i64, ProducerEntry>,
    /// Open transactions by first offset.
    open: BTreeMap<i64, i64>,
}

impl ProducerStates {
    pub(crate) fn insert(&mut self, producer_id: i64, entry: ProducerEntry) {
        if let Some(start) = entry.transaction_start {
            self.open.insert(start, producer_id);
        }
        self.producers.insert(producer_id, entry);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &ProducerEntry)> {
        self.producers.iter().map(|(id, entry)| (*id, entry))
    }

    pub(crate) fn len(&self) -> usize {
        self.producers.len()
    }

    /// Whether no later batch of the producer is remembered before `durable_end`: one that a power cut may still
    /// take away does not count.
    pub(crate) fn is_newest(&self, producer_id: i64, last_offset: i64, durable_end: i64) -> bool {
        let is_later = |seen: &SeenBatch| (last_offset + 1..durable_end).contains(&seen.last_offset);
        self.producers.get(&producer_id).is_some_and(|entry| !entry.batches.iter().any(is_later))
    }

    /// The first offset of the oldest open transaction: readers of committed records stop before it.
    pub(crate) fn first_unstable_offset(&self) -> Option<i64> {
        self.open.keys().next().copied()
    }

    /// Judges a batch before it is appended.
    pub(crate) fn check(&self, header: &BatchHeader) -> Verdict {
        if header.producer_id == NO_PRODUCER_ID {
            return Verdict::Append;
        }
        let Some(entry) = self.producers.get(&header.producer_id) else {
            // Its state expired, or its records were deleted: any sequence may be next (KIP-360).
            return Verdict::Append;
        };
        if header.producer_epoch < entry.epoch {
            return Verdict::Fenced;
        }
        if header.base_sequence == NO_SEQUENCE {
            // The group coordinator writes on the producer's behalf, and numbers nothing.
            return Verdict::Append;
        }
        if header.producer_epoch > entry.epoch {
            return if header.base_sequence == 0 { Verdict::Append } else { Verdict::OutOfOrder };
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        if let Some(seen) =
            entry.batches.iter().find(|seen| (seen.first_sequence, seen.last_sequence) == (first, last))
        {
            return Verdict::Duplicate { base_offset: seen.base_offset(), timestamp: seen.timestamp };
        }
        match entry.batches.back() {
            Some(newest) if next_sequence(newest.last_sequence, 1) != first => Verdict::OutOfOrder,
            _ => Verdict::Append,
        }
    }

    /// Takes note of a batch that was appended; `header` has its final offsets. `now_ms` is the server's time, as
    /// the records' own may be years old and must not make the producer look idle.
    pub(crate) fn appended(&mut self, header: &BatchHeader, now_ms: i64) {
        if header.producer_id == NO_PRODUCER_ID || header.is_control() {
            return;
        }
        let entry = self.entry(header.producer_id, header.producer_epoch);
        if header.base_sequence != NO_SEQUENCE {
            if entry.batches.len() == REMEMBERED_BATCHES {
                entry.batches.pop_front();
            }
            entry.batches.push_back(SeenBatch {
                first_sequence: header.base_sequence,
                last_sequence: header.last_sequence(),
                last_offset: header.last_offset(),
                offset_delta: header.last_offset_delta,
                timestamp: header.max_timestamp,
            });
        }
        entry.last_timestamp = now_ms;
        if header.is_transactional() && entry.transaction_start.is_none() {
            entry.transaction_start = Some(header.base_offset);
            self.open.insert(header.base_offset, header.producer_id);
        }
    }

    /// Takes note of a transaction marker at `header`'s offset; an aborted transaction that had records here is
    /// returned, for the index.
    pub(crate) fn marked(
        &mut self,
        header: &BatchHeader,
        marker: Marker,
        coordinator_epoch: i32,
    ) -> Option<AbortedTransaction> {
        let entry = self.entry(header.producer_id, header.producer_epoch);
        entry.coordinator_epoch = coordinator_epoch;
        entry.last_timestamp = header.max_timestamp;
        let first_offset = entry.transaction_start.take()?;
        self.open.remove(&first_offset);
        (marker == Marker::Abort).then(|| AbortedTransaction {
            producer_id: header.producer_id,
            first_offset,
            last_offset: header.base_offset,
            last_stable_offset: self.first_unstable_offset().unwrap_or(header.base_offset + 1),
        })
    }

    /// Forgets producers that wrote nothing since `oldest_ms` and have no open transaction.
    pub(crate) fn expire(&mut self, oldest_ms: i64) {
        self.producers
            .retain(|_, entry| entry.transaction_start.is_some() || entry.last_timestamp >= oldest_ms);
    }

    /// The producer's entry; a new epoch forgets the old one's batches.
    fn entry(&mut self, producer_id: i64, epoch: i16) -> &mut ProducerEntry {
        let entry = self.producers.entry(producer_id).or_insert_with(|| ProducerEntry {
            epoch,
            batches: VecDeque::new(),
            coordinator_epoch: -1,
            transaction_start: None,
            last_timestamp: -1,
        });
        if epoch > entry.epoch {
            entry.epoch = epoch;
            entry.batches.clear();
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::BatchBuilder;

    fn batch(
        producer: (i64, i16),
        sequence: i32,
        count: i32,
        offset: i64,
        transactional: bool,
    ) -> BatchHeader {
        let mut builder = BatchBuilder::new(0).producer(producer.0, producer.1, sequence);
        if transactional {
            builder = builder.transactional(false);
        }
        builder.push(&Default::default());
        let mut header = BatchHeader::parse(&builder.build().unwrap()).unwrap();
        header.last_offset_delta = count - 1;
        header.base_offset = offset;
        header
    }

    fn append(states: &mut ProducerStates, header: &BatchHeader) -> Verdict {
        let verdict = states.check(header);
        if verdict == Verdict::Append {
            states.appended(header, header.max_timestamp);
        }
        verdict
    }

    #[test]
    fn repetitions_are_answered_with_the_first_offset() {
        let mut states = ProducerStates::default();
        for number in 0..7 {
            let header = batch((1, 0), number * 10, 10, i64::from(number) * 10, false);
            assert_eq!(append(&mut states, &header), Verdict::Append);
        }
        for number in 2..7 {
            let header = batch((1, 0), number * 10, 10, 500, false);
            let expected = Verdict::Duplicate { base_offset: i64::from(number) * 10, timestamp: 0 };
            assert_eq!(append(&mut states, &header), expected);
        }
        assert_eq!(append(&mut states, &batch((1, 0), 10, 10, 500, false)), Verdict::OutOfOrder);
        assert_eq!(append(&mut states, &batch((1, 0), 80, 10, 500, false)), Verdict::OutOfOrder);
    }

    #[test]
    fn epochs_fence_and_begin_at_zero() {
        let mut states = ProducerStates::default();
        append(&mut states, &batch((1, 3), 0, 1, 0, false));
        assert_eq!(append(&mut states, &batch((1, 2), 1, 1, 1, false)), Verdict::Fenced);
        assert_eq!(append(&mut states, &batch((1, 4), 1, 1, 1, false)), Verdict::OutOfOrder);
        assert_eq!(append(&mut states, &batch((1, 4), 0, 1, 1, false)), Verdict::Append);
    }

    #[test]
    fn unnumbered_batches_are_neither_repetitions_nor_gaps() {
        let mut states = ProducerStates::default();
        for offset in 0..3 {
            assert_eq!(append(&mut states, &batch((1, 1), NO_SEQUENCE, 1, offset, true)), Verdict::Append);
        }
        assert_eq!(states.first_unstable_offset(), Some(0));
        assert_eq!(append(&mut states, &batch((1, 0), NO_SEQUENCE, 1, 3, true)), Verdict::Fenced);
    }

    #[test]
    fn sequences_wrap() {
        let mut states = ProducerStates::default();
        assert_eq!(append(&mut states, &batch((1, 0), i32::MAX - 1, 3, 0, false)), Verdict::Append);
        assert_eq!(append(&mut states, &batch((1, 0), 1, 1, 3, false)), Verdict::Append);
    }

    #[test]
    fn transactions_hold_the_stable_offset_until_their_marker() {
        let mut states = ProducerStates::default();
        append(&mut states, &batch((1, 0), 0, 5, 10, true));
        append(&mut states, &batch((2, 0), 0, 5, 15, true));
        append(&mut states, &batch((1, 0), 5, 5, 20, true));
        assert_eq!(states.first_unstable_offset(), Some(10));
        let aborted = states.marked(&batch((1, 0), -1, 1, 25, true), Marker::Abort, 0).unwrap();
        assert_eq!((aborted.first_offset, aborted.last_offset, aborted.last_stable_offset), (10, 25, 15));
        assert_eq!(states.first_unstable_offset(), Some(15));
        assert_eq!(states.marked(&batch((2, 0), -1, 1, 26, true), Marker::Commit, 0), None);
        assert_eq!(states.first_unstable_offset(), None);
        assert_eq!(states.marked(&batch((2, 0), -1, 1, 27, true), Marker::Abort, 0), None);
    }

    #[test]
    fn idle_producers_expire_unless_in_a_transaction() {
        let mut states = ProducerStates::default();
        append(&mut states, &batch((1, 0), 0, 1, 0, false));
        append(&mut states, &batch((2, 0), 0, 1, 1, true));
        states.expire(1);
        assert_eq!(states.iter().map(|(id, _)| id).collect::<Vec<_>>(), [2]);
    }
}
