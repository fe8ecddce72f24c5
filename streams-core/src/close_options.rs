//! How an application is closed.

use std::time::Duration;

/// What happens to the place in the group when an instance is closed (KIP-1153).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupMembershipOperation {
    /// A dynamic member leaves, so that others take over at once; a static one stays until its session runs out.
    #[default]
    Default,
    /// The member leaves, a static one as well.
    Leave,
    /// The member stays until its session runs out, so that a quick restart makes one rebalance less.
    Stay,
}

/// How an application is closed (Kafka Streams' `CloseOptions`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct CloseOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) operation: GroupMembershipOperation,
}

impl CloseOptions {
    /// The defaults: `shutdown.timeout.ms`, and [`GroupMembershipOperation::Default`].
    pub fn new() -> Self {
        CloseOptions::default()
    }

    /// How long closing may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// What happens to the place in the group.
    pub fn group_membership(mut self, operation: GroupMembershipOperation) -> Self {
        self.operation = operation;
        self
    }
}
