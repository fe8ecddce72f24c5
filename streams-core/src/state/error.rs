//! What can go wrong in a store.

use std::path::PathBuf;

use thiserror::Error;

use crate::serdes::SerdeError;

/// An error of a state store or of the storage below it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The storage failed.
    #[error("{backend} at {path}: {source}", path = path.display())]
    Storage {
        /// The backend's name.
        backend: &'static str,
        /// Where it keeps its files.
        path: PathBuf,
        /// What it says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What lies in the store is not what the store's types can read.
    #[error(
        "store {store} holds bytes that cannot be read: {source}; if the type has changed, give the store a new name \
         or delete the task's directory and its changelog"
    )]
    Unreadable {
        /// The store.
        store: String,
        /// Why.
        source: SerdeError,
    },
    /// A key or value could not be written.
    #[error("store {store}: {source}")]
    Unwritable {
        /// The store.
        store: String,
        /// Why.
        source: SerdeError,
    },
    /// Another process, or another task of this one, has the directory open.
    #[error("{} is in use by another process: give each instance on this machine its own state.dir", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// Data is damaged: the task's directory is to be wiped and restored from the changelog.
    #[error("{backend} at {path} is damaged: {message}", path = path.display())]
    Corrupted {
        /// The backend's name.
        backend: &'static str,
        /// Where it keeps its files.
        path: PathBuf,
        /// What it says.
        message: String,
    },
    /// A store was used against its own settings.
    #[error("store {store}: {message}")]
    Misuse {
        /// The store.
        store: String,
        /// What was wrong, and the remedy.
        message: String,
    },
}
