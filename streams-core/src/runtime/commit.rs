//! One commit of a worker: the epochs of its tasks become durable together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use rdkafka::types::RDKafkaErrorCode;

use crate::client::wire::{Isolation, OffsetSpec, WireClient};
use crate::client::{ClientError, DataProducer, GroupMember};
use crate::config::ProcessingGuarantee;
use crate::error::Error;
use crate::membership::{CommitError, Lease, MembershipHandle, OffsetToCommit};
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
    /// Whether anything was done in it.
    pub(super) has_work: bool,
    /// The changelog partitions that were produced to.
    pub(super) changelogs: Vec<TopicPartition>,
    /// Whether the task is still this member's.
    pub(super) lease: Lease,
    /// Tells the task that the epoch is committed, or, dropped, that it is not.
    pub(super) committed: oneshot::Sender<ChangelogEnds>,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Committed {
    /// All epochs are durable.
    Yes,
    /// The group has gone on without this member: nothing is committed, and the tasks are to be closed as they are.
    Lost,
}

/// What a commit needs of the world.
#[derive(Debug, Clone)]
pub(super) struct Committer {
    pub(super) producer: Arc<DataProducer>,
    pub(super) membership: MembershipHandle,
    pub(super) wire: WireClient,
    pub(super) patience: Duration,
    pub(super) guarantee: ProcessingGuarantee,
}

impl Committer {
    /// Commits the epochs: all records acknowledged → input offsets with the group → each task's stores with their
    /// changelog offsets, one write per task. A crash in between leaves the stores behind the changelog, never ahead.
    pub(super) async fn commit(&self, epochs: Vec<PreparedEpoch>) -> Result<Committed, Error> {
        let offsets: Vec<OffsetToCommit> =
            epochs.iter().flat_map(|epoch| epoch.offsets.iter().cloned()).collect();
        if epochs.iter().any(|epoch| epoch.has_work) {
            if offsets.is_empty() && !all_leased(&epochs) {
                return Err(Error::SessionOver);
            }
            self.producer.flush(self.patience).await?;
            let committed = match self.guarantee {
                ProcessingGuarantee::AtLeastOnce => self.commit_offsets(offsets).await?,
                ProcessingGuarantee::ExactlyOnce => self.commit_transaction(offsets).await?,
            };
            if committed == Committed::Lost {
                return Ok(Committed::Lost);
            }
        }
        let changelogs: Vec<TopicPartition> =
            epochs.iter().flat_map(|epoch| epoch.changelogs.iter().cloned()).collect();
        let ends: ChangelogEnds = Arc::new(self.ends(&changelogs).await?);
        if !all_leased(&epochs) {
            // A new owner's records may lie before these ends; the stores do not have them.
            return Err(Error::SessionOver);
        }
        for epoch in epochs {
            // A task that is gone needs no answer.
            let _ = epoch.committed.send(Arc::clone(&ends));
        }
        Ok(Committed::Yes)
    }

    /// The offsets behind the last records of these partitions.
    async fn ends(&self, partitions: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let isolation = match self.guarantee {
            ProcessingGuarantee::AtLeastOnce => Isolation::ReadUncommitted,
            ProcessingGuarantee::ExactlyOnce => Isolation::ReadCommitted,
        };
        let listed = self.wire.list_offsets(partitions, OffsetSpec::Latest, isolation).await?;
        Ok(listed.into_iter().map(|(partition, end)| (partition, end.offset)).collect())
    }

    async fn commit_offsets(&self, offsets: Vec<OffsetToCommit>) -> Result<Committed, Error> {
        if offsets.is_empty() {
            return Ok(Committed::Yes);
        }
        let until = Instant::now() + self.patience;
        loop {
            match self.membership.commit_offsets(offsets.clone()).await {
                Ok(()) => return Ok(Committed::Yes),
                Err(fault @ CommitError::Lost { .. }) => {
                    tracing::warn!(%fault, "commit refused");
                    return Ok(Committed::Lost);
                }
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

    /// Offsets into the transaction, the transaction committed, the next one begun.
    async fn commit_transaction(&self, offsets: Vec<OffsetToCommit>) -> Result<Committed, Error> {
        let offsets: Vec<(TopicPartition, i64, String)> =
            offsets.into_iter().map(|it| (it.partition, it.offset, it.metadata)).collect();
        let until = Instant::now() + self.patience;
        loop {
            match self.try_commit_transaction(&offsets).await {
                Ok(()) => break,
                Err(ClientError::Transaction(fault)) if is_foreign(fault.code) => {
                    tracing::warn!(%fault, "commit refused");
                    return Ok(Committed::Lost);
                }
                Err(fault) if fault.is_retriable() && Instant::now() < until => {
                    tracing::warn!(%fault, "commit is tried again");
                    tokio::time::sleep(RETRY).await;
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        self.producer.begin_transaction()?;
        Ok(Committed::Yes)
    }

    async fn try_commit_transaction(
        &self,
        offsets: &[(TopicPartition, i64, String)],
    ) -> Result<(), ClientError> {
        if !offsets.is_empty() {
            let member = self.membership.group_metadata();
            let member = GroupMember {
                group_id: member.group_id,
                generation: member.generation,
                member_id: member.member_id,
                instance_id: member.instance_id,
            };
            self.producer.send_offsets(offsets, &member, self.patience).await?;
        }
        self.producer.commit_transaction(self.patience).await
    }
}

fn all_leased(epochs: &[PreparedEpoch]) -> bool {
    epochs.iter().all(|epoch| epoch.lease.covers(Duration::ZERO))
}

/// Whether the group's coordinator says that this member is not what it was (KIP-447).
fn is_foreign(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::FencedInstanceId
    )
}
