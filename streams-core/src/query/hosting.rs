//! Which tasks' stores are here, for queries to find.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::client::FetchedMessage;
use crate::membership::Lease;
use crate::record::TopicPartition;
use crate::runtime::TaskDirectory;
use crate::state::{Position, TaskDatabase};
use crate::task::StreamTask;
use crate::topology::TaskId;

/// A read of a running task.
pub(crate) type TaskQuery = Box<dyn FnOnce(&mut StreamTask<FetchedMessage>) + Send>;

/// Hands a read to a running task; false where the task has ended.
pub(crate) type Mailbox = Arc<dyn Fn(TaskQuery) -> bool + Send + Sync>;

/// The stores of an instance's tasks and standbys.
#[derive(Clone, Default)]
pub(crate) struct StoreHost(Arc<Shared>);

#[derive(Default)]
struct Shared {
    tasks: Mutex<BTreeMap<TaskId, (u64, Hosted)>>,
    serials: AtomicU64,
    moved: Notify,
}

/// The stores by name, each with its database.
type Databases = Arc<[(Arc<str>, Arc<dyn TaskDatabase>)]>;

/// The stores of one task. As long as one of these is held the task's directory stays locked, so that whoever opens the
/// task next waits for the reads under way.
#[derive(Clone)]
pub(crate) struct Hosted {
    /// The running task and its right to the partition; none for a standby.
    pub(crate) active: Option<(Mailbox, Lease)>,
    pub(crate) inputs: Arc<[TopicPartition]>,
    /// What the stores contain at least, whatever their database says.
    floor: Arc<Mutex<Position>>,
    databases: Databases,
    // Behind the databases: they close before the directory is unlocked.
    _directory: Arc<TaskDirectory>,
}

/// Keeps a task's stores open to queries until it is dropped.
#[derive(Debug)]
pub(crate) struct Hosting {
    host: StoreHost,
    task: TaskId,
    serial: u64,
    floor: Arc<Mutex<Position>>,
}

impl StoreHost {
    /// Opens the stores of a task to queries: those of a running one where it is `active`, else a standby's. They
    /// contain at least everything before `floor`.
    pub(crate) fn open(
        &self,
        task: &StreamTask<FetchedMessage>,
        active: Option<(Mailbox, Lease)>,
        floor: Position,
        directory: &Arc<TaskDirectory>,
    ) -> Hosting {
        let databases =
            task.stores().iter().map(|store| (Arc::from(store.name()), Arc::clone(store.database())));
        let floor = Arc::new(Mutex::new(floor));
        let hosted = Hosted {
            active,
            inputs: task.inputs().into(),
            floor: Arc::clone(&floor),
            databases: databases.collect(),
            _directory: Arc::clone(directory),
        };
        let serial = self.0.serials.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(task.id(), (serial, hosted));
        self.0.moved.notify_waiters();
        Hosting { host: self.clone(), task: task.id(), serial, floor }
    }

    /// The stores of a task, where it is here.
    pub(crate) fn find(&self, task: TaskId) -> Option<Hosted> {
        self.lock().get(&task).map(|(_, hosted)| hosted.clone())
    }

    /// Told whenever a task has committed or a standby has read on.
    pub(crate) fn moved(&self) -> &Notify {
        &self.0.moved
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TaskId, (u64, Hosted)>> {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for StoreHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

impl Hosted {
    pub(crate) fn database(&self, store: &str) -> Option<&Arc<dyn TaskDatabase>> {
        self.databases.iter().find(|(name, _)| **name == *store).map(|(_, database)| database)
    }

    pub(crate) fn floor(&self) -> Position {
        self.floor.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Hosting {
    /// Notes that the task has committed.
    pub(crate) fn note_commit(&self) {
        self.host.0.moved.notify_waiters();
    }

    /// Notes what the stores of a standby contain now.
    pub(crate) fn note_floor(&self, position: &Position) {
        self.floor.lock().unwrap_or_else(PoisonError::into_inner).merge(position);
        self.host.0.moved.notify_waiters();
    }
}

impl Drop for Hosting {
    fn drop(&mut self) {
        let mut tasks = self.host.lock();
        if tasks.get(&self.task).is_some_and(|(serial, _)| *serial == self.serial) {
            tasks.remove(&self.task);
        }
    }
}
