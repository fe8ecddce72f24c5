//! What a broker answers about one partition: batches, some of which nobody is to see.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use kafka_protocol::messages::fetch_response::{AbortedTransaction, PartitionData};

use super::compression::Decompressor;
use super::message::FetchedMessage;
use super::record_batch::{RecordBatch, Unreadable};
use super::settings::FetchSettings;
use crate::client::wire::Isolation;

/// The readable part of an answer.
#[derive(Debug)]
pub(super) struct Taken {
    /// The records, in the order of their offsets.
    pub(super) records: Vec<FetchedMessage>,
    /// How many bytes they hold on to.
    pub(super) held_bytes: usize,
    /// How many bytes the broker has sent.
    pub(super) sent_bytes: usize,
    /// The offset to go on from.
    pub(super) next: i64,
    /// Why it ends before its end: what lies at `next` cannot be read.
    pub(super) unreadable: Option<Unreadable>,
}

/// Reads the records from offset `from` on.
pub(super) fn read(
    data: &mut PartitionData,
    from: i64,
    settings: &FetchSettings,
    decompressor: &mut Decompressor,
) -> Taken {
    let mut bytes = data.records.take().unwrap_or_default();
    let mut aborted = Aborted::new(data.aborted_transactions.take(), settings.isolation);
    let sent_bytes = bytes.len();
    let mut taken = Taken { records: Vec::new(), held_bytes: 0, sent_bytes, next: from, unreadable: None };
    let read = take_batches(&mut bytes, &mut aborted, settings, decompressor, &mut taken);
    taken.unreadable = read.err();
    taken
}

fn take_batches(
    bytes: &mut Bytes,
    aborted: &mut Aborted,
    settings: &FetchSettings,
    decompressor: &mut Decompressor,
    taken: &mut Taken,
) -> Result<(), Unreadable> {
    while let Some(batch) = RecordBatch::take(bytes, settings.check_crcs)? {
        let behind = batch.last_offset.saturating_add(1);
        // A broker begins with the batch that holds the offset.
        if !aborted.hides(&batch) && behind > taken.next {
            taken.held_bytes += batch.read(taken.next, decompressor, &mut taken.records)?;
        }
        taken.next = taken.next.max(behind);
    }
    Ok(())
}

/// The aborted transactions of an answer (Kafka's `CompletedFetch`): each begins at an offset and ends with its marker.
struct Aborted {
    starts: VecDeque<(i64, i64)>,
    open: HashSet<i64>,
}

impl Aborted {
    fn new(listed: Option<Vec<AbortedTransaction>>, isolation: Isolation) -> Self {
        let listed = listed.filter(|_| isolation == Isolation::ReadCommitted).unwrap_or_default();
        let mut starts: Vec<(i64, i64)> =
            listed.iter().map(|aborted| (aborted.first_offset, aborted.producer_id.0)).collect();
        starts.sort_unstable();
        Aborted { starts: starts.into(), open: HashSet::new() }
    }

    /// Whether nobody is to see the batch: it is a marker, or belongs to an aborted transaction.
    fn hides(&mut self, batch: &RecordBatch) -> bool {
        while let Some(&(first, producer)) = self.starts.front()
            && first <= batch.last_offset
        {
            self.starts.pop_front();
            self.open.insert(producer);
        }
        if batch.is_control() {
            if batch.is_abort() {
                self.open.remove(&batch.producer_id);
            }
            return true;
        }
        batch.is_transactional() && self.open.contains(&batch.producer_id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record_batch::tests::{batch_at, marker_at};
    use super::*;
    use crate::client::ClientProperties;
    use crate::record::FetchedRecord;
    use kafka_protocol::messages::ProducerId;

    fn offsets(isolation: &str, data: &PartitionData) -> (Vec<i64>, i64) {
        let properties = ClientProperties::new("b:1", "test").with("isolation.level", isolation);
        let settings = FetchSettings::new(&properties, "app").unwrap();
        let taken = read(&mut data.clone(), 0, &settings, &mut Decompressor::default());
        assert_eq!(taken.unreadable, None);
        (taken.records.iter().map(FetchedRecord::offset).collect(), taken.next)
    }

    #[test]
    fn what_was_aborted_is_seen_by_nobody_who_reads_committed() {
        // Producer 1 aborts what it wrote at 0 and commits what it wrote at 4; producer 2 commits; one writes without.
        let log = [
            batch_at(0, Some(1)),
            batch_at(1, Some(2)),
            batch_at(2, None),
            marker_at(3, 1, false),
            batch_at(4, Some(1)),
            marker_at(5, 2, true),
            marker_at(6, 1, true),
        ];
        let aborted = AbortedTransaction::default().with_producer_id(ProducerId(1)).with_first_offset(0);
        let data = PartitionData::default()
            .with_records(Some(log.concat().into()))
            .with_aborted_transactions(Some(vec![aborted]));
        assert_eq!(offsets("read_committed", &data), (vec![1, 2, 4], 7));
        assert_eq!(offsets("read_uncommitted", &data), (vec![0, 1, 2, 4], 7));
    }
}
