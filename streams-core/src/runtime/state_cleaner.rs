//! Deletes local state that is not used any more.

use std::fs;
use std::path::Path;
use std::sync::Weak;
use std::time::{Duration, SystemTime};

use super::state_directory::StateDirectory;
use crate::error::Error;
use crate::topology::TaskId;

/// Deletes the state of tasks that have moved away and did not come back for `state.cleanup.delay.ms`.
#[derive(Debug)]
pub(super) struct StateCleaner {
    /// Not held: an application that starts anew in this process is to find its own id free.
    pub(super) directory: Weak<StateDirectory>,
    pub(super) delay: Duration,
}

impl StateCleaner {
    /// Looks once per delay until it is aborted; so what is there at the start has the whole delay to be taken up again.
    pub(super) async fn run(self) {
        loop {
            tokio::time::sleep(self.delay.max(Duration::from_millis(1))).await;
            let Some(directory) = self.directory.upgrade() else { return };
            let delay = self.delay;
            let cleaned = tokio::task::spawn_blocking(move || clean(&directory, delay)).await;
            if let Ok(Err(error)) = cleaned {
                tracing::warn!(%error, "state that is not used any more could not be deleted");
            }
        }
    }
}

/// Deletes the state of the tasks that nobody has and that were let go at least `unused` ago; answers which.
fn clean(directory: &StateDirectory, unused: Duration) -> Result<Vec<TaskId>, Error> {
    let mut cleaned = Vec::new();
    for task in directory.tasks()? {
        let released = directory.released(task);
        let age = SystemTime::now().duration_since(released).unwrap_or_default();
        if age < unused {
            continue;
        }
        // Whoever has it keeps it.
        let Some(locked) = directory.lock_task(task)? else { continue };
        if locked.is_clean() {
            continue;
        }
        let failed = |source: std::io::Error| Error::StateDirectory {
            path: locked.path().to_owned(),
            reason: source.to_string(),
        };
        locked.wipe().map_err(failed)?;
        tracing::info!(%task, unused = ?age, "the local state of a task that runs elsewhere is deleted");
        cleaned.push(task);
    }
    Ok(cleaned)
}

/// Deletes all local state of an application, so that it restores everything at its next start.
///
/// # Errors
/// When a task is running on it, or a file cannot be deleted.
pub(crate) fn clean_up(state_dir: &Path, application_id: &str) -> Result<(), Error> {
    let directory = StateDirectory::open(state_dir, application_id)?;
    for task in directory.tasks()? {
        let path = directory.task_path(task);
        let failed =
            |source: std::io::Error| Error::StateDirectory { path: path.clone(), reason: source.to_string() };
        match directory.lock_task(task)? {
            Some(locked) => locked.wipe().map_err(failed)?,
            None => {
                return Err(Error::StateLocked { task, path: path.clone(), waited: Duration::ZERO });
            }
        }
    }
    let global = directory.global_path();
    match fs::remove_dir_all(&global) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::StateDirectory { path: global, reason: source.to_string() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_state_that_was_let_go_long_enough_ago_is_deleted() {
        let dir = std::env::temp_dir().join(format!("state-cleaner-{}", uuid::Uuid::new_v4()));
        let directory = StateDirectory::open(&dir, "app").unwrap();
        let (held, left) = (TaskId::new(0, 0), TaskId::new(0, 1));
        let fill = |task| {
            let locked = directory.lock_task(task).unwrap().unwrap();
            fs::create_dir_all(locked.path().join("rocksdb")).unwrap();
            locked
        };
        let kept = fill(held);
        drop(fill(left));
        assert_eq!(clean(&directory, Duration::from_secs(600)).unwrap(), []);
        assert_eq!(clean(&directory, Duration::ZERO).unwrap(), [left]);
        assert!(!directory.task_path(left).join("rocksdb").exists());
        assert!(directory.task_path(held).join("rocksdb").exists());
        assert_eq!(clean(&directory, Duration::ZERO).unwrap(), [], "what is clean is left alone");

        assert!(matches!(clean_up(&dir, "app"), Err(Error::StateLocked { task, .. }) if task == held));
        drop(kept);
        clean_up(&dir, "app").unwrap();
        assert!(!directory.task_path(held).join("rocksdb").exists());
        fs::remove_dir_all(dir).unwrap();
    }
}
