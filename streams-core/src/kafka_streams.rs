//! The application: made from a topology and a configuration, started, watched, closed.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::close_options::CloseOptions;
use crate::config::StreamsConfig;
use crate::end_signals::EndSignals;
use crate::error::Error;
use crate::query::{QueryError, QueryableStore};
use crate::runtime::{
    InstanceCommand, Pauses, Started, Startup, StateRestoreListener, StatusBoard, StreamsState,
    StreamsStatus, Threads,
};
use crate::state::StateStore;
use crate::streams_handle::StreamsHandle;
use crate::topology::{ApplicationTopology, TaskId, Topology};

/// Threads that restore, at least: while one waits for the disk another goes on.
const RESTORE_THREADS_MIN: usize = 2;

/// An application that is configured and not yet started.
///
/// ```no_run
/// use streams_core::{KafkaStreams, StreamsConfig};
/// # async fn run(topology: streams_core::topology::Topology) -> Result<(), streams_core::Error> {
/// let config = StreamsConfig::new("rides", "127.0.0.1:9092");
/// let streams = KafkaStreams::new(topology, config)?.start().await?;
/// streams.run_until_signal().await
/// # }
/// ```
pub struct KafkaStreams {
    config: StreamsConfig,
    application: Arc<ApplicationTopology>,
    state: watch::Sender<StreamsState>,
    restore_listener: Option<Arc<dyn StateRestoreListener>>,
}

impl std::fmt::Debug for KafkaStreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaStreams").field("config", &self.config).finish_non_exhaustive()
    }
}

impl KafkaStreams {
    /// An application of this topology.
    ///
    /// # Errors
    /// When the configuration cannot be used, or the topology was not built by it.
    pub fn new(topology: impl Into<Arc<Topology>>, config: StreamsConfig) -> Result<Self, Error> {
        let topology = topology.into();
        config.validate()?;
        config.fits(&topology)?;
        let application = ApplicationTopology::new(topology, config.application_id.as_str());
        let (state, _) = watch::channel(StreamsState::Created);
        Ok(KafkaStreams { config, application: Arc::new(application), state, restore_listener: None })
    }

    /// Tells the other instances where this one can be asked for its state, unless `application.server` says it.
    pub fn advertise(&mut self, server: impl Into<String>) {
        self.config.application_server.get_or_insert_with(|| server.into());
    }

    /// Deletes the application's local state below `state.dir`, so that it restores everything from its changelogs when it
    /// starts (Kafka's `KafkaStreams.cleanUp`).
    ///
    /// # Errors
    /// [`Error::StateLocked`] while an instance runs on it; when a file cannot be deleted.
    pub fn clean_up(&self) -> Result<(), Error> {
        crate::runtime::clean_up(&self.config.state_dir, &self.config.application_id)
    }

    /// Has `listener` told how restores go on; the latest one given counts.
    pub fn set_restore_listener(&mut self, listener: Arc<dyn StateRestoreListener>) {
        self.restore_listener = Some(listener);
    }

    /// A channel that shows the state and its changes, from before the start on.
    pub fn watch_state(&self) -> watch::Receiver<StreamsState> {
        self.state.subscribe()
    }

    /// Starts the application on threads of its own: one for each worker, one for the group, and some that restore. Returns once broker and
    /// source topics were found; tasks follow when the group has assigned them.
    ///
    /// # Errors
    /// When no broker is reachable or source topics are missing for `startup.timeout.ms`, topics do not fit each
    /// other, or the state directory cannot be used.
    pub async fn start(self) -> Result<RunningStreams, Error> {
        let workers = self.config.threads;
        let (control, group) = Threads::start("streams-group", 1)?;
        let (tasks, worker_threads) = Threads::start("streams-worker", workers)?;
        // A store that is restored, or a copy that is kept, takes no time of those that process.
        let (restores, restore_threads) =
            Threads::start("streams-restore", workers.max(RESTORE_THREADS_MIN))?;
        let (shutdown, asked) = oneshot::channel();
        let (commands, received) = mpsc::unbounded_channel();
        let pauses = Pauses::default();
        let status = StatusBoard::default();
        let state = self.state.subscribe();
        let shutdown_timeout = self.config.shutdown_timeout;
        let startup = Startup {
            config: self.config,
            application: self.application,
            state: self.state,
            shutdown: asked,
            commands: received,
            pauses: pauses.clone(),
            status: status.clone(),
            restore_listener: self.restore_listener,
            tasks,
            restores,
        };
        let topology = Arc::clone(startup.application.topology());
        let application_id = Arc::clone(startup.application.application_id());
        let Started { ended, queries } = control.spawn(startup.start()).await.map_err(runtime_error)??;
        Ok(RunningStreams {
            shutdown: Some(shutdown),
            commands,
            pauses,
            ended,
            handle: StreamsHandle::new(application_id, topology, state, status, queries),
            shutdown_timeout,
            _threads: [group, worker_threads, restore_threads],
        })
    }
}

/// A running application. Dropping it without [`shutdown`](RunningStreams::shutdown) ends it as a crash would: nothing is lost, but what
/// was not committed is processed again, and others take over only when the session has run out.
#[derive(Debug)]
pub struct RunningStreams {
    shutdown: Option<oneshot::Sender<CloseOptions>>,
    commands: mpsc::UnboundedSender<InstanceCommand>,
    pauses: Pauses,
    ended: JoinHandle<Result<(), Error>>,
    handle: StreamsHandle,
    shutdown_timeout: Duration,
    // Behind all that runs on them.
    _threads: [Threads; 3],
}

impl RunningStreams {
    /// The state at this moment.
    pub fn state(&self) -> StreamsState {
        self.handle.state()
    }

    /// A channel that shows the state and its changes: what other clients call a state listener.
    pub fn watch_state(&self) -> watch::Receiver<StreamsState> {
        self.handle.watch_state()
    }

    /// A handle for everyone who only looks: queries, status, metadata. It may be cloned, and outlives the application.
    pub fn handle(&self) -> StreamsHandle {
        self.handle.clone()
    }

    /// A store, to be read beside the running tasks: see [`StreamsHandle::store`].
    ///
    /// # Errors
    /// When the topology has no store of this name.
    pub fn store<S: StateStore>(&self, name: &str) -> Result<QueryableStore<S>, QueryError> {
        self.handle.store(name)
    }

    /// Waits until the application is in `state`; false if it ended, or is not in it after `limit`.
    pub async fn wait_for(&self, state: StreamsState, limit: Duration) -> bool {
        let mut watch = self.watch_state();
        let over = |now: &StreamsState| {
            *now == state || matches!(now, StreamsState::NotRunning | StreamsState::Failed)
        };
        let waited = tokio::time::timeout(limit, watch.wait_for(over)).await;
        matches!(waited, Ok(Ok(now)) if *now == state)
    }

    /// Its tasks and how far each is.
    pub fn status(&self) -> StreamsStatus {
        self.handle.status()
    }

    /// Runs until `stop` is done or the application fails, then closes it.
    ///
    /// # Errors
    /// Why the application failed, else those of [`RunningStreams::shutdown`].
    pub async fn run_until(mut self, stop: impl Future) -> Result<(), Error> {
        tokio::select! {
            _ = stop => self.shutdown().await,
            ended = &mut self.ended => ended.map_err(runtime_error)?,
        }
    }

    /// Runs until the process is asked to end (SIGTERM, or SIGINT as of ctrl-c), then drains: commits, closes, leaves the group. A second
    /// signal does not wait for that and ends the process at once, with the exit code that shells give a killed one.
    ///
    /// # Errors
    /// As [`RunningStreams::run_until`]; [`Error::Runtime`] when the signals cannot be listened to.
    pub async fn run_until_signal(self) -> Result<(), Error> {
        let mut signals = EndSignals::listen()?;
        let state = self.watch_state();
        let mut again = EndSignals::listen()?;
        tokio::spawn(async move {
            again.next().await;
            let code = again.next().await;
            tracing::warn!(state = %*state.borrow(), "a second signal: the process ends at once");
            std::process::exit(code);
        });
        self.run_until(signals.next()).await
    }

    /// Commits what was processed, closes all tasks and leaves the group, so that others take over at once.
    ///
    /// # Errors
    /// Why the application failed, if it did; [`Error::ShutdownTimeout`] if closing takes longer than
    /// `shutdown.timeout.ms`.
    pub async fn shutdown(self) -> Result<(), Error> {
        self.shutdown_with(CloseOptions::new()).await
    }

    /// As [`shutdown`](RunningStreams::shutdown), in another time, or with another end of the membership.
    ///
    /// # Errors
    /// As [`RunningStreams::shutdown`].
    pub async fn shutdown_with(mut self, options: CloseOptions) -> Result<(), Error> {
        let limit = options.timeout.unwrap_or(self.shutdown_timeout);
        if let Some(shutdown) = self.shutdown.take() {
            // It may have ended by itself.
            let _ = shutdown.send(options.timeout(limit));
        }
        match tokio::time::timeout(limit, &mut self.ended).await {
            Ok(ended) => ended.map_err(runtime_error)?,
            Err(_) => Err(Error::ShutdownTimeout { after: limit }),
        }
    }

    /// Stops processing and punctuating (KIP-834). The instance stays in the group with its tasks, whose state and whose standbys are
    /// kept.
    pub fn pause(&self) {
        self.pauses.set_all(true);
    }

    /// Goes on after [`pause`](RunningStreams::pause); tasks that were paused by themselves stay so.
    pub fn resume(&self) {
        self.pauses.set_all(false);
    }

    /// Whether the whole instance is paused.
    pub fn is_paused(&self) -> bool {
        self.pauses.is_paused()
    }

    /// Pauses one task of this instance, now or whenever it comes here.
    pub fn pause_task(&self, task: TaskId) {
        self.pauses.set_task(task, true);
    }

    /// Lets a task go on after [`pause_task`](RunningStreams::pause_task).
    pub fn resume_task(&self, task: TaskId) {
        self.pauses.set_task(task, false);
    }

    /// Starts one more worker, with a thread, a consumer and a producer of its own; it gets its share of the tasks here, and the
    /// instance a larger share of the application's. Answers the worker's number.
    ///
    /// # Errors
    /// When its clients cannot be started, or the application has ended.
    pub async fn add_worker(&self) -> Result<usize, Error> {
        self.command(InstanceCommand::AddWorker).await?
    }

    /// Ends the worker that came last; its tasks are committed, and the others take them. Answers its number, none where only one is
    /// left, for that ends with the application only.
    ///
    /// # Errors
    /// When the application has ended.
    pub async fn remove_worker(&self) -> Result<Option<usize>, Error> {
        self.command(InstanceCommand::RemoveWorker).await
    }

    async fn command<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> InstanceCommand,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let ended = || Error::Runtime { reason: "the application has ended".to_owned() };
        self.commands.send(command(answer)).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())
    }
}

fn runtime_error(fault: tokio::task::JoinError) -> Error {
    Error::Runtime { reason: fault.to_string() }
}
