//! What can go wrong in a store.

use std::path::PathBuf;

use thiserror::Error;

use crate::serdes::SerdeError;

/// An error of a state store or of the storage below it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The storage failed.
    #[error("{backend} at {path}: {source}{}", room(&source.to_string()), path = path.display())]
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

/// What helps where the disk is full.
fn room(fault: &str) -> &'static str {
    if fault.contains("No space left") {
        "; make room on the disk, or move state.dir to a larger one: the state there stays as it was at the last commit"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_with_what_to_do() {
        let source = "IO error: No space left on device: While appending to file".into();
        let error = StoreError::Storage { backend: "rocksdb", path: "/state/app/0_1".into(), source };
        let text = error.to_string();
        assert!(text.contains("/state/app/0_1") && text.contains("make room"), "{text}");
    }
}
