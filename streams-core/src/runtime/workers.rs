//! The workers of an instance and who runs what.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::instance::WorkerLink;
use super::status_board::StatusBoard;
use super::worker::WorkerCommand;
use super::worker_maker::WorkerMaker;
use crate::error::Error;
use crate::membership::AssignedTask;
use crate::record::TopicPartition;
use crate::topology::TaskId;

/// The workers, and the tasks of the instance shared out among them.
#[derive(Debug)]
pub(super) struct Workers {
    maker: WorkerMaker,
    links: Vec<WorkerLink>,
    status: StatusBoard,
    owners: BTreeMap<TaskId, Owned>,
}

#[derive(Debug)]
struct Owned {
    worker: usize,
    assigned: AssignedTask,
}

impl Workers {
    /// Starts so many workers.
    pub(super) async fn start(maker: WorkerMaker, count: usize, status: StatusBoard) -> Result<Self, Error> {
        let mut workers =
            Workers { maker, links: Vec::with_capacity(count), status, owners: BTreeMap::new() };
        for index in 0..count {
            workers.links.push(workers.maker.start(index, false).await?);
        }
        Ok(workers)
    }

    pub(super) fn count(&self) -> usize {
        self.links.len()
    }

    /// The tasks that run here.
    pub(super) fn tasks(&self) -> Vec<TaskId> {
        self.owners.keys().copied().collect()
    }

    pub(super) fn has_tasks(&self) -> bool {
        !self.owners.is_empty()
    }

    /// Whether a task runs here on these partitions.
    pub(super) fn run(&self, task: TaskId, partitions: &[TopicPartition]) -> bool {
        self.owners.get(&task).is_some_and(|owned| owned.assigned.partitions == partitions)
    }

    /// Opens the tasks that do not run yet, each at the worker with the fewest.
    pub(super) fn open(&mut self, tasks: impl IntoIterator<Item = AssignedTask>) {
        let mut share: BTreeMap<usize, Vec<AssignedTask>> = BTreeMap::new();
        for task in tasks {
            if !self.owners.contains_key(&task.id) {
                let worker = self.least_loaded(task.id);
                self.owners.insert(task.id, Owned { worker, assigned: task.clone() });
                share.entry(worker).or_default().push(task);
            }
        }
        share.into_iter().for_each(|(worker, tasks)| self.open_at(worker, tasks));
    }

    fn open_at(&mut self, worker: usize, tasks: Vec<AssignedTask>) {
        for task in &tasks {
            self.owners.insert(task.id, Owned { worker, assigned: task.clone() });
            self.status.add(task.id, worker);
        }
        // A worker that is gone has reported why.
        let _ = self.links[worker].commands.send(WorkerCommand::Open(tasks));
    }

    /// The worker with the fewest tasks of the same sub-topology, of those the one with the fewest tasks.
    fn least_loaded(&self, task: TaskId) -> usize {
        let load = |worker: usize| {
            let own = self.owners.iter().filter(|(_, owned)| owned.worker == worker);
            let siblings = own.clone().filter(|(id, _)| id.sub_topology == task.sub_topology).count();
            (siblings, own.count(), worker)
        };
        (0..self.links.len()).map(load).min().map_or(0, |(_, _, worker)| worker)
    }

    /// Closes tasks: cleanly, so committed, or as they are.
    pub(super) async fn close(&mut self, tasks: &[TaskId], clean: bool) {
        let mut share: BTreeMap<usize, Vec<TaskId>> = BTreeMap::new();
        for task in tasks {
            if let Some(owned) = self.owners.remove(task) {
                share.entry(owned.worker).or_default().push(*task);
            }
        }
        let asked = share.into_iter().filter_map(|(worker, tasks)| {
            let (done, answer) = oneshot::channel();
            self.links[worker].commands.send(WorkerCommand::Close { tasks, clean, done }).ok()?;
            Some(answer)
        });
        for answer in asked.collect::<Vec<_>>() {
            let _ = answer.await;
        }
    }

    /// Commits all tasks; until [`Workers::resume_commits`] nothing more is committed by the clock.
    pub(super) async fn commit_and_hold(&self) {
        let asked = self.links.iter().filter_map(|worker| {
            let (done, answer) = oneshot::channel();
            worker.commands.send(WorkerCommand::CommitAndHold(done)).ok()?;
            Some(answer)
        });
        for answer in asked.collect::<Vec<_>>() {
            let _ = answer.await;
        }
    }

    /// The rebalance is over.
    pub(super) fn resume_commits(&self) {
        for worker in &self.links {
            let _ = worker.commands.send(WorkerCommand::ResumeCommits);
        }
    }

    /// Starts one more worker, and gives it its share of the tasks. Answers its number.
    pub(super) async fn add(&mut self) -> Result<usize, Error> {
        let index = self.links.len();
        self.links.push(self.maker.start(index, true).await?);
        let mut moving = Vec::new();
        for _ in 0..self.owners.len() / self.links.len() {
            moving.extend(self.most_dispensable(&moving));
        }
        let assigned = self.assigned(&moving);
        self.close(&moving, true).await;
        self.open_at(index, assigned);
        Ok(index)
    }

    /// A task of the busiest worker, of the sub-topology that it has most tasks of; those that move already do not count.
    fn most_dispensable(&self, moving: &[TaskId]) -> Option<TaskId> {
        let mut loads: BTreeMap<usize, Vec<TaskId>> = BTreeMap::new();
        for (id, owned) in self.owners.iter().filter(|(id, _)| !moving.contains(id)) {
            loads.entry(owned.worker).or_default().push(*id);
        }
        let tasks = loads.into_values().max_by_key(Vec::len)?;
        let siblings = |task: &TaskId| tasks.iter().filter(|it| it.sub_topology == task.sub_topology).count();
        tasks.iter().copied().max_by_key(|task| (siblings(task), *task))
    }

    /// Ends the last worker, whose tasks the others take; none where there is only one. Answers its number.
    pub(super) async fn remove(&mut self) -> Option<usize> {
        if self.links.len() < 2 {
            return None;
        }
        let index = self.links.len() - 1;
        let tasks = self.owners.iter().filter(|(_, owned)| owned.worker == index).map(|(id, _)| *id);
        let tasks: Vec<TaskId> = tasks.collect();
        let assigned = self.assigned(&tasks);
        self.close(&tasks, true).await;
        if let Some(link) = self.links.pop() {
            link.end().await;
        }
        self.open(assigned);
        Some(index)
    }

    /// Ends all workers, whose tasks are closed already.
    pub(super) async fn end(&mut self) {
        for link in self.links.drain(..) {
            link.end().await;
        }
    }

    fn assigned(&self, tasks: &[TaskId]) -> Vec<AssignedTask> {
        tasks.iter().filter_map(|task| Some(self.owners.get(task)?.assigned.clone())).collect()
    }
}
