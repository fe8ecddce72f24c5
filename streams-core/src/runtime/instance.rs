//! One member of the group: hears what it is to run, shares that among its workers, ends in order.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::open_task::TaskOpener;
use super::standby::Standbys;
use super::status_board::StatusBoard;
use super::streams_state::StreamsState;
use super::threads::Threads;
use super::worker::{WorkerCommand, WorkerReport};
use super::workers::Workers;
use crate::close_options::{CloseOptions, GroupMembershipOperation};
use crate::error::Error;
use crate::membership::{AssignmentFault, FaultKind, MembershipEvent, MembershipHandle, TaskAssignment};
use crate::topology::TaskId;

/// How long an instance that asks all to stop waits for the group to be told.
const STOP_ALL_MAX: Duration = Duration::from_secs(15);

/// How long an instance that is closed waits for its tasks to be given to others.
const HAND_OVER_MAX: Duration = Duration::from_secs(5);

/// A worker as its instance sees it.
#[derive(Debug)]
pub(super) struct WorkerLink {
    pub(super) commands: mpsc::UnboundedSender<WorkerCommand>,
    pub(super) ended: JoinHandle<()>,
    /// Its own thread, where it has one.
    pub(super) _threads: Option<Threads>,
}

impl WorkerLink {
    /// Lets the worker end, and waits for it.
    pub(super) async fn end(self) {
        drop(self.commands);
        let _ = self.ended.await;
    }
}

/// What an application asks of its instance.
#[derive(Debug)]
pub(crate) enum InstanceCommand {
    /// One worker more; answers its number.
    AddWorker(oneshot::Sender<Result<usize, Error>>),
    /// One worker less; answers its number, none for the last one.
    RemoveWorker(oneshot::Sender<Option<usize>>),
}

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) membership: MembershipHandle,
    pub(super) events: mpsc::Receiver<MembershipEvent>,
    pub(super) workers: Workers,
    pub(super) topic_watch: JoinHandle<()>,
    /// Deletes state that is not used any more.
    pub(super) cleaner: JoinHandle<()>,
    pub(super) commands: mpsc::UnboundedReceiver<InstanceCommand>,
    pub(super) reports: mpsc::UnboundedReceiver<WorkerReport>,
    pub(super) shutdown: oneshot::Receiver<CloseOptions>,
    pub(super) state: watch::Sender<StreamsState>,
    pub(super) status: StatusBoard,
    pub(super) opener: Arc<TaskOpener>,
    /// The global stores' worker, where the topology has any: how to stop it, and its end.
    pub(super) global: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    /// Copies of other instances' tasks.
    pub(super) standbys: Standbys,
    /// How long missing topics are waited for.
    pub(super) topic_patience: Duration,
    /// Since when the leader cannot assign.
    pub(super) unassignable_since: Option<Instant>,
    /// Why all instances are to stop, and until when they may be told.
    pub(super) stopping: Option<(Error, Instant)>,
}

/// Why an instance stops.
enum Stop {
    Asked(CloseOptions),
    Failed(Error),
}

impl Instance {
    /// Runs until it is asked to stop or cannot go on, closes its tasks and leaves the group.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        self.set_state(StreamsState::Rebalancing);
        let stop = self.serve().await;
        self.set_state(StreamsState::PendingShutdown);
        let (operation, outcome) = match stop {
            Stop::Asked(options) => {
                self.hand_over(options).await;
                (options.operation, Ok(()))
            }
            Stop::Failed(error) => {
                tracing::error!(%error, "the application ends");
                (GroupMembershipOperation::Default, Err(error))
            }
        };
        let outcome = outcome.and(self.end(operation).await);
        self.set_state(if outcome.is_ok() { StreamsState::NotRunning } else { StreamsState::Failed });
        outcome
    }

    async fn serve(&mut self) -> Stop {
        loop {
            let outcome = tokio::select! {
                // A handle that was dropped is a request as well.
                asked = &mut self.shutdown => return Stop::Asked(asked.unwrap_or_default()),
                Some(command) = self.commands.recv() => {
                    self.obey(command).await;
                    Ok(())
                }
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
                    None => return Stop::Asked(CloseOptions::new()),
                },
                error = Self::told_too_late(&mut self.stopping) => Err(error),
            };
            if let Err(error) = outcome {
                return Stop::Failed(error);
            }
        }
    }

    async fn obey(&mut self, command: InstanceCommand) {
        match command {
            InstanceCommand::AddWorker(answer) => {
                let added = self.workers.add().await;
                let _ = answer.send(added);
            }
            InstanceCommand::RemoveWorker(answer) => {
                let removed = self.workers.remove().await;
                let _ = answer.send(removed);
            }
        }
        // The instance's share of the application's tasks follows the number of its workers.
        self.membership.set_capacity(self.workers.count()).await;
        self.show_progress();
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
                self.workers.commit_and_hold().await;
                ready.resume(self.standbys.current());
            }
            MembershipEvent::Revoke { tasks, closed } => {
                tracing::info!(?tasks, "tasks move away");
                self.workers.close(&tasks, true).await;
                closed.resume(());
            }
            MembershipEvent::Assigned(assignment) => self.assign(assignment).await,
            MembershipEvent::AssignmentFailed(fault) => return self.bear(fault),
            MembershipEvent::Lost { tasks, cause } => {
                tracing::warn!(?tasks, ?cause, "all tasks are lost");
                self.set_state(StreamsState::Rebalancing);
                self.workers.close(&self.workers.tasks(), false).await;
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
        self.opener.directory.note_member(Some(&assignment.member_id));
        // A task whose inputs are others now, for a pattern takes new topics in, begins anew with them.
        let stays = |task: &TaskId| {
            let active = assignment.active.iter().find(|active| active.id == *task);
            active.is_some_and(|active| self.workers.run(*task, &active.partitions))
        };
        let gone: Vec<TaskId> = self.workers.tasks().into_iter().filter(|task| !stays(task)).collect();
        if !gone.is_empty() {
            self.workers.close(&gone, true).await;
        }
        self.standbys.keep(&assignment.standby, &assignment.warm_up).await;
        self.workers.open(assignment.active);
        self.workers.resume_commits();
        let tasks: Vec<String> = self.workers.tasks().iter().map(TaskId::to_string).collect();
        tracing::info!(generation = assignment.generation, tasks = tasks.join(" "), "tasks assigned");
        self.standbys.begin(assignment.standby, assignment.warm_up);
        self.show_progress();
    }

    fn bear(&mut self, fault: AssignmentFault) -> Result<(), Error> {
        if fault.kind == FaultKind::StopRequested {
            let own = self.stopping.take().map(|(error, _)| error);
            return Err(own.unwrap_or(Error::ApplicationStopped { message: fault.message }));
        }
        tracing::warn!(message = fault.message, "the tasks cannot be assigned");
        self.status.note_error(None, &fault.message);
        if fault.kind == FaultKind::InvalidTopics {
            self.status.note_topic_fault(Some(fault.message.clone()));
        }
        let since = *self.unassignable_since.get_or_insert_with(Instant::now);
        let bearable = match fault.kind {
            // A source that has got partitions stops nothing that runs.
            FaultKind::InvalidTopics => self.workers.has_tasks(),
            FaultKind::MissingSourceTopic => since.elapsed() < self.topic_patience,
            _ => true,
        };
        if !bearable {
            return Err(Error::Assignment { message: fault.message });
        }
        // The tasks go on as they are, and so do their commits, until the leader has assigned.
        self.workers.resume_commits();
        self.show_progress();
        Ok(())
    }

    /// Gives the tasks away while they still run here, so that they stand still on their way only: a member without workers to offer has
    /// its tasks taken away and given to others like any that move.
    async fn hand_over(&mut self, options: CloseOptions) {
        let stays = match options.operation {
            GroupMembershipOperation::Default => self.membership.group_metadata().instance_id.is_some(),
            GroupMembershipOperation::Leave => false,
            GroupMembershipOperation::Stay => true,
        };
        if stays || self.status.instances().len() < 2 {
            return;
        }
        self.membership.set_capacity(0).await;
        let limit = options.timeout.map_or(HAND_OVER_MAX, |timeout| HAND_OVER_MAX.min(timeout / 2));
        let until = Instant::now() + limit;
        while self.workers.has_tasks() {
            let event = tokio::time::timeout_at(until, self.events.recv()).await;
            let Ok(Some(event)) = event else { return };
            // What this member has then, nobody else wants: all are leaving.
            let answered =
                matches!(&event, MembershipEvent::Assigned(assignment) if assignment.capacity == 0);
            if self.follow(event).await.is_err() || answered {
                return;
            }
        }
    }

    /// Commits and closes all tasks, leaves the group, ends the workers. Reports the first error of the closing.
    async fn end(&mut self, operation: GroupMembershipOperation) -> Result<(), Error> {
        self.topic_watch.abort();
        self.cleaner.abort();
        self.workers.close(&self.workers.tasks(), true).await;
        self.standbys.keep(&[], &[]).await;
        match operation {
            GroupMembershipOperation::Default => self.membership.leave(false).await,
            GroupMembershipOperation::Leave => self.membership.leave(true).await,
            GroupMembershipOperation::Stay => self.membership.end().await,
        }
        self.opener.directory.note_member(None);
        self.workers.end().await;
        if let Some((stop, ended)) = self.global.take() {
            let _ = stop.send(());
            let _ = ended.await;
        }
        self.opener.settle().await;
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
            let ends = matches!(state, StreamsState::NotRunning | StreamsState::Failed);
            let changed = *current != state && (*current != StreamsState::PendingShutdown || ends);
            if changed {
                tracing::info!("state {current} → {state}");
                *current = state;
            }
            changed
        });
    }
}
