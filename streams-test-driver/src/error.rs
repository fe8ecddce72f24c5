//! What a driver reports.

use streams_core::serdes::SerdeError;
use streams_core::task::TaskError;
use thiserror::Error;

/// Why a step of a test failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The topology does not read the topic.
    #[error("no source reads topic `{topic}`; read are: {known}")]
    UnknownTopic {
        /// The topic.
        topic: String,
        /// Topics that are read.
        known: String,
    },
    /// A record could not be written for an input topic, or read from an output topic.
    #[error("topic `{topic}`: {source}")]
    Serde {
        /// The topic.
        topic: String,
        /// Why.
        source: SerdeError,
    },
    /// The task failed, as it would in production.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// No directory could be made for persistent stores.
    #[error("no temporary directory for state: {0}")]
    StateDirectory(#[from] std::io::Error),
    /// The topology has no such store, or it is of another type.
    #[error("there is no store `{store}` of type {expected}")]
    UnknownStore {
        /// The store's name.
        store: String,
        /// The type asked for.
        expected: &'static str,
    },
}
