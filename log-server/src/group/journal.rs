//! The way of a coordinator's records into its topic: in order, many to a batch, confirmed when durable.
//!
//! Records are queued while the state machine is locked, so the log has them in the order of its decisions. One
//! task writes them; what arrives while a write is on its way to the disk goes into the next one together.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::sync::mpsc;

use super::effects::{Append, AppendId, ProducerIdentity};

/// How many appends one write round takes at most.
const MAX_APPENDS_PER_ROUND: usize = 1024;

/// How large a batch may grow before the next is begun.
const MAX_BATCH_BYTES: usize = 512 * 1024;

/// The topic that a journal writes to.
pub(crate) trait JournalTopic: Send + Sync + 'static {
    /// The partition of a key, by Apache Kafka's rule.
    fn partition_of(&self, key: &str) -> i32;

    /// Appends batches in order and waits until all are durable; one outcome per batch.
    fn append(
        &self,
        batches: Vec<JournalBatch>,
    ) -> impl Future<Output = Vec<Result<(), ResponseError>>> + Send;
}

/// Records that become one batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JournalBatch {
    /// The partition.
    pub(crate) partition: i32,
    /// The transaction that the records belong to, if any.
    pub(crate) producer: Option<ProducerIdentity>,
    /// Keys and values; no value deletes the key.
    pub(crate) records: Vec<(Bytes, Option<Bytes>)>,
    /// Who wants to know the outcome.
    pub(crate) then: Vec<AppendId>,
}

/// Writes what is queued until the queue is closed; `confirm` is told the outcome of each append that asked.
pub(crate) async fn run<T: JournalTopic>(
    topic: T,
    mut queue: mpsc::UnboundedReceiver<Append>,
    confirm: impl Fn(&[AppendId], Result<(), ResponseError>),
) {
    let mut round = Vec::new();
    while queue.recv_many(&mut round, MAX_APPENDS_PER_ROUND).await > 0 {
        let batches = batch(round.drain(..), |group| topic.partition_of(group));
        let waiting: Vec<Vec<AppendId>> = batches.iter().map(|batch| batch.then.clone()).collect();
        let outcomes = topic.append(batches).await;
        for (ids, outcome) in waiting.iter().zip(outcomes) {
            confirm(ids, outcome);
        }
    }
}

/// Puts neighbours of the same partition and transaction together.
fn batch(appends: impl Iterator<Item = Append>, partition_of: impl Fn(&str) -> i32) -> Vec<JournalBatch> {
    let mut batches: Vec<JournalBatch> = Vec::new();
    let mut bytes = 0;
    for append in appends {
        let partition = partition_of(&append.group);
        let size: usize = append.records.iter().map(|(key, value)| key.len() + value_len(value)).sum();
        match batches.last_mut() {
            Some(last)
                if last.partition == partition
                    && last.producer == append.producer
                    && bytes + size <= MAX_BATCH_BYTES =>
            {
                bytes += size;
                last.records.extend(append.records);
                last.then.extend(append.then);
            }
            _ => {
                bytes = size;
                let then = append.then.into_iter().collect();
                let (producer, records) = (append.producer, append.records);
                batches.push(JournalBatch { partition, producer, records, then });
            }
        }
    }
    batches
}

fn value_len(value: &Option<Bytes>) -> usize {
    value.as_ref().map_or(0, Bytes::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(group: &str, producer: Option<i64>, bytes: usize, then: AppendId) -> Append {
        let producer = producer.map(|id| ProducerIdentity { id, epoch: 0 });
        let records = vec![(Bytes::from(vec![0; bytes]), None)];
        Append { group: group.to_owned(), producer, records, then: Some(then) }
    }

    #[test]
    fn neighbours_share_a_batch_and_order_is_kept() {
        let appends = vec![
            append("a", None, 1, 1),
            append("a", None, 1, 2),
            append("a", Some(7), 1, 3),
            append("bb", Some(7), 1, 4),
            append("a", None, MAX_BATCH_BYTES, 5),
            append("a", None, 1, 6),
        ];
        let batches = batch(appends.into_iter(), |group| i32::try_from(group.len()).unwrap());
        let then: Vec<_> = batches.iter().map(|batch| batch.then.clone()).collect();
        assert_eq!(then, [vec![1, 2], vec![3], vec![4], vec![5], vec![6]]);
        assert_eq!(batches[2].partition, 2);
    }
}
