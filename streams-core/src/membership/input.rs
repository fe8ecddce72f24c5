//! What reaches the membership's task.

use kafka_protocol::ResponseError;
use tokio::sync::mpsc;

use crate::client::wire::{Connection, WireError};
use crate::record::TopicPartition;

use super::commit::Commit;
use super::event::{CurrentTasks, MembershipEvent};
use super::group_member::{Assignments, JoinAnswer, SyncAnswer};
use super::shell::Command;
use super::vigil::Watched;

/// What came of something under way.
pub(super) enum Input {
    Coordinator {
        attempt: u64,
        found: Result<Connection, WireError>,
    },
    Joined {
        attempt: u64,
        answer: Result<JoinAnswer, WireError>,
    },
    Synced {
        attempt: u64,
        answer: Result<SyncAnswer, WireError>,
    },
    Beat {
        attempt: u64,
        answer: Result<Option<ResponseError>, WireError>,
    },
    Committed {
        attempt: u64,
        commit: Commit,
        sent: Identity,
        answer: CommitAnswer,
    },
    Planned {
        generation: i32,
        assignments: Assignments,
        fault: bool,
    },
    Ready {
        token: u64,
        held: Option<CurrentTasks>,
    },
    Closed {
        token: u64,
    },
    /// A heartbeat beside a request that waits.
    Watched(Watched),
    /// Time to look at waiting commits again.
    RetryCommits,
    /// A farewell was said, or could not be.
    Left,
}

/// What woke the membership's task.
pub(super) enum Wake {
    /// There is room for news, or nobody reads them any more.
    News(Option<mpsc::OwnedPermit<MembershipEvent>>),
    Input(Input),
    /// A command, or the end of all handles.
    Command(Option<Command>),
    Time,
}

pub(super) type CommitAnswer = Result<Vec<(TopicPartition, ResponseError)>, WireError>;
/// Generation and member id.
pub(super) type Identity = (i32, String);
