//! Standbys and warm-ups: copies of tasks' state that follow the changelogs, so that a task can move at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::open_task::TaskOpener;
use super::restore_progress::RestoreRole;
use crate::client::wire::CommittedOffset;
use crate::error::Error;
use crate::membership::{AssignedTask, CurrentTasks};
use crate::record::TopicPartition;
use crate::state::Position;
use crate::topology::TaskId;

/// How often a copy looks for what is new in its changelogs: about this far it lies behind.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// The copies that an instance keeps.
#[derive(Debug)]
pub(super) struct Standbys {
    opener: Arc<TaskOpener>,
    copies: BTreeMap<TaskId, Copy>,
}

#[derive(Debug)]
struct Copy {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
    // A warm-up asks for the next round of the group once it has caught up.
    warm_up: bool,
}

impl Standbys {
    pub(super) fn new(opener: Arc<TaskOpener>) -> Self {
        Standbys { opener, copies: BTreeMap::new() }
    }

    /// Ends the copies that are not wanted any more, so that their directories are free.
    pub(super) async fn keep(&mut self, standby: &[AssignedTask], warm_up: &[AssignedTask]) {
        let wanted = |id: TaskId, warming: bool| {
            let list = if warming { warm_up } else { standby };
            list.iter().any(|task| task.id == id)
        };
        let gone: Vec<TaskId> =
            self.copies.iter().filter(|(id, copy)| !wanted(**id, copy.warm_up)).map(|(id, _)| *id).collect();
        for id in gone {
            if let Some(copy) = self.copies.remove(&id) {
                let _ = copy.stop.send(());
                let _ = copy.ended.await;
            }
            self.opener.status.forget_standby(id);
        }
    }

    /// Begins the copies that are wanted and not there yet.
    pub(super) fn begin(&mut self, standby: Vec<AssignedTask>, warm_up: Vec<AssignedTask>) {
        let all =
            standby.into_iter().map(|task| (task, false)).chain(warm_up.into_iter().map(|task| (task, true)));
        for (task, warm_up) in all {
            let id = task.id;
            if self.copies.contains_key(&id) {
                continue;
            }
            let (stop, stopped) = oneshot::channel();
            let opener = Arc::clone(&self.opener);
            let ended = self.opener.threads.spawn(async move {
                tokio::select! {
                    _ = stopped => {}
                    outcome = follow(&opener, &task, warm_up) => if let Err(error) = outcome {
                        // The task itself runs elsewhere; it only takes longer to move here.
                        tracing::warn!(task = %id, %error, "the copy of a task's state ended");
                        opener.status.note_error(Some(id), &error);
                    },
                }
            });
            self.copies.insert(id, Copy { stop, ended, warm_up });
        }
    }

    /// What is told to the group when it rebalances.
    pub(super) fn current(&self) -> CurrentTasks {
        let standby: Vec<TaskId> = self.copies.keys().copied().collect();
        let mut offset_sums = self.opener.status.standbys();
        offset_sums.retain(|id, _| self.copies.contains_key(id));
        // What lies on the disk unused: of a former life, or of tasks that have moved away.
        for (id, sum) in self.opener.directory.dormant_offset_sums() {
            offset_sums.entry(id).or_insert(sum);
        }
        CurrentTasks { standby, offset_sums }
    }
}

/// Restores the task's stores again and again; it is never started.
async fn follow(opener: &TaskOpener, assigned: &AssignedTask, warm_up: bool) -> Result<(), Error> {
    let directory = opener.lock(assigned.id).await?;
    let mut asked = false;
    let committed = opener.membership.fetch_committed(&assigned.partitions, true).await?;
    let mut task = opener.open_restored(assigned, &directory, &committed, RestoreRole::Standby).await?;
    // Declared behind the task, so that it ends before the task's databases close.
    let hosting = opener.host.open(&task, None, offsets(&committed), &directory);
    loop {
        let reached: i64 = task.changelogs().iter().filter_map(|changelog| changelog.offset).sum();
        opener.status.note_standby(assigned.id, reached);
        directory.note_offset_sum(reached);
        if warm_up && !asked {
            asked = true;
            opener.membership.request_rejoin(format!("the state of task {} is warm", assigned.id)).await;
        }
        tokio::time::sleep(FOLLOW_INTERVAL).await;
        let committed = opener.membership.fetch_committed(&assigned.partitions, true).await?;
        if let Err(fault) = opener.restorer.restore(&mut task, &committed, RestoreRole::Standby).await? {
            return Err(super::task_runner::task_error(assigned.id)(fault));
        }
        // What was committed before the changelog was read to its end is in the copy.
        hosting.note_floor(&offsets(&committed));
    }
}

fn offsets(committed: &BTreeMap<TopicPartition, CommittedOffset>) -> Position {
    committed.iter().map(|(partition, committed)| (partition.clone(), committed.offset)).collect()
}
