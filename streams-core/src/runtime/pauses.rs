//! What is paused: the whole instance, or single tasks (KIP-834).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::topology::TaskId;

/// Pauses of an instance. Paused tasks stay assigned and keep their state; they process and punctuate nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pauses(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    // Whether anything is paused: all that a running task looks at.
    any: AtomicBool,
    paused: Mutex<Paused>,
}

#[derive(Debug, Default)]
struct Paused {
    all: bool,
    tasks: BTreeSet<TaskId>,
}

impl Pauses {
    /// Pauses the instance, or lets it go on; tasks that were paused by themselves stay so.
    pub(crate) fn set_all(&self, paused: bool) {
        self.change(|now| now.all = paused);
    }

    /// Pauses a task, or lets it go on; also one that is elsewhere at the moment.
    pub(crate) fn set_task(&self, task: TaskId, paused: bool) {
        self.change(|now| match paused {
            true => drop(now.tasks.insert(task)),
            false => drop(now.tasks.remove(&task)),
        });
    }

    /// Whether the whole instance is paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.lock().all
    }

    /// Whether a task is not to process.
    pub(crate) fn hold(&self, task: TaskId) -> bool {
        self.0.any.load(Ordering::Relaxed) && {
            let paused = self.lock();
            paused.all || paused.tasks.contains(&task)
        }
    }

    fn change(&self, change: impl FnOnce(&mut Paused)) {
        let mut paused = self.lock();
        change(&mut paused);
        self.0.any.store(paused.all || !paused.tasks.is_empty(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Paused> {
        self.0.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_and_its_tasks_are_paused_apart() {
        let (pauses, one, other) = (Pauses::default(), TaskId::new(0, 1), TaskId::new(0, 2));
        pauses.set_task(one, true);
        assert_eq!((pauses.hold(one), pauses.hold(other), pauses.is_paused()), (true, false, false));
        pauses.set_all(true);
        assert!(pauses.hold(other) && pauses.is_paused());
        pauses.set_all(false);
        assert_eq!((pauses.hold(one), pauses.hold(other)), (true, false));
        pauses.set_task(one, false);
        assert!(!pauses.hold(one));
    }
}
