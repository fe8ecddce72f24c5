//! What can go wrong with a running application.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::client::ClientError;
use crate::client::wire::WireError;
use crate::config::ConfigError;
use crate::membership::{CommitError, MembershipError};
use crate::state::StoreError;
use crate::topology::{TaskId, TopicPlanError, TopologyError};

/// An error of this crate. Cheap to clone, so that everyone who waits for an application can be told.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting cannot be used.
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    /// The topology has faults.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// Topics are missing, or do not fit each other.
    #[error("{source}{}", waited_for(.waited))]
    Topics {
        /// What is wrong with them.
        source: TopicPlanError,
        /// How long it was hoped for.
        waited: Duration,
    },
    /// A topic that is written to does not exist.
    #[error("topic {topic} is to be written to, but does not exist after {waited:?}: create it")]
    SinkTopicMissing {
        /// The topic.
        topic: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// No broker answers.
    #[error("no broker of {servers} was reachable for {waited:?}: check bootstrap.servers and that a broker runs there{}", cause(.source))]
    BrokerUnreachable {
        /// `bootstrap.servers`.
        servers: String,
        /// How long it was tried.
        waited: Duration,
        /// The last attempt, where it ended by itself.
        source: Option<Box<WireError>>,
    },
    /// A topic of the application's own is not as it must be.
    #[error("internal topic {topic}: {reason}")]
    InternalTopic {
        /// The topic.
        topic: String,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// A request to a broker failed.
    #[error("{0}")]
    Wire(#[source] Box<WireError>),
    /// Fetching or producing failed.
    #[error("{0}")]
    Client(#[source] Box<ClientError>),
    /// The group does not want this member any more.
    #[error("{0}")]
    Membership(#[source] Box<MembershipError>),
    /// Offsets could not be committed.
    #[error("{0}")]
    Commit(#[source] Box<CommitError>),
    /// A task failed.
    #[error("{source}")]
    Task {
        /// The task.
        task: TaskId,
        /// Why; it names the task.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The task of the global stores failed.
    #[error("{source}")]
    GlobalTask {
        /// Why.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The topics of the global stores do not deliver.
    #[error("no record of the global stores' topics came for {waited:?}; is the broker reachable?")]
    GlobalStalled {
        /// `task.timeout.ms`.
        waited: Duration,
    },
    /// The state of a task cannot be opened, read or written.
    #[error("task {task}: {source}")]
    Store {
        /// The task.
        task: TaskId,
        /// Why.
        source: Arc<StoreError>,
    },
    /// A task's directory stays locked by another process.
    #[error(
        "task {task}: {} is locked by another process since {waited:?}: give each application its own state.dir, or \
         stop the other process", path.display()
    )]
    StateLocked {
        /// The task.
        task: TaskId,
        /// Its directory.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A changelog does not deliver.
    #[error("task {task}: no record of its changelogs came for {waited:?}; is the broker reachable?")]
    RestoreStalled {
        /// The task.
        task: TaskId,
        /// `task.timeout.ms`.
        waited: Duration,
    },
    /// The beginning of a changelog was deleted while it was read.
    #[error("{partition} was cleaned while it was restored from; it is begun again")]
    ChangelogMoved {
        /// The changelog.
        partition: crate::record::TopicPartition,
    },
    /// The group's leader cannot assign tasks.
    #[error("the tasks cannot be assigned: {message}")]
    Assignment {
        /// The leader's words.
        message: String,
    },
    /// The state directory cannot be used.
    #[error("state.dir {}: {reason}; name a directory of its own that this user may write to, with room", path.display())]
    StateDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// There is no offset to begin with, and none may be chosen.
    #[error(
        "no offset is committed for {partition} and auto.offset.reset is none: set it, or commit an offset"
    )]
    NoOffset {
        /// The partition.
        partition: crate::record::TopicPartition,
    },
    /// The tasks may be another instance's: what was not sent is dropped, and tasks that are still this one's begin again from
    /// their last commit.
    #[error(
        "the group may have gone on without this instance: what was not sent is dropped, and its tasks begin again \
         from the last commit"
    )]
    SessionOver,
    /// Another instance asked all to stop.
    #[error("an instance asked the whole application to stop: {message}")]
    ApplicationStopped {
        /// What it said.
        message: String,
    },
    /// A task failed while its worker's transaction was to be committed: nothing of it is.
    #[error("a task failed before the transaction that holds its records could be committed: it is given up")]
    EpochMissing,
    /// The application did not end in time; what was not committed is processed again by whoever takes over.
    #[error(
        "the application did not close within {after:?}: what was not committed is processed again by whoever takes over; \
         give it a longer shutdown.timeout.ms if its last commit takes long"
    )]
    ShutdownTimeout {
        /// `shutdown.timeout.ms`.
        after: Duration,
    },
    /// The async runtime cannot be started, or one of its tasks ended unexpectedly.
    #[error("runtime: {reason}")]
    Runtime {
        /// What happened.
        reason: String,
    },
}

macro_rules! boxed {
    ($($source:ty => $variant:ident),*) => {$(
        impl From<$source> for Error {
            fn from(source: $source) -> Self {
                Error::$variant(Box::new(source))
            }
        }
    )*};
}

boxed! { WireError => Wire, ClientError => Client, MembershipError => Membership, CommitError => Commit }

fn cause(source: &Option<Box<WireError>>) -> String {
    source.as_ref().map_or_else(String::new, |source| format!(" ({source})"))
}

fn waited_for(waited: &Duration) -> String {
    if waited.is_zero() { String::new() } else { format!(" (waited {waited:?})") }
}
