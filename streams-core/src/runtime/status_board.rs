//! Where tasks note what they do, and where everyone else reads it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::streams_state::{StatusError, StreamsStatus, TaskStatus};
use super::task_runner::wall_clock;
use crate::membership::{InstanceMetadata, TaskAssignment};
use crate::topology::TaskId;

/// Errors that are remembered.
const ERRORS_MAX: usize = 20;

/// The status of all tasks of an instance. Tasks write to it a few times a second at most, never per record.
#[derive(Debug, Clone, Default)]
pub(crate) struct StatusBoard(Arc<Mutex<StreamsStatus>>);

impl StatusBoard {
    pub(crate) fn snapshot(&self) -> StreamsStatus {
        self.lock().clone()
    }

    pub(super) fn set_member(&self, assignment: &TaskAssignment) {
        let mut status = self.lock();
        status.generation = assignment.generation;
        status.member_id.clone_from(&assignment.member_id);
        status.leader = assignment.leader;
        status.instances.clone_from(&assignment.instances);
    }

    /// Whether this instance leads the group.
    pub(super) fn leads(&self) -> bool {
        self.lock().leader
    }

    pub(super) fn note_topic_fault(&self, fault: Option<String>) {
        self.lock().topic_fault = fault;
    }

    pub(crate) fn instances(&self) -> Vec<InstanceMetadata> {
        self.lock().instances.clone()
    }

    pub(super) fn add(&self, task: TaskId, worker: usize) {
        self.lock().tasks.insert(task, TaskStatus { worker, ..TaskStatus::default() });
    }

    pub(super) fn remove(&self, task: TaskId) {
        self.lock().tasks.remove(&task);
    }

    pub(super) fn update(&self, task: TaskId, change: impl FnOnce(&mut TaskStatus)) {
        if let Some(status) = self.lock().tasks.get_mut(&task) {
            change(status);
        }
    }

    /// Remembers an error, for whoever looks at the status.
    pub(super) fn note_error(&self, task: Option<TaskId>, error: &dyn std::fmt::Display) {
        let mut status = self.lock();
        if status.errors.len() == ERRORS_MAX {
            status.errors.pop_front();
        }
        status.errors.push_back(StatusError { at: wall_clock(), task, message: error.to_string() });
    }

    pub(super) fn note_standby(&self, task: TaskId, offset_sum: i64) {
        self.lock().standbys.insert(task, offset_sum);
    }

    pub(super) fn forget_standby(&self, task: TaskId) {
        self.lock().standbys.remove(&task);
    }

    pub(super) fn standbys(&self) -> BTreeMap<TaskId, i64> {
        self.lock().standbys.clone()
    }

    pub(crate) fn restoring(&self) -> BTreeMap<TaskId, u64> {
        let status = self.lock();
        let restoring = status.tasks.iter().filter(|(_, task)| !task.running);
        restoring.map(|(id, task)| (*id, task.restore_remaining)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, StreamsStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
