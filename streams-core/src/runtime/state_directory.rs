//! Where local state lies: one directory per task, locked while it is in use, and the process's lasting id.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use uuid::Uuid;

use crate::error::Error;
use crate::topology::TaskId;

/// Processes of one application that may share a state directory.
const PROCESSES_MAX: u32 = 256;
const TASK_LOCK: &str = ".lock";
/// How far a task's changelogs are in its state, for the assignor: a hint that may be a little old.
const OFFSET_SUM: &str = "offset-sum";

/// The directory of an application: `<state.dir>/<application.id>`.
///
/// Several processes may share it: each has an id of its own, which it finds again after a restart, and each task's
/// directory belongs to whoever runs the task, so that a task that moves between them keeps its state.
#[derive(Debug)]
pub(crate) struct StateDirectory {
    root: PathBuf,
    process_id: Uuid,
    // Where the member id of this process's last life is.
    member_path: PathBuf,
    // Held open: the lock on it is what keeps the id ours.
    _process_file: File,
}

/// A task's directory, locked until dropped.
#[derive(Debug)]
pub(crate) struct TaskDirectory {
    path: PathBuf,
    lock: File,
}

impl StateDirectory {
    /// Opens, or makes, the directory and takes a process id: that of an earlier process that has ended, else a new
    /// one.
    pub(crate) fn open(state_dir: &Path, application_id: &str) -> Result<Self, Error> {
        let root = state_dir.join(application_id);
        let fault =
            |source: io::Error| Error::StateDirectory { path: root.clone(), reason: source.to_string() };
        fs::create_dir_all(&root).map_err(fault)?;
        for slot in 0..PROCESSES_MAX {
            let mut file = open_file(&root.join(format!("process-{slot}.id"))).map_err(fault)?;
            match file.try_lock() {
                Ok(()) => {
                    let process_id = read_or_make_id(&mut file).map_err(fault)?;
                    let member_path = root.join(format!("process-{slot}.member"));
                    return Ok(StateDirectory { root, process_id, member_path, _process_file: file });
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => return Err(fault(source)),
            }
        }
        let reason = format!("{PROCESSES_MAX} processes use it already");
        Err(Error::StateDirectory { path: root, reason })
    }

    /// The process's id, the same after a restart.
    pub(crate) fn process_id(&self) -> Uuid {
        self.process_id
    }

    /// The member of the group that this process was in its last life, unless it left. It has ended, for its id is ours now.
    pub(crate) fn former_member(&self) -> Option<String> {
        let member = fs::read_to_string(&self.member_path).ok()?;
        Some(member.trim().to_owned()).filter(|member| !member.is_empty())
    }

    /// Notes the member that this process is; none when it leaves.
    pub(crate) fn note_member(&self, member_id: Option<&str>) {
        if let Err(fault) = fs::write(&self.member_path, member_id.unwrap_or_default()) {
            // Then the group waits for the session of a member that has died.
            tracing::debug!(%fault, "the member id could not be noted");
        }
    }

    /// How far the state is that lies here and that no task uses, by task.
    pub(crate) fn dormant_offset_sums(&self) -> BTreeMap<TaskId, i64> {
        let Ok(entries) = fs::read_dir(&self.root) else { return BTreeMap::new() };
        let dormant = entries.filter_map(|entry| {
            let path = entry.ok()?.path();
            let task: TaskId = path.file_name()?.to_str()?.parse().ok()?;
            let sum = fs::read_to_string(path.join(OFFSET_SUM)).ok()?.trim().parse().ok()?;
            // One that is locked is a task's of this process or another.
            open_file(&path.join(TASK_LOCK)).ok()?.try_lock().ok()?;
            Some((task, sum))
        });
        dormant.collect()
    }

    /// The tasks that have a directory.
    pub(crate) fn tasks(&self) -> Result<Vec<TaskId>, Error> {
        let failed =
            |source: io::Error| Error::StateDirectory { path: self.root.clone(), reason: source.to_string() };
        let mut tasks = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            tasks.extend(name.to_str().and_then(|name| name.parse::<TaskId>().ok()));
        }
        tasks.sort_unstable();
        Ok(tasks)
    }

    /// When the directory of a task was let go, or taken by one that died with it.
    pub(crate) fn released(&self, task: TaskId) -> SystemTime {
        let lock = fs::metadata(self.task_path(task).join(TASK_LOCK));
        lock.and_then(|lock| lock.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Where this process keeps its copies of the global stores.
    pub(crate) fn global_path(&self) -> PathBuf {
        self.root.join(format!("global-{}", self.process_id))
    }

    /// Locks the directory of a task; `None` while another process, or another task of this one, has it.
    pub(crate) fn lock_task(&self, task: TaskId) -> Result<Option<TaskDirectory>, Error> {
        let path = self.task_path(task);
        let fault =
            |source: io::Error| Error::StateDirectory { path: path.clone(), reason: source.to_string() };
        fs::create_dir_all(&path).map_err(fault)?;
        let lock = open_file(&path.join(TASK_LOCK)).map_err(fault)?;
        match lock.try_lock() {
            Ok(()) => {
                let directory = TaskDirectory { path, lock };
                directory.note_use();
                Ok(Some(directory))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(fault(source)),
        }
    }

    /// The directory of a task, whether it is there or not.
    pub(crate) fn task_path(&self, task: TaskId) -> PathBuf {
        self.root.join(task.to_string())
    }
}

impl TaskDirectory {
    /// Where the task keeps its databases.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes how far the task's changelogs are in its state.
    pub(crate) fn note_offset_sum(&self, sum: i64) {
        if let Err(fault) = fs::write(self.path.join(OFFSET_SUM), sum.to_string()) {
            // Then the task may be given to another instance after a restart.
            tracing::debug!(%fault, "the offset sum could not be noted");
        }
    }

    /// Whether no state lies in it.
    pub(crate) fn is_clean(&self) -> bool {
        let Ok(mut entries) = fs::read_dir(&self.path) else { return true };
        entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == TASK_LOCK))
    }

    /// Leaves a trace of when the directory was used last.
    fn note_use(&self) {
        if let Err(fault) = self.lock.set_modified(SystemTime::now()) {
            // Then it may be deleted too early, and is restored.
            tracing::debug!(%fault, "the time of a task directory's use could not be noted");
        }
    }

    /// Deletes all state of the task; the lock stays.
    pub(crate) fn wipe(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else if path.file_name().is_none_or(|name| name != TASK_LOCK) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

impl Drop for TaskDirectory {
    fn drop(&mut self) {
        self.note_use();
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn read_or_make_id(file: &mut File) -> io::Result<Uuid> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    if let Ok(id) = text.trim().parse() {
        return Ok(id);
    }
    let id = Uuid::new_v4();
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{id}")?;
    file.sync_all()?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> PathBuf {
        let path = std::env::temp_dir().join(format!("state-directory-{}", Uuid::new_v4()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn processes_get_ids_of_their_own_and_find_them_again() {
        let dir = scratch();
        let first = StateDirectory::open(&dir, "app").unwrap();
        let second = StateDirectory::open(&dir, "app").unwrap();
        assert_ne!(first.process_id(), second.process_id());
        let id = first.process_id();
        drop(first);
        assert_eq!(StateDirectory::open(&dir, "app").unwrap().process_id(), id);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn state_that_nobody_uses_is_told_and_the_last_lifes_member_is_known() {
        let dir = scratch();
        let state = StateDirectory::open(&dir, "app").unwrap();
        let (used, dormant) = (TaskId::new(0, 1), TaskId::new(1, 2));
        let held = state.lock_task(used).unwrap().unwrap();
        held.note_offset_sum(7);
        state.lock_task(dormant).unwrap().unwrap().note_offset_sum(42);
        drop(state.lock_task(TaskId::new(1, 3)).unwrap());
        assert_eq!(state.dormant_offset_sums(), BTreeMap::from([(dormant, 42)]));
        drop(held);
        assert_eq!(state.dormant_offset_sums(), BTreeMap::from([(used, 7), (dormant, 42)]));
        assert_eq!(state.former_member(), None);
        state.note_member(Some("member-1"));
        drop(state);
        let again = StateDirectory::open(&dir, "app").unwrap();
        assert_eq!(again.former_member().as_deref(), Some("member-1"));
        again.note_member(None);
        assert_eq!(again.former_member(), None);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_task_directory_has_one_user_and_can_be_wiped() {
        let dir = scratch();
        let state = StateDirectory::open(&dir, "app").unwrap();
        let task = TaskId::new(0, 1);
        let held = state.lock_task(task).unwrap().unwrap();
        assert!(state.lock_task(task).unwrap().is_none());
        fs::create_dir(held.path().join("rocksdb")).unwrap();
        fs::write(held.path().join("rocksdb").join("x"), "x").unwrap();
        held.wipe().unwrap();
        assert!(!held.path().join("rocksdb").exists());
        assert!(state.lock_task(task).unwrap().is_none(), "the lock survives the wipe");
        drop(held);
        assert!(state.lock_task(task).unwrap().is_some());
        fs::remove_dir_all(dir).unwrap();
    }
}
