//! Deletes what has been processed from repartition topics: nobody else reads them, and they never expire.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::client::wire::WireClient;
use crate::membership::OffsetToCommit;
use crate::record::TopicPartition;

/// The committed offsets of repartition topics, up to which their records are deleted now and then.
#[derive(Debug)]
pub(super) struct RepartitionPurge {
    wire: WireClient,
    topics: Arc<BTreeSet<Arc<str>>>,
    interval: Duration,
    next: Instant,
    committed: BTreeMap<TopicPartition, i64>,
    // One request at a time.
    under_way: Option<JoinHandle<()>>,
}

impl RepartitionPurge {
    /// Purges `topics` every `interval`.
    pub(super) fn new(wire: WireClient, topics: Arc<BTreeSet<Arc<str>>>, interval: Duration) -> Self {
        let next = Instant::now() + interval;
        RepartitionPurge { wire, topics, interval, next, committed: BTreeMap::new(), under_way: None }
    }

    /// Notes offsets that were committed.
    pub(super) fn note<'a>(&mut self, offsets: impl Iterator<Item = &'a OffsetToCommit>) {
        for offset in offsets.filter(|offset| self.topics.contains(&offset.partition.topic)) {
            self.committed.insert(offset.partition.clone(), offset.offset);
        }
    }

    /// Asks the broker to delete, in the background, if it is time. A failure is tried again at the next time, for
    /// nothing is lost by it.
    pub(super) fn run_if_due(&mut self) {
        let busy = self.under_way.as_ref().is_some_and(|request| !request.is_finished());
        if self.committed.is_empty() || busy || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + self.interval;
        let (wire, before) = (self.wire.clone(), std::mem::take(&mut self.committed));
        self.under_way = Some(tokio::spawn(async move {
            if let Err(fault) = wire.delete_records(&before).await {
                tracing::debug!(%fault, "repartition topics could not be purged");
            }
        }));
    }
}
