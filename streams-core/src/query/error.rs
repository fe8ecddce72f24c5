//! Why a query has no answer.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::record::TopicPartition;
use crate::runtime::StreamsState;
use crate::state::StoreError;

/// Why a query has no answer.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The topology has no such store.
    #[error("the topology has no store {store}; it has: {}", known.join(", "))]
    UnknownStore {
        /// The name asked for.
        store: String,
        /// The stores that there are.
        known: Vec<String>,
    },
    /// The store holds other types.
    #[error("store {store} is no {expected}: name the type that it was built with")]
    WrongType {
        /// The store.
        store: String,
        /// The type asked for.
        expected: &'static str,
    },
    /// The key is not of the store's key type.
    #[error("store {store} has no keys of type {given}: give one of the type that it was built with")]
    WrongKey {
        /// The store.
        store: String,
        /// The type of the key that was given.
        given: &'static str,
    },
    /// The store has fewer partitions.
    #[error("store {store} has {partitions} partitions, and none of number {partition}")]
    UnknownPartition {
        /// The store.
        store: String,
        /// The partition asked for.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
    /// Another instance has the partition.
    #[error("partition {partition} of store {store} is with another instance: ask {owner}")]
    Moved {
        /// The store.
        store: String,
        /// The partition.
        partition: u32,
        /// `application.server` of the instance that has it, or its process id where it has none.
        owner: String,
    },
    /// No instance has the partition: its task is on its way from one to another.
    #[error(
        "partition {partition} of store {store} is with no instance at this moment, as it is being assigned: ask again"
    )]
    Moving {
        /// The store.
        store: String,
        /// The partition.
        partition: u32,
    },
    /// The partition is being restored here.
    #[error(
        "partition {partition} of store {store} is being restored here, {remaining} records are left: ask again, or let a standby answer"
    )]
    Restoring {
        /// The store.
        store: String,
        /// The partition.
        partition: u32,
        /// Records still to be read.
        remaining: u64,
    },
    /// The group has not confirmed in time that the partition is still this instance's.
    #[error(
        "it is not sure that partition {partition} of store {store} is still here, as the group's coordinator does not answer: \
         ask again"
    )]
    Unconfirmed {
        /// The store.
        store: String,
        /// The partition.
        partition: u32,
    },
    /// The position asked for was not reached in time.
    #[error("store {store} has read {input} up to {reached:?}, not up to {wanted}, after {waited:?}")]
    Behind {
        /// The store.
        store: String,
        /// The input that is behind.
        input: TopicPartition,
        /// The offset reached.
        reached: Option<i64>,
        /// The offset asked for.
        wanted: i64,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The position asked for names a topic that the store's task does not read.
    #[error("store {store} is not made of topic {topic}, so its position says nothing; it is made of: {}", inputs.join(", "))]
    ForeignPosition {
        /// The store.
        store: String,
        /// The topic.
        topic: String,
        /// The topics that its task reads.
        inputs: Vec<String>,
    },
    /// Too many queries wait for the tasks.
    #[error("{limit} queries wait for tasks already: ask again when some are answered")]
    Busy {
        /// The limit.
        limit: usize,
    },
    /// The instance does not run, or not yet.
    #[error(
        "the instance is {state}: it answers once it is RUNNING, others of the application may answer now"
    )]
    NotRunning {
        /// Its state.
        state: StreamsState,
    },
    /// The storage failed, or the bytes cannot be read.
    #[error("{0}")]
    Store(Arc<StoreError>),
    /// The read panicked.
    #[error("the read panicked, which harms the query alone: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
}

impl QueryError {
    /// Whether asking again, here or where the error says, is likely to help.
    pub fn is_retriable(&self) -> bool {
        matches!(
            self,
            QueryError::Moved { .. }
                | QueryError::Moving { .. }
                | QueryError::Restoring { .. }
                | QueryError::Unconfirmed { .. }
                | QueryError::Behind { .. }
                | QueryError::Busy { .. }
                | QueryError::NotRunning { .. }
        )
    }

    /// A word for the kind of error, for programs to read.
    pub fn kind(&self) -> &'static str {
        match self {
            QueryError::UnknownStore { .. } => "unknown_store",
            QueryError::WrongType { .. } => "wrong_type",
            QueryError::WrongKey { .. } => "wrong_key",
            QueryError::UnknownPartition { .. } => "unknown_partition",
            QueryError::Moved { .. } => "moved",
            QueryError::Moving { .. } => "moving",
            QueryError::Restoring { .. } => "restoring",
            QueryError::Unconfirmed { .. } => "unconfirmed",
            QueryError::Behind { .. } => "behind",
            QueryError::ForeignPosition { .. } => "foreign_position",
            QueryError::Busy { .. } => "busy",
            QueryError::NotRunning { .. } => "not_running",
            QueryError::Store(_) => "store",
            QueryError::Panicked { .. } => "panicked",
        }
    }
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        QueryError::Store(Arc::new(error))
    }
}
