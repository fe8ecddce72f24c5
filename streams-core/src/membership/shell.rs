//! The task around the state machine: owns the coordinator's connection, keeps time, carries commands and news.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::client::wire::WireClient;

use super::commit::{Commit, Verdict, judge};
use super::config::MembershipConfig;
use super::error::CommitError;
use super::event::{MembershipEvent, Pause};
use super::group_member::{Action, CommitGate, GroupMember, GroupRequest, Joined, News};
use super::handle::GroupMetadata;
use super::input::{CommitAnswer, Identity, Input, Wake};
use super::leader::GroupPlanner;
use super::planning;
use super::progress::ProgressBoard;
use super::requests::{GroupConnection, bury_former_member, connect_to_coordinator, say_farewell};
use super::vigil::{Vigil, watch};

/// Commits that may wait for a rebalance or a coordinator.
const COMMITS_MAX: usize = 1_024;
/// Pause before a refused commit is sent again.
const COMMIT_RETRY: Duration = Duration::from_millis(50);

/// What the handle asks for.
#[derive(Debug)]
pub(super) enum Command {
    Commit(Commit),
    Rejoin(String),
    Stop(String),
    Capacity(u32),
    End { answer: oneshot::Sender<()> },
    Leave { static_too: bool, answer: oneshot::Sender<()> },
}

pub(super) struct Shell {
    config: MembershipConfig,
    client: WireClient,
    planner: Arc<dyn GroupPlanner>,
    /// Where the planner runs: the application's runtime, to which its connections belong.
    application: tokio::runtime::Handle,
    member: GroupMember,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<MembershipEvent>,
    /// News on their way to the runtime. A rebalance brings three at most and waits for the runtime, which bounds it.
    outbox: VecDeque<MembershipEvent>,
    metadata: watch::Sender<GroupMetadata>,
    progress: ProgressBoard,
    vigil: Vigil,
    /// The coordinator's connection. Nothing but this member's requests goes over it, since JoinGroup blocks what follows.
    connection: Option<GroupConnection>,
    /// Numbers the connections; answers that came over a former one are dropped.
    attempt: u64,
    commits: VecDeque<Commit>,
    /// Refused commits are not sent again before this.
    commits_not_before: Option<Instant>,
    under_way: FuturesUnordered<BoxFuture<'static, Input>>,
}

impl Shell {
    pub(super) fn new(
        config: MembershipConfig,
        client: &WireClient,
        planner: Arc<dyn GroupPlanner>,
        (commands, events): (mpsc::Receiver<Command>, mpsc::Sender<MembershipEvent>),
        metadata: watch::Sender<GroupMetadata>,
        progress: ProgressBoard,
    ) -> Self {
        Self {
            member: GroupMember::new(config.clone(), Instant::now().into_std()),
            vigil: Vigil::new(&config),
            config,
            // Connections of its own: those of the application's client live on the application's runtime.
            client: WireClient::new(client.config().clone()),
            planner,
            application: tokio::runtime::Handle::current(),
            commands,
            events,
            outbox: VecDeque::new(),
            metadata,
            progress,
            connection: None,
            attempt: 0,
            commits: VecDeque::new(),
            commits_not_before: None,
            under_way: FuturesUnordered::new(),
        }
    }

    /// Runs until the member leaves, fails, or is abandoned by the runtime.
    pub(super) async fn run(mut self) {
        bury_former_member(&self.client, &mut self.config).await;
        loop {
            self.act();
            if self.member.has_ended() && self.outbox.is_empty() {
                break;
            }
            let deadline = self.deadline();
            let events = self.events.clone();
            let wake = tokio::select! {
                biased;
                permit = events.reserve_owned(), if !self.outbox.is_empty() => Wake::News(permit.ok()),
                Some(input) = self.under_way.next(), if !self.under_way.is_empty() => Wake::Input(input),
                command = self.commands.recv() => Wake::Command(command),
                () = tokio::time::sleep_until(deadline) => Wake::Time,
            };
            match wake {
                Wake::News(Some(permit)) => {
                    if let Some(event) = self.outbox.pop_front() {
                        permit.send(event);
                    }
                }
                Wake::Input(input) => self.take(input),
                Wake::Command(Some(Command::Leave { static_too, answer })) => {
                    return self.leave(static_too, answer).await;
                }
                Wake::Command(Some(Command::End { answer })) => {
                    self.member.leave(false);
                    self.close();
                    let _ = answer.send(());
                    return;
                }
                Wake::Command(Some(command)) => self.obey(command),
                Wake::News(None) | Wake::Command(None) => break,
                Wake::Time => {}
            }
        }
        self.close();
    }

    fn deadline(&self) -> Instant {
        let now = Instant::now();
        let member = self.member.deadline(now.into_std(), self.progress.slowest().map(Instant::into_std));
        let commits = self.commits.iter().map(|commit| commit.deadline).min();
        let vigil = self.vigil.due().filter(|_| self.member.awaits_group());
        let times = [member.map(Instant::from_std), commits, self.commits_not_before, vigil];
        // Far away when there is nothing to wait for but news.
        times.into_iter().flatten().min().unwrap_or(now + Duration::from_secs(3_600))
    }

    /// Does all that the state machine wants, then sends what commits may be sent.
    fn act(&mut self) {
        let progress = self.progress.slowest().map(Instant::into_std);
        while let Some(action) = self.member.poll(Instant::now().into_std(), progress) {
            match action {
                Action::FindCoordinator => self.find_coordinator(),
                Action::Send(request) => self.send(request),
                Action::Plan { generation, members } => self.plan(generation, members),
                Action::Tell(news) => self.tell(news),
            }
        }
        self.keep_vigil();
        self.publish();
        self.send_commits();
    }

    fn keep_vigil(&mut self) {
        if !self.member.awaits_group() {
            return self.vigil.rest();
        }
        let Some(connection) = self.vigil.begin() else { return };
        let identity = (self.member.generation(), self.member.member_id().to_owned());
        let (client, config) = (self.client.clone(), self.config.clone());
        self.under_way
            .push(Box::pin(async move { Input::Watched(watch(client, config, connection, identity).await) }));
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Commit(commit) if self.commits.len() >= COMMITS_MAX => {
                let (group, waiting) = (self.config.group_id.clone(), self.commits.len());
                commit.finish(Err(CommitError::TooMany { group, waiting }));
            }
            Command::Commit(commit) => self.commits.push_back(commit),
            Command::Rejoin(reason) => self.member.request_rejoin(reason),
            Command::Stop(reason) => self.member.request_stop(reason),
            Command::Capacity(workers) => self.member.set_capacity(workers),
            Command::Leave { .. } | Command::End { .. } => {}
        }
    }

    fn take(&mut self, input: Input) {
        let now = Instant::now().into_std();
        match input {
            Input::Coordinator { attempt, found } if attempt == self.attempt => {
                let found = found.map(|connection| {
                    self.connection = Some(GroupConnection::new(connection, &self.config));
                });
                self.member.on_coordinator(now, found);
            }
            Input::Joined { attempt, answer } if attempt == self.attempt => match answer {
                Ok(answer) => self.member.on_join(now, answer),
                Err(error) => self.member.on_disconnect(now, error),
            },
            Input::Synced { attempt, answer } if attempt == self.attempt => match answer {
                Ok(answer) => self.member.on_sync(now, answer),
                Err(error) => self.member.on_disconnect(now, error),
            },
            Input::Beat { attempt, answer } if attempt == self.attempt => match answer {
                Ok(code) => self.member.on_heartbeat(now, code),
                Err(error) => self.member.on_disconnect(now, error),
            },
            Input::Committed { attempt, commit, sent, answer } => {
                self.committed(attempt, commit, sent, answer)
            }
            Input::Planned { generation, assignments, fault } => {
                self.member.on_plan(now, generation, assignments, fault);
            }
            Input::Ready { token, held } => self.member.ready(token, held),
            Input::Closed { token } => self.member.closed(token),
            Input::Watched(watched) => {
                if let Some(sent) = self.vigil.end(watched) {
                    self.member.confirm(sent.into_std());
                }
            }
            Input::RetryCommits => self.commits_not_before = None,
            Input::Coordinator { .. } | Input::Joined { .. } | Input::Synced { .. } | Input::Beat { .. } => {}
            Input::Left => {}
        }
    }

    fn find_coordinator(&mut self) {
        self.attempt += 1;
        self.connection = None;
        let (attempt, client, group) = (self.attempt, self.client.clone(), self.config.group_id.clone());
        self.under_way.push(Box::pin(async move {
            Input::Coordinator { attempt, found: connect_to_coordinator(&client, &group).await }
        }));
    }

    fn send(&mut self, request: GroupRequest) {
        if let GroupRequest::Leave { member_id, reason } = request {
            let (client, config) = (self.client.clone(), self.config.clone());
            self.under_way.push(Box::pin(async move {
                say_farewell(&client, &config, member_id, reason).await;
                Input::Left
            }));
            return;
        }
        let attempt = self.attempt;
        let Some(connection) = self.connection.clone() else { return };
        self.under_way.push(match request {
            GroupRequest::Join { member_id, metadata, reason } => Box::pin(async move {
                Input::Joined { attempt, answer: connection.join(member_id, metadata, reason).await }
            }),
            GroupRequest::Sync { generation, member_id, assignments } => Box::pin(async move {
                Input::Synced { attempt, answer: connection.sync(generation, member_id, assignments).await }
            }),
            GroupRequest::Heartbeat { generation, member_id } => Box::pin(async move {
                Input::Beat { attempt, answer: connection.heartbeat(generation, member_id).await }
            }),
            GroupRequest::Leave { .. } => Box::pin(async { Input::Left }),
        });
    }

    fn plan(&mut self, generation: i32, members: Vec<Joined>) {
        let planner = Arc::clone(&self.planner);
        let options = self.config.assignor.clone();
        // SyncGroup must be sent before the coordinator's patience, the rebalance time-out, ends.
        let limit = self.config.rebalance_timeout.mul_f64(0.8);
        let work = self.application.spawn(planning::plan(planner, members.clone(), options, limit));
        self.under_way.push(Box::pin(async move {
            let (assignments, fault) = match work.await {
                Ok(outcome) => outcome,
                Err(error) => planning::failed(members, &error.to_string()),
            };
            Input::Planned { generation, assignments, fault }
        }));
    }

    fn tell(&mut self, news: News) {
        let group_id = &self.config.group_id;
        let event = match news {
            News::Preparing { token, reason } => {
                tracing::info!(group_id, reason, "rebalance begins");
                let (ready, answered) = Pause::new();
                self.under_way
                    .push(Box::pin(async move { Input::Ready { token, held: answered.await.ok() } }));
                MembershipEvent::PreparingRebalance { reason, ready }
            }
            News::Revoke { token, tasks } => {
                tracing::info!(group_id, ?tasks, "tasks taken away");
                let (closed, answered) = Pause::new();
                self.under_way.push(Box::pin(async move {
                    let _ = answered.await;
                    Input::Closed { token }
                }));
                MembershipEvent::Revoke { tasks, closed }
            }
            News::Assigned(assignment) => {
                let (generation, member_id) = (assignment.generation, &assignment.member_id);
                let (active, standby) = (assignment.active.len(), assignment.standby.len());
                let (warm_up, follow_up) = (assignment.warm_up.len(), assignment.follow_up);
                tracing::info!(
                    group_id,
                    generation,
                    member_id,
                    active,
                    standby,
                    warm_up,
                    follow_up,
                    "tasks assigned"
                );
                MembershipEvent::Assigned(assignment)
            }
            News::AssignmentFailed(fault) => {
                tracing::warn!(group_id, fault.message, "the leader could not assign tasks");
                MembershipEvent::AssignmentFailed(fault)
            }
            News::Lost { tasks, cause } => {
                tracing::warn!(group_id, ?tasks, ?cause, "all tasks lost");
                MembershipEvent::Lost { tasks, cause }
            }
            News::Unavailable { error } => {
                tracing::warn!(group_id, error, "the group's coordinator cannot be reached");
                MembershipEvent::CoordinatorUnavailable { error }
            }
            News::Available { after } => {
                tracing::info!(group_id, ?after, "the group's coordinator answers again");
                MembershipEvent::CoordinatorAvailable { after }
            }
            News::Failed(error) => {
                tracing::error!(%error, "membership failed");
                MembershipEvent::Failed(error)
            }
        };
        self.outbox.push_back(event);
    }

    /// Shows the outside world the identity, and until when the session lasts.
    fn publish(&mut self) {
        let until = self.member.session_until().map(Instant::from_std);
        self.progress.confirm_session(until);
        let (generation, member_id) = (self.member.generation(), self.member.member_id());
        let losses = self.member.losses();
        self.progress.note_losses(losses);
        self.metadata.send_if_modified(|metadata| {
            let same = metadata.generation == generation
                && metadata.member_id == member_id
                && metadata.losses == losses;
            if !same {
                metadata.generation = generation;
                member_id.clone_into(&mut metadata.member_id);
                metadata.losses = losses;
            }
            !same
        });
    }

    fn send_commits(&mut self) {
        let now = Instant::now();
        let group = self.config.group_id.clone();
        let (losses, gate) = (self.member.losses(), self.member.commit_gate());
        let paused = self.commits_not_before.is_some_and(|not_before| now < not_before);
        for commit in std::mem::take(&mut self.commits) {
            if commit.losses != losses || gate == CommitGate::Closed {
                commit.lost(&group, "this member has lost its place in the group");
            } else if now >= commit.deadline {
                commit.timed_out(&group, "of the group", self.client.config().api_timeout);
            } else if let (CommitGate::Open, false, Some(connection)) =
                (gate, paused, self.connection.clone())
            {
                let (attempt, sent) =
                    (self.attempt, (self.member.generation(), self.member.member_id().to_owned()));
                self.under_way.push(Box::pin(async move {
                    let answer = connection.commit(sent.0, sent.1.clone(), &commit.offsets).await;
                    Input::Committed { attempt, commit, sent, answer }
                }));
            } else {
                self.commits.push_back(commit);
            }
        }
    }

    fn committed(&mut self, attempt: u64, mut commit: Commit, sent: Identity, answer: CommitAnswer) {
        let now = Instant::now().into_std();
        let group = self.config.group_id.clone();
        commit.last_error = answer.as_ref().err().cloned();
        match judge(answer) {
            Verdict::Done => commit.finish(Ok(())),
            Verdict::Refused(partition, code) => commit.refused(&group, partition, code),
            Verdict::Broken(source) => commit.finish(Err(CommitError::Wire { group, source })),
            Verdict::Membership(code) => {
                let current = sent.0 == self.member.generation() && sent.1 == self.member.member_id();
                if current {
                    self.member.on_commit_refused(now, code);
                }
                if commit.losses == self.member.losses() {
                    // A newer generation of the same membership: the tasks are still ours.
                    self.commits.push_front(commit);
                } else {
                    commit.lost(&group, &format!("the coordinator answered {code}"));
                }
            }
            Verdict::Again => self.commit_later(commit),
            Verdict::Elsewhere => {
                if attempt == self.attempt {
                    self.member.look_elsewhere(now);
                }
                self.commit_later(commit);
            }
        }
    }

    fn commit_later(&mut self, commit: Commit) {
        self.commits.push_front(commit);
        let not_before = Instant::now() + COMMIT_RETRY;
        self.commits_not_before = Some(not_before);
        self.under_way.push(Box::pin(async move {
            tokio::time::sleep_until(not_before).await;
            Input::RetryCommits
        }));
    }

    /// Says farewell to the coordinator, so that others take over at once.
    async fn leave(mut self, static_too: bool, answer: oneshot::Sender<()>) {
        if let Some(GroupRequest::Leave { member_id, reason }) = self.member.leave(static_too) {
            say_farewell(&self.client, &self.config, member_id, reason).await;
        }
        tracing::info!(group_id = self.config.group_id, "left the group");
        self.publish();
        self.outbox.push_back(MembershipEvent::Left);
        self.close();
        let _ = answer.send(());
    }

    /// Gives out the last news, as far as there is room, and ends what waits.
    fn close(mut self) {
        for event in self.outbox.drain(..) {
            // A runtime that reads no news any more needs none.
            let _ = self.events.try_send(event);
        }
        self.progress.confirm_session(None);
        for commit in self.commits.drain(..) {
            commit.finish(Err(CommitError::Left { group: self.config.group_id.clone() }));
        }
    }
}
