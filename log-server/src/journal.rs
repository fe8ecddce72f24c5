//! The way of a coordinator's records into its topic: in order, many to a batch, confirmed when durable.
//!
//! Records are queued while the coordinator's state machine is locked, so the log has them in the order of its
//! decisions. One task writes them. While one write is on its way to the disk a second one is made, which the disk
//! finds ready; what arrives then goes into the next one together.

mod internal_log;
pub(crate) mod marker;

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::protocol::ErrorCode;

use self::internal_log::Written;
pub(crate) use self::internal_log::{InternalLog, Replayed};
pub(crate) use self::marker::EndMarker;

/// How many appends one write round takes at most.
const MAX_APPENDS_PER_ROUND: usize = 1024;

/// How many rounds may be on their way to the disk.
const MAX_ROUNDS_UNDER_WAY: usize = 2;

/// How large a batch may grow before the next is begun.
const MAX_BATCH_BYTES: usize = 512 * 1024;

/// Names an append whose outcome the coordinator wants to hear.
pub(crate) type AppendId = u64;

/// Key and value of a record; no value deletes the key.
pub(crate) type JournalRecord = (Bytes, Option<Bytes>);

/// The producer whose transaction a record batch belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProducerIdentity {
    /// The producer id.
    pub(crate) id: i64,
    /// The producer's epoch.
    pub(crate) epoch: i16,
}

/// Something to be appended to a coordinator's topic.
#[derive(Debug, Clone)]
pub(crate) struct Append {
    /// Where.
    pub(crate) place: Place,
    /// The transaction that it belongs to, if any.
    pub(crate) producer: Option<ProducerIdentity>,
    /// What.
    pub(crate) content: Content,
    /// Set when the coordinator is to be told that it is durable, or that it failed. What nobody waits for gets to the
    /// disk with what comes next, or with the next housekeeping.
    pub(crate) then: Option<AppendId>,
}

/// A partition of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The one that this group or transactional id belongs to.
    Of(String),
    /// The one of this number.
    Partition(i32),
}

/// What an append consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// Records.
    Records(Vec<JournalRecord>),
    /// The marker that ends the producer's transaction.
    Marker(EndMarker),
}

/// What becomes one batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JournalBatch {
    /// The partition.
    pub(crate) partition: i32,
    /// The transaction that it belongs to, if any.
    pub(crate) producer: Option<ProducerIdentity>,
    /// What it holds.
    pub(crate) content: Content,
    /// Who wants to know the outcome.
    pub(crate) then: Vec<AppendId>,
}

/// A round of batches that have been written, and who waits for each.
type Round = VecDeque<(Vec<AppendId>, Result<Written, ErrorCode>)>;

/// Writes what is queued until the queue is closed; `confirm` is told the outcome of each append that asked.
pub(crate) async fn run(
    log: InternalLog,
    mut queue: mpsc::UnboundedReceiver<Append>,
    confirm: impl Fn(&[AppendId], Result<(), ErrorCode>),
) {
    let (mut appends, mut is_open) = (Vec::new(), true);
    let mut under_way: VecDeque<Round> = VecDeque::new();
    while is_open || !under_way.is_empty() {
        let may_write = is_open && under_way.len() < MAX_ROUNDS_UNDER_WAY;
        tokio::select! {
            biased;
            outcome = first_outcome(&mut under_way), if !under_way.is_empty() => {
                if let Some((ids, outcome)) = outcome {
                    confirm(&ids, outcome);
                }
            }
            count = queue.recv_many(&mut appends, MAX_APPENDS_PER_ROUND), if may_write => {
                is_open = count > 0;
                let round = write(&log, batch(appends.drain(..), |key| log.partition_of(key)));
                under_way.extend((!round.is_empty()).then_some(round));
            }
        }
    }
}

/// Writes the batches; those for which somebody waits are to be synced.
fn write(log: &InternalLog, batches: Vec<JournalBatch>) -> Round {
    let mut round = Round::new();
    for mut batch in batches {
        let ids = std::mem::take(&mut batch.then);
        let written = log.append(batch);
        if ids.is_empty() {
            // The log has told of a failure.
            continue;
        }
        if let Ok(written) = &written {
            written.request_sync();
        }
        round.push_back((ids, written));
    }
    round
}

/// The outcome of the oldest batch under way, with those who wait for it. Cancel-safe: it leaves the queue only when it
/// is complete.
async fn first_outcome(under_way: &mut VecDeque<Round>) -> Option<(Vec<AppendId>, Result<(), ErrorCode>)> {
    let round = under_way.front_mut()?;
    let outcome = match round.front() {
        Some((_, Ok(written))) => written.wait_durable().await,
        Some((_, Err(error))) => Err(*error),
        None => Ok(()),
    };
    let confirmed = round.pop_front();
    if round.is_empty() {
        under_way.pop_front();
    }
    confirmed.map(|(ids, _)| (ids, outcome))
}

/// Puts neighbours of the same partition and transaction together.
fn batch(appends: impl Iterator<Item = Append>, partition_of: impl Fn(&str) -> i32) -> Vec<JournalBatch> {
    let mut batches: Vec<JournalBatch> = Vec::new();
    let mut bytes = 0;
    for append in appends {
        let Append { place, producer, content, then } = append;
        let partition = match place {
            Place::Of(key) => partition_of(&key),
            Place::Partition(number) => number,
        };
        let size = content.size_bytes();
        let last = batches
            .last_mut()
            .filter(|last| last.partition == partition && last.producer == producer)
            .filter(|_| bytes + size <= MAX_BATCH_BYTES);
        match (last, content) {
            (
                Some(JournalBatch { content: Content::Records(present), then: waiting, .. }),
                Content::Records(more),
            ) => {
                bytes += size;
                present.extend(more);
                waiting.extend(then);
            }
            (_, content) => {
                bytes = size;
                batches.push(JournalBatch { partition, producer, content, then: then.into_iter().collect() });
            }
        }
    }
    batches
}

impl Content {
    /// Bytes of keys and values.
    fn size_bytes(&self) -> usize {
        match self {
            Self::Records(records) => {
                records.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len)).sum()
            }
            Self::Marker(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(key: &str, producer: Option<i64>, bytes: usize, then: AppendId) -> Append {
        let producer = producer.map(|id| ProducerIdentity { id, epoch: 0 });
        let content = Content::Records(vec![(Bytes::from(vec![0; bytes]), None)]);
        Append { place: Place::Of(key.to_owned()), producer, content, then: Some(then) }
    }

    #[test]
    fn neighbours_share_a_batch_and_order_is_kept() {
        let end = EndMarker { is_commit: true, decided_ms: 0 };
        let marker = Append { content: Content::Marker(end), ..append("bb", Some(7), 0, 5) };
        let appends = vec![
            append("a", None, 1, 1),
            append("a", None, 1, 2),
            append("a", Some(7), 1, 3),
            append("bb", Some(7), 1, 4),
            marker,
            append("bb", Some(7), 1, 6),
            append("a", None, MAX_BATCH_BYTES, 7),
            append("a", None, 1, 8),
        ];
        let batches = batch(appends.into_iter(), |key| i32::try_from(key.len()).unwrap());
        let then: Vec<_> = batches.iter().map(|batch| batch.then.clone()).collect();
        assert_eq!(then, [vec![1, 2], vec![3], vec![4], vec![5], vec![6], vec![7], vec![8]]);
        assert_eq!(batches[2].partition, 2);
    }
}
