//! What the coordinator wants done: answers to give and records to write.

use bytes::Bytes;
use kafka_protocol::ResponseError;

use crate::journal::Append;

/// Names a request that waits for its answer; the shell gives it out and keeps the way back to the client.
pub(crate) type Ticket = u64;

/// The outcome of one step of the state machine, in the order in which it is to be carried out.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Answers to joins that waited, or did not have to.
    pub(crate) joins: Vec<(Ticket, JoinReply)>,
    /// Answers to syncs.
    pub(crate) syncs: Vec<(Ticket, SyncReply)>,
    /// Answers to commits and deletions, given once their records are durable.
    pub(crate) writes: Vec<(Ticket, Result<(), ResponseError>)>,
    /// Records for `__consumer_offsets`, to be appended in this order.
    pub(crate) appends: Vec<Append>,
}

impl Effects {
    /// Adds what a further step wants done.
    pub(crate) fn extend(&mut self, later: Self) {
        self.joins.extend(later.joins);
        self.syncs.extend(later.syncs);
        self.writes.extend(later.writes);
        self.appends.extend(later.appends);
    }
}

/// The answer to a JoinGroup request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JoinReply {
    /// None when the member is part of the generation.
    pub(crate) error: Option<ResponseError>,
    /// The member's id, also when it must join again with it (MEMBER_ID_REQUIRED).
    pub(crate) member_id: String,
    /// The generation, -1 with an error.
    pub(crate) generation: i32,
    /// The group's protocol type, for example `consumer`.
    pub(crate) protocol_type: Option<String>,
    /// The protocol that all members speak and most prefer.
    pub(crate) protocol: Option<String>,
    /// The leader's member id.
    pub(crate) leader: String,
    /// Tells a returning static leader that it need not assign anew (KIP-814).
    pub(crate) skip_assignment: bool,
    /// All members with their metadata, for the leader only.
    pub(crate) members: Vec<JoinedMember>,
}

/// One member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinedMember {
    /// The member's id.
    pub(crate) id: String,
    /// The static member's name.
    pub(crate) instance_id: Option<String>,
    /// Its metadata for the chosen protocol.
    pub(crate) metadata: Bytes,
}

/// The answer to a SyncGroup request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SyncReply {
    /// None when `assignment` holds.
    pub(crate) error: Option<ResponseError>,
    /// The group's protocol type.
    pub(crate) protocol_type: Option<String>,
    /// The chosen protocol.
    pub(crate) protocol: Option<String>,
    /// What the leader assigned to this member.
    pub(crate) assignment: Bytes,
}

impl JoinReply {
    /// A refusal that names `member_id`, which the client may have to join with.
    pub(crate) fn refused(member_id: impl Into<String>, error: ResponseError) -> Self {
        Self { error: Some(error), member_id: member_id.into(), generation: -1, ..Self::default() }
    }
}

impl SyncReply {
    /// A refusal.
    pub(crate) fn refused(error: ResponseError) -> Self {
        Self { error: Some(error), ..Self::default() }
    }
}
