//! Commits that wait or are under way.

use std::time::Duration;

use kafka_protocol::ResponseError;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::client::wire::WireError;
use crate::record::TopicPartition;

use super::error::CommitError;
use super::handle::OffsetToCommit;

/// Offsets to commit, and who waits for them.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) offsets: Vec<OffsetToCommit>,
    /// How often all tasks had been lost when the commit was asked for.
    pub(super) losses: u64,
    /// When to give up.
    pub(super) deadline: Instant,
    /// The last failure, told when the deadline passes.
    pub(super) last_error: Option<WireError>,
    answer: oneshot::Sender<Result<(), CommitError>>,
}

/// What to do after an answer to a commit.
#[derive(Debug)]
pub(super) enum Verdict {
    /// All is committed.
    Done,
    /// To be sent again when the gate is open.
    Again,
    /// To be sent again to another coordinator.
    Elsewhere,
    /// The membership may be over: 22, 25 or 82.
    Membership(ResponseError),
    /// Refused for good.
    Refused(TopicPartition, ResponseError),
    /// The request cannot be made or its answer not be read.
    Broken(WireError),
}

impl Commit {
    pub(super) fn new(
        offsets: Vec<OffsetToCommit>,
        losses: u64,
        timeout: Duration,
        answer: oneshot::Sender<Result<(), CommitError>>,
    ) -> Self {
        Self { offsets, losses, deadline: Instant::now() + timeout, last_error: None, answer }
    }

    /// Tells the outcome. Whoever asked may have given up; then nobody needs it.
    pub(super) fn finish(self, outcome: Result<(), CommitError>) {
        let _ = self.answer.send(outcome);
    }

    /// Fails because the tasks were lost.
    pub(super) fn lost(self, group: &str, reason: &str) {
        self.finish(Err(CommitError::Lost { group: group.to_owned(), reason: reason.to_owned() }));
    }

    /// Fails because one partition was refused.
    pub(super) fn refused(self, group: &str, partition: TopicPartition, code: ResponseError) {
        let refused = self.offsets.iter().find(|offset| offset.partition == partition);
        let offset = refused.map_or(-1, |offset| offset.offset);
        self.finish(Err(CommitError::Partition { group: group.to_owned(), partition, offset, code }));
    }

    /// Fails because its time is up.
    pub(super) fn timed_out(mut self, group: &str, broker: &str, after: Duration) {
        let timed_out = || WireError::TimedOut { broker: broker.to_owned(), api: "OffsetCommit", after };
        let source = self.last_error.take().unwrap_or_else(timed_out);
        self.finish(Err(CommitError::Wire { group: group.to_owned(), source }));
    }
}

/// Judges an answer by its worst partition.
pub(super) fn judge(answer: Result<Vec<(TopicPartition, ResponseError)>, WireError>) -> Verdict {
    use ResponseError as E;
    let refused = match answer {
        Ok(refused) => refused,
        Err(error) if error.is_retriable() => return Verdict::Elsewhere,
        Err(error) => return Verdict::Broken(error),
    };
    let mut verdict = Verdict::Done;
    for (partition, code) in refused {
        match code {
            E::IllegalGeneration | E::UnknownMemberId | E::FencedInstanceId => {
                return Verdict::Membership(code);
            }
            E::CoordinatorNotAvailable | E::NotCoordinator | E::RequestTimedOut => {
                verdict = Verdict::Elsewhere
            }
            E::CoordinatorLoadInProgress | E::RebalanceInProgress => verdict = Verdict::Again,
            // Marked as retriable by Kafka, but a topic that is gone does not come back by waiting.
            E::UnknownTopicOrPartition => return Verdict::Refused(partition, code),
            code if code.is_retriable() => verdict = Verdict::Again,
            code => return Verdict::Refused(partition, code),
        }
    }
    verdict
}
