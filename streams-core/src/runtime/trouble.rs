//! Failures that pass: how they are told from others, and how long they are put up with.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::{ClientError, is_refusal};
use crate::error::Error;
use crate::membership::CommitError;
use crate::state::StoreError;
use crate::task::TaskError;

/// First pause before a worker begins anew; doubles.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// Longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Failures of one worker in a row.
#[derive(Debug)]
pub(super) struct Trouble {
    since: Option<Instant>,
    pauses: u32,
    /// The end of the latest pause: what fails before it fails for the same reason.
    until: Option<Instant>,
    /// `task.timeout.ms`.
    patience: Duration,
}

impl Trouble {
    pub(super) fn new(patience: Duration) -> Self {
        Trouble { since: None, pauses: 0, until: None, patience }
    }

    /// Notes a failure; answers how long to wait before the next try, or that patience has run out. A producer that fails makes all tasks
    /// fail, which is one failure: nothing is tried before the pause is over.
    pub(super) fn pause(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) > self.patience {
            return None;
        }
        if let Some(until) = self.until.filter(|until| now < *until) {
            return Some(until - now);
        }
        let pause = PAUSE_FIRST.saturating_mul(1 << self.pauses.min(16)).min(PAUSE_MAX);
        self.pauses += 1;
        self.until = Some(now + pause);
        Some(pause)
    }

    /// Something was committed.
    pub(super) fn is_over(&mut self) {
        self.since = None;
        self.pauses = 0;
        self.until = None;
    }
}

/// Whether beginning again from the last commit may help: the group has gone on without this member, a broker is away
/// or has another opinion of a transaction.
pub(super) fn passes(error: &Error) -> bool {
    match error {
        Error::SessionOver
        | Error::EpochMissing
        | Error::StateLocked { .. }
        | Error::ChangelogMoved { .. } => true,
        Error::Wire(fault) => fault.is_retriable() || fault.is_misrouted(),
        Error::Commit(fault) => match &**fault {
            CommitError::Wire { source, .. } => source.is_retriable() || source.is_misrouted(),
            CommitError::Partition { .. } => false,
            CommitError::Lost { .. } | CommitError::TooMany { .. } | CommitError::Left { .. } => true,
        },
        Error::Client(fault) => client_passes(fault),
        Error::Task { source, .. } => needs_wipe(source.as_ref()) || is_locked(source.as_ref()),
        _ => false,
    }
}

/// Whether the task's state on the disk is damaged, so that it is to be restored from its changelogs.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Task { source, .. } if needs_wipe(source.as_ref()))
}

fn needs_wipe(source: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    source.downcast_ref::<TaskError>().is_some_and(TaskError::needs_wipe)
}

/// Another task, which is being closed, or another process has the databases open.
fn is_locked(source: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let fault = source.downcast_ref::<TaskError>();
    matches!(fault, Some(TaskError::Store { source: StoreError::Locked { .. }, .. }))
}

fn client_passes(fault: &ClientError) -> bool {
    match fault {
        ClientError::FlushTimeout { .. } | ClientError::Transaction(_) | ClientError::Closed => true,
        ClientError::Broker(source) | ClientError::FetchRefused { source, .. } => {
            source.is_retriable() || source.is_misrouted()
        }
        ClientError::Client { code, .. } => !is_refusal(*code),
        ClientError::Delivery { code, .. }
        | ClientError::Offset { code, .. }
        | ClientError::Refused { code, .. } => !is_refusal(*code),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TopicPartition;
    use rdkafka::types::RDKafkaErrorCode as Code;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_until_patience_ends_and_begin_anew_after_a_commit() {
        let mut trouble = Trouble::new(Duration::from_secs(10));
        assert_eq!(trouble.pause(), Some(PAUSE_FIRST));
        assert_eq!(trouble.pause(), Some(PAUSE_FIRST), "the next task fails for the same reason");
        tokio::time::advance(PAUSE_FIRST).await;
        assert_eq!(trouble.pause(), Some(2 * PAUSE_FIRST));
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(trouble.pause(), None);
        trouble.is_over();
        assert_eq!(trouble.pause(), Some(PAUSE_FIRST));
    }

    #[test]
    fn what_stays_as_it_is_does_not_pass() {
        let delivery = |code| {
            let partition = TopicPartition::new("out", 0);
            passes(&ClientError::Delivery { partition, size: 1, code, reason: String::new() }.into())
        };
        assert!(delivery(Code::MessageTimedOut) && delivery(Code::PurgeQueue));
        assert!(!delivery(Code::MessageSizeTooLarge) && !delivery(Code::TopicAuthorizationFailed));
        assert!(passes(&Error::SessionOver));
        assert!(!passes(&Error::Runtime { reason: String::new() }));
    }
}
