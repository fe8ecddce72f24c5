//! One member of a group.

use std::time::Duration;

use bytes::Bytes;

use super::effects::Ticket;

/// A protocol that a member speaks, with its subscription in that protocol's own bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Protocol {
    /// The protocol's name: for consumers the assignor's.
    pub(crate) name: String,
    /// What the leader needs to know of the member; opaque here.
    pub(crate) metadata: Bytes,
}

/// A member that has joined its group.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// The id that the coordinator gave out.
    pub(crate) id: String,
    /// The name of a static member (KIP-345), which outlives its id.
    pub(crate) instance_id: Option<String>,
    /// The client's own name, for people.
    pub(crate) client_id: String,
    /// Where it connects from, for people.
    pub(crate) client_host: String,
    /// How long a rebalance waits for this member.
    pub(crate) rebalance_timeout: Duration,
    /// How long the member may be silent.
    pub(crate) session_timeout: Duration,
    /// In the member's order of preference.
    pub(crate) protocols: Vec<Protocol>,
    /// The leader's word for the current generation.
    pub(crate) assignment: Bytes,
    /// The join that waits for the rebalance to complete.
    pub(crate) awaiting_join: Option<Ticket>,
    /// The sync that waits for the leader's.
    pub(crate) awaiting_sync: Option<Ticket>,
    /// True until its first generation begins: only then may a waiting join be given up.
    pub(crate) is_new: bool,
    /// When the member counts as dead; none while one of its requests waits here, for then it cannot send
    /// heartbeats.
    pub(crate) deadline: Option<Duration>,
}

impl Member {
    /// The metadata for the protocol of that name, empty when the member does not speak it.
    pub(crate) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        protocol
            .and_then(|name| self.protocols.iter().find(|p| p.name == name))
            .map(|p| p.metadata.clone())
            .unwrap_or_default()
    }

    /// True when the member speaks the protocol of that name.
    pub(crate) fn speaks(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|p| p.name == protocol)
    }

    /// True while a join or a sync of the member waits for its answer.
    pub(crate) fn is_waiting(&self) -> bool {
        self.awaiting_join.is_some() || self.awaiting_sync.is_some()
    }
}
