//! What can go wrong with a membership.

use kafka_protocol::ResponseError;

use crate::client::wire::{WireError, advice};
use crate::record::TopicPartition;

/// Why a member cannot go on at all.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// Another member took over this one's `group.instance.id`.
    #[error(
        "group {group}: another instance joined with group.instance.id {instance}, so this one must stop; give each \
         instance its own"
    )]
    Fenced {
        /// Group.
        group: String,
        /// The instance id.
        instance: String,
    },
    /// The coordinator will never accept this member.
    #[error("group {group}: the coordinator refused {request} for good: {code} ({}){}", code.code(), advice(*code))]
    Refused {
        /// Group.
        group: String,
        /// Request refused.
        request: &'static str,
        /// Kafka's error code.
        code: ResponseError,
    },
    /// The brokers cannot be spoken to: no common version, or credentials refused.
    #[error("group {group}: {source}")]
    Unusable {
        /// Group.
        group: String,
        /// What the wire client met.
        source: WireError,
    },
}

/// Why a commit failed. Offsets of a failed commit are not known to be committed or not, except where a variant says so.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The member was dropped from the group, or its generation is over: nothing was committed, and the tasks may already run elsewhere.
    #[error(
        "group {group}: offsets not committed, {reason}; the tasks were lost and must be closed without commit"
    )]
    Lost {
        /// Group.
        group: String,
        /// How it was noticed.
        reason: String,
    },
    /// The coordinator refused one partition for good.
    #[error("group {group}: offset {offset} of {partition} not committed: {code} ({}){}", code.code(), advice(*code))]
    Partition {
        /// Group.
        group: String,
        /// Partition refused.
        partition: TopicPartition,
        /// Offset refused.
        offset: i64,
        /// Kafka's error code.
        code: ResponseError,
    },
    /// The coordinator could not be reached, or did not answer, within `default.api.timeout.ms`.
    #[error("group {group}: offsets not known to be committed: {source}")]
    Wire {
        /// Group.
        group: String,
        /// The last error.
        source: WireError,
    },
    /// The membership has ended.
    #[error(
        "group {group}: offsets not committed, this member has left; its tasks go on elsewhere from the commit before"
    )]
    Left {
        /// Group.
        group: String,
    },
    /// Too many commits wait already.
    #[error(
        "group {group}: offsets not committed, {waiting} commits wait for the coordinator; commit less often"
    )]
    TooMany {
        /// Group.
        group: String,
        /// Commits that wait.
        waiting: usize,
    },
}
