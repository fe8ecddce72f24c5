//! One commit of a worker: the epochs of its tasks become durable together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::client::DataProducer;
use crate::client::wire::{Isolation, OffsetSpec, WireClient};
use crate::error::Error;
use crate::membership::{CommitError, MembershipHandle, OffsetToCommit};
use crate::record::TopicPartition;

/// Pause between two tries of a commit that the coordinator could not take.
const RETRY: Duration = Duration::from_millis(200);

/// The ends of changelog partitions once an epoch's records are acknowledged: what the stores then stand for.
pub(super) type ChangelogEnds = Arc<BTreeMap<TopicPartition, i64>>;

/// What a task hands over for a commit. Everything that the epoch produced is with the producer by then; the task
/// stands still until it is told how the commit ended.
#[derive(Debug)]
pub(super) struct PreparedEpoch {
    /// Input offsets that have moved.
    pub(super) offsets: Vec<OffsetToCommit>,
    /// The changelog partitions that the task writes to.
    pub(super) changelogs: Vec<TopicPartition>,
    /// Tells the task that the epoch is committed, or, dropped, that it is not.
    pub(super) committed: oneshot::Sender<ChangelogEnds>,
}

/// What a commit needs of the world.
#[derive(Debug, Clone)]
pub(super) struct Committer {
    pub(super) producer: Arc<DataProducer>,
    pub(super) membership: MembershipHandle,
    pub(super) wire: WireClient,
    pub(super) patience: Duration,
}

impl Committer {
    /// Commits the epochs: all records acknowledged → input offsets with the group → each task's stores with their
    /// changelog offsets, one write per task. A crash in between leaves the stores behind the changelog, never ahead.
    pub(super) async fn commit(&self, epochs: Vec<PreparedEpoch>) -> Result<(), Error> {
        self.producer.flush(self.patience).await?;
        let offsets: Vec<OffsetToCommit> =
            epochs.iter().flat_map(|epoch| epoch.offsets.iter().cloned()).collect();
        if !offsets.is_empty() {
            self.commit_offsets(offsets).await?;
        }
        let changelogs: Vec<TopicPartition> =
            epochs.iter().flat_map(|epoch| epoch.changelogs.iter().cloned()).collect();
        let ends: ChangelogEnds = Arc::new(self.ends(&changelogs).await?);
        for epoch in epochs {
            // A task that is gone needs no answer.
            let _ = epoch.committed.send(Arc::clone(&ends));
        }
        Ok(())
    }

    /// The offsets behind the last records of these partitions.
    pub(super) async fn ends(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let listed =
            self.wire.list_offsets(partitions, OffsetSpec::Latest, Isolation::ReadUncommitted).await?;
        Ok(listed.into_iter().map(|(partition, end)| (partition, end.offset)).collect())
    }

    async fn commit_offsets(&self, offsets: Vec<OffsetToCommit>) -> Result<(), Error> {
        let until = Instant::now() + self.patience;
        loop {
            match self.membership.commit_offsets(offsets.clone()).await {
                Ok(()) => return Ok(()),
                Err(fault @ (CommitError::Wire { .. } | CommitError::TooMany { .. }))
                    if Instant::now() < until =>
                {
                    tracing::warn!(%fault, "commit is tried again");
                    tokio::time::sleep(RETRY).await;
                }
                Err(fault) => return Err(fault.into()),
            }
        }
    }
}
