//! One member of the group: hears what it is to run, shares that among its workers, ends in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::standby::Standbys;
use super::state_directory::StateDirectory;
use super::status_board::StatusBoard;
use super::streams_state::StreamsState;
use super::worker::{WorkerCommand, WorkerReport};
use crate::error::Error;
use crate::membership::{
    AssignedTask, AssignmentFault, FaultKind, MembershipEvent, MembershipHandle, TaskAssignment,
};
use crate::topology::TaskId;

/// How long an instance that asks all to stop waits for the group to be told.
const STOP_ALL_MAX: Duration = Duration::from_secs(15);

/// A worker as its instance sees it.
#[derive(Debug)]
pub(super) struct WorkerLink {
    pub(super) commands: mpsc::UnboundedSender<WorkerCommand>,
    pub(super) ended: JoinHandle<()>,
}

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) membership: MembershipHandle,
    pub(super) events: mpsc::Receiver<MembershipEvent>,
    pub(super) workers: Vec<WorkerLink>,
    pub(super) reports: mpsc::UnboundedReceiver<WorkerReport>,
    pub(super) shutdown: oneshot::Receiver<()>,
    pub(super) state: watch::Sender<StreamsState>,
    pub(super) status: StatusBoard,
    pub(super) directory: Arc<StateDirectory>,
    /// The global stores' worker, where the topology has any: how to stop it, and its end.
    pub(super) global: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    /// Copies of other instances' tasks.
    pub(super) standbys: Standbys,
    /// Which worker runs a task.
    pub(super) owners: BTreeMap<TaskId, usize>,
    /// How long missing topics are waited for.
    pub(super) topic_patience: Duration,
    /// Since when the leader cannot assign.
    pub(super) unassignable_since: Option<Instant>,
    /// Why all instances are to stop, and until when they may be told.
    pub(super) stopping: Option<(Error, Instant)>,
}

/// Why an instance stops.
enum Stop {
    Asked,
    Failed(Error),
}

impl Instance {
    /// Runs until it is asked to stop or cannot go on, closes its tasks and leaves the group.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        self.set_state(StreamsState::Rebalancing);
        let stop = self.serve().await;
        self.set_state(StreamsState::PendingShutdown);
        let outcome = match stop {
            Stop::Asked => Ok(()),
            Stop::Failed(error) => {
                tracing::error!(%error, "the application ends");
                Err(error)
            }
        };
        let outcome = outcome.and(self.end().await);
        self.set_state(if outcome.is_ok() { StreamsState::NotRunning } else { StreamsState::Failed });
        outcome
    }

    async fn serve(&mut self) -> Stop {
        loop {
            let outcome = tokio::select! {
                // A handle that was dropped is a request as well.
                _ = &mut self.shutdown => return Stop::Asked,
                Some(report) = self.reports.recv() => match report {
                    WorkerReport::TaskRuns => {
                        self.show_progress();
                        Ok(())
                    }
                    WorkerReport::Failed(error) => Err(error),
                    WorkerReport::StopApplication(error) => {
                        self.ask_all_to_stop(error).await;
                        Ok(())
                    }
                },
                event = self.events.recv() => match event {
                    Some(event) => self.follow(event).await,
                    None => return Stop::Asked,
                },
                error = Self::told_too_late(&mut self.stopping) => Err(error),
            };
            if let Err(error) = outcome {
                return Stop::Failed(error);
            }
        }
    }

    /// Lets the others know before this instance goes.
    async fn ask_all_to_stop(&mut self, error: Error) {
        self.membership.request_stop(error.to_string()).await;
        self.stopping.get_or_insert((error, Instant::now() + STOP_ALL_MAX));
    }

    /// Waits until the time is over in which all instances are to be told that they stop.
    async fn told_too_late(stopping: &mut Option<(Error, Instant)>) -> Error {
        match stopping {
            Some((error, until)) => {
                tokio::time::sleep_until(*until).await;
                error.clone()
            }
            None => std::future::pending().await,
        }
    }

    async fn follow(&mut self, event: MembershipEvent) -> Result<(), Error> {
        match event {
            MembershipEvent::PreparingRebalance { reason, ready } => {
                tracing::info!(reason, "rebalance");
                self.set_state(StreamsState::Rebalancing);
                self.on_each_worker(WorkerCommand::CommitAndHold).await;
                ready.resume(self.standbys.current());
            }
            MembershipEvent::Revoke { tasks, closed } => {
                tracing::info!(?tasks, "tasks move away");
                self.close(&tasks, true).await;
                closed.resume(());
            }
            MembershipEvent::Assigned(assignment) => self.assign(assignment).await,
            MembershipEvent::AssignmentFailed(fault) => return self.bear(fault),
            MembershipEvent::Lost { tasks, cause } => {
                tracing::warn!(?tasks, ?cause, "all tasks are lost");
                self.set_state(StreamsState::Rebalancing);
                let tasks: Vec<TaskId> = self.owners.keys().copied().collect();
                self.close(&tasks, false).await;
            }
            MembershipEvent::CoordinatorUnavailable { error } => {
                tracing::warn!(error, "the group's coordinator is not reachable");
            }
            MembershipEvent::CoordinatorAvailable { after } => {
                tracing::info!(?after, "the group's coordinator is back");
            }
            MembershipEvent::Failed(error) => return Err(error.into()),
            MembershipEvent::Left => {}
        }
        Ok(())
    }

    async fn assign(&mut self, assignment: TaskAssignment) {
        self.unassignable_since = None;
        self.status.set_member(&assignment);
        self.directory.note_member(Some(&assignment.member_id));
        let gone: Vec<TaskId> = self
            .owners
            .keys()
            .copied()
            .filter(|task| !assignment.active.iter().any(|active| active.id == *task))
            .collect();
        if !gone.is_empty() {
            self.close(&gone, true).await;
        }
        self.standbys.keep(&assignment.standby, &assignment.warm_up).await;
        let mut share: Vec<Vec<AssignedTask>> = self.workers.iter().map(|_| Vec::new()).collect();
        for task in assignment.active {
            if !self.owners.contains_key(&task.id) {
                let worker = self.least_loaded(task.id);
                self.owners.insert(task.id, worker);
                share[worker].push(task);
            }
        }
        let tasks: Vec<String> = self.owners.keys().map(TaskId::to_string).collect();
        tracing::info!(generation = assignment.generation, tasks = tasks.join(" "), "tasks assigned");
        for (worker, tasks) in self.workers.iter().zip(share) {
            // A worker that is gone has reported why.
            if !tasks.is_empty() {
                tasks.iter().for_each(|task| self.status.add(task.id, self.owners[&task.id]));
                let _ = worker.commands.send(WorkerCommand::Open(tasks));
            }
            let _ = worker.commands.send(WorkerCommand::ResumeCommits);
        }
        self.standbys.begin(assignment.standby, assignment.warm_up);
        self.show_progress();
    }

    /// The worker with the fewest tasks of the same sub-topology, of those the one with the fewest tasks.
    fn least_loaded(&self, task: TaskId) -> usize {
        let load = |worker: usize| {
            let own = self.owners.iter().filter(|(_, owner)| **owner == worker);
            let siblings = own.clone().filter(|(id, _)| id.sub_topology == task.sub_topology).count();
            (siblings, own.count(), worker)
        };
        (0..self.workers.len()).map(load).min().map_or(0, |(_, _, worker)| worker)
    }

    fn bear(&mut self, fault: AssignmentFault) -> Result<(), Error> {
        if fault.kind == FaultKind::StopRequested {
            let own = self.stopping.take().map(|(error, _)| error);
            return Err(own.unwrap_or(Error::ApplicationStopped { message: fault.message }));
        }
        tracing::warn!(message = fault.message, "the tasks cannot be assigned");
        self.status.note_error(None, &fault.message);
        let since = *self.unassignable_since.get_or_insert_with(Instant::now);
        let bearable = match fault.kind {
            FaultKind::InvalidTopics => false,
            FaultKind::MissingSourceTopic => since.elapsed() < self.topic_patience,
            _ => true,
        };
        if !bearable {
            return Err(Error::Assignment { message: fault.message });
        }
        // The tasks go on as they are, and so do their commits, until the leader has assigned.
        for worker in &self.workers {
            let _ = worker.commands.send(WorkerCommand::ResumeCommits);
        }
        self.show_progress();
        Ok(())
    }

    async fn close(&mut self, tasks: &[TaskId], clean: bool) {
        let mut share: BTreeMap<usize, Vec<TaskId>> = BTreeMap::new();
        for task in tasks {
            if let Some(worker) = self.owners.remove(task) {
                share.entry(worker).or_default().push(*task);
            }
        }
        let asked = share.into_iter().filter_map(|(worker, tasks)| {
            let (done, answer) = oneshot::channel();
            self.workers[worker].commands.send(WorkerCommand::Close { tasks, clean, done }).ok()?;
            Some(answer)
        });
        for answer in asked.collect::<Vec<_>>() {
            let _ = answer.await;
        }
    }

    async fn on_each_worker(&self, command: impl Fn(oneshot::Sender<()>) -> WorkerCommand) {
        let asked = self.workers.iter().filter_map(|worker| {
            let (done, answer) = oneshot::channel();
            worker.commands.send(command(done)).ok()?;
            Some(answer)
        });
        for answer in asked.collect::<Vec<_>>() {
            let _ = answer.await;
        }
    }

    /// Commits and closes all tasks, leaves the group, ends the workers. Reports the first error of the closing.
    async fn end(&mut self) -> Result<(), Error> {
        let tasks: Vec<TaskId> = self.owners.keys().copied().collect();
        self.close(&tasks, true).await;
        self.standbys.keep(&[], &[]).await;
        self.membership.leave(false).await;
        self.directory.note_member(None);
        for WorkerLink { commands, ended } in self.workers.drain(..) {
            drop(commands);
            let _ = ended.await;
        }
        if let Some((stop, ended)) = self.global.take() {
            let _ = stop.send(());
            let _ = ended.await;
        }
        while let Ok(report) = self.reports.try_recv() {
            if let WorkerReport::Failed(error) | WorkerReport::StopApplication(error) = report {
                return Err(error);
            }
        }
        Ok(())
    }

    fn show_progress(&self) {
        let restoring = !self.status.restoring().is_empty();
        self.set_state(if restoring { StreamsState::Restoring } else { StreamsState::Running });
    }

    fn set_state(&self, state: StreamsState) {
        self.state.send_if_modified(|current| {
            let changed = *current != state;
            if changed {
                tracing::info!("state {current} → {state}");
                *current = state;
            }
            changed
        });
    }
}
