//! The runtime's end of a membership.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::client::wire::{CommittedOffset, WireClient, WireError};
use crate::record::TopicPartition;

use super::commit::Commit;
use super::config::MembershipConfig;
use super::error::CommitError;
use super::event::MembershipEvent;
use super::leader::GroupPlanner;
use super::lease::Lease;
use super::progress::{Progress, ProgressBoard};
use super::shell::{Command, Shell};

/// Events that may wait for the runtime.
const EVENTS_MAX: usize = 64;
/// Commands that may wait for the membership's task.
const COMMANDS_MAX: usize = 256;

/// A membership being started.
#[derive(Debug)]
pub struct Membership {
    /// To command it.
    pub handle: MembershipHandle,
    /// What it tells; to be read promptly, for a rebalance waits for it.
    pub events: mpsc::Receiver<MembershipEvent>,
}

impl Membership {
    /// Starts the task that joins the group and stays in it. Returns at once; the first news are
    /// [`PreparingRebalance`](MembershipEvent::PreparingRebalance), then [`Assigned`](MembershipEvent::Assigned).
    ///
    /// It has a thread of its own, so that heartbeats go on whatever the application's tasks do to theirs. Must be called within
    /// a tokio runtime, where the planner then runs. The task ends after [`leave`](MembershipHandle::leave), after a fatal error, or when
    /// all handles are dropped (then without LeaveGroup, as after a crash).
    pub fn start(config: MembershipConfig, client: WireClient, planner: Arc<dyn GroupPlanner>) -> Self {
        let (commands, command_receiver) = mpsc::channel(COMMANDS_MAX);
        let (event_sender, events) = mpsc::channel(EVENTS_MAX);
        let (metadata_sender, metadata) = watch::channel(GroupMetadata::of(&config));
        let progress = ProgressBoard::default();
        let handle = MembershipHandle {
            group_id: config.group_id.clone().into(),
            client: client.clone(),
            commands,
            metadata,
            progress: progress.clone(),
        };
        let channels = (command_receiver, event_sender);
        let shell = Shell::new(config, &client, planner, channels, metadata_sender, progress);
        run_apart(shell);
        Self { handle, events }
    }
}

/// Runs the membership on a thread of its own; among the other tasks where the system gives no thread.
fn run_apart(shell: Shell) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let (hand_over, handed_over) = std::sync::mpsc::channel();
            let thread = std::thread::Builder::new().name("membership".to_owned());
            let started = thread.spawn(move || {
                if let Ok(shell) = handed_over.recv() {
                    runtime.block_on(Shell::run(shell));
                }
            });
            match started {
                Ok(_) => {
                    // The thread waits for exactly this.
                    let _ = hand_over.send(shell);
                }
                Err(error) => run_among_others(shell, &error),
            }
        }
        Err(error) => run_among_others(shell, &error),
    }
}

fn run_among_others(shell: Shell, error: &std::io::Error) {
    tracing::warn!(%error, "no thread for the membership: busy tasks can hold its heartbeats up");
    tokio::spawn(shell.run());
}

/// Commands a membership. Clones command the same one.
#[derive(Debug, Clone)]
pub struct MembershipHandle {
    group_id: Arc<str>,
    client: WireClient,
    commands: mpsc::Sender<Command>,
    metadata: watch::Receiver<GroupMetadata>,
    progress: ProgressBoard,
}

impl MembershipHandle {
    /// Commits offsets under the current generation. During a rebalance the commit waits for the new one.
    ///
    /// # Errors
    /// See [`CommitError`]; on [`CommitError::Lost`] the tasks must be closed as they are.
    pub async fn commit_offsets(&self, offsets: Vec<OffsetToCommit>) -> Result<(), CommitError> {
        let (answer, answered) = oneshot::channel();
        let left = || CommitError::Left { group: self.group_id.to_string() };
        let command = Command::Commit(Commit::new(
            offsets,
            self.metadata.borrow().losses,
            self.client.config().api_timeout,
            answer,
        ));
        self.commands.send(command).await.map_err(|_| left())?;
        answered.await.map_err(|_| left())?
    }

    /// The offsets committed for `partitions`; one without a commit is left out. Does not wait for a rebalance.
    ///
    /// With `require_stable`, offsets that an open transaction may still change are waited for.
    ///
    /// # Errors
    /// When the coordinator does not answer within `default.api.timeout.ms`.
    pub async fn fetch_committed(
        &self,
        partitions: &[TopicPartition],
        require_stable: bool,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>, WireError> {
        self.client.fetch_committed(&self.group_id, partitions, require_stable).await
    }

    /// Asks for a new round: because a warm-up has caught up, or source topics have changed.
    pub async fn request_rejoin(&self, reason: impl Into<String>) {
        // A membership that has ended needs no new round.
        let _ = self.commands.send(Command::Rejoin(reason.into())).await;
    }

    /// Asks all instances of the application to stop. Returns at once; when the leader has told everyone, this member included,
    /// [`AssignmentFailed`](MembershipEvent::AssignmentFailed) says so.
    pub async fn request_stop(&self, reason: impl Into<String>) {
        // A membership that has ended has nobody to tell.
        let _ = self.commands.send(Command::Stop(reason.into())).await;
    }

    /// Leaves the group, so that others take over at once; to be called when all tasks are committed and closed. A static member stays in it
    /// until its session runs out, unless `static_too`. Returns when the coordinator has answered, or could not be reached.
    pub async fn leave(&self, static_too: bool) {
        let (answer, answered) = oneshot::channel();
        if self.commands.send(Command::Leave { static_too, answer }).await.is_ok() {
            let _ = answered.await;
        }
    }

    /// Ends the membership without a word: the coordinator keeps the place until the session runs out.
    pub async fn end(&self) {
        let (answer, answered) = oneshot::channel();
        if self.commands.send(Command::End { answer }).await.is_ok() {
            let _ = answered.await;
        }
    }

    /// Changes the member's share of the tasks: its number of workers.
    pub async fn set_capacity(&self, workers: usize) {
        let capacity = u32::try_from(workers).unwrap_or(u32::MAX);
        // A membership that has ended has no share.
        let _ = self.commands.send(Command::Capacity(capacity)).await;
    }

    /// A token by which one worker reports that it gets on. While any token is older than `max.poll.interval.ms` the
    /// member leaves the group. Dropping the token ends the watch.
    pub fn progress(&self) -> Progress {
        self.progress.register()
    }

    /// What a transactional offset commit must carry, as of now.
    pub fn group_metadata(&self) -> GroupMetadata {
        self.metadata.borrow().clone()
    }

    /// The same as a channel that shows changes.
    pub fn watch_group_metadata(&self) -> watch::Receiver<GroupMetadata> {
        self.metadata.clone()
    }

    /// The right to write for the tasks that this member has now. To be asked before something is sent that a new owner's
    /// writes must not be followed by.
    pub fn lease(&self) -> Lease {
        Lease::new(self.progress.clone())
    }
}

/// An offset to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetToCommit {
    /// Partition.
    pub partition: TopicPartition,
    /// Offset of the next record to process.
    pub offset: i64,
    /// Epoch of the leader that wrote the last processed record, -1 if unknown.
    pub leader_epoch: i32,
    /// Text kept with it, such as the partition's time.
    pub metadata: String,
}

/// The member's identity for transactional offset commits (KIP-447).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadata {
    /// `application.id`.
    pub group_id: String,
    /// Generation, -1 while there is none.
    pub generation: i32,
    /// Id given by the coordinator, empty while there is none.
    pub member_id: String,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// How often all tasks were lost so far: a commit asked for before a loss is refused after it.
    pub(super) losses: u64,
}

impl GroupMetadata {
    pub(super) fn of(config: &MembershipConfig) -> Self {
        Self {
            group_id: config.group_id.clone(),
            generation: -1,
            member_id: String::new(),
            instance_id: config.instance_id.clone(),
            losses: 0,
        }
    }
}
