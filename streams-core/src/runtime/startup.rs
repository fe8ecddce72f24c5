//! The start of an application: broker there, topics there and fitting, then clients, workers, membership.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OnceCell, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::changelog_keeper::ChangelogKeeper;
use super::data_clients::{ClientKind, ProducerMaker, properties, wire};
use super::global_worker::{GlobalSetup, GlobalWorker};
use super::instance::{Instance, InstanceCommand};
use super::open_task::TaskOpener;
use super::pauses::Pauses;
use super::planner::{PlanFault, TopicPlanner};
use super::restore::Restorer;
use super::restore_listener::StateRestoreListener;
use super::retention_check::retentions;
use super::standby::Standbys;
use super::state_cleaner::StateCleaner;
use super::state_directory::StateDirectory;
use super::status_board::StatusBoard;
use super::streams_state::StreamsState;
use super::task_settings::task_config;
use super::topic_watch::TopicWatch;
use super::worker_maker::WorkerMaker;
use super::workers::Workers;
use crate::assignor::AssignorOptions;
use crate::client::wire::{Isolation, WireClient};
use crate::close_options::CloseOptions;
use crate::config::{ProcessingGuarantee, RecordingLevel, StreamsConfig};
use crate::error::Error;
use crate::membership::{Membership, MembershipConfig};
use crate::processor::PartitionCounts;
use crate::query::{Queries, QueryParts, StoreHost};
use crate::topology::{ApplicationTopology, TopicPlan, TopicPlanError, Topology};

/// Between two looks for topics that are missing at the start.
const TOPIC_RETRY: Duration = Duration::from_millis(250);

/// Between two looks whether the source topics have changed, unless `metadata.max.age.ms` says otherwise.
const TOPIC_WATCH_INTERVAL: Duration = Duration::from_secs(30);

/// A started application.
#[derive(Debug)]
pub(crate) struct Started {
    /// Ends when the application does.
    pub(crate) ended: JoinHandle<Result<(), Error>>,
    /// Reads its stores.
    pub(crate) queries: Arc<Queries>,
}

/// What an application needs to start.
pub(crate) struct Startup {
    pub(crate) config: StreamsConfig,
    pub(crate) application: Arc<ApplicationTopology>,
    pub(crate) state: watch::Sender<StreamsState>,
    pub(crate) shutdown: oneshot::Receiver<CloseOptions>,
    pub(crate) commands: mpsc::UnboundedReceiver<InstanceCommand>,
    pub(crate) pauses: Pauses,
    pub(crate) status: StatusBoard,
    /// Told of restores.
    pub(crate) restore_listener: Option<Arc<dyn StateRestoreListener>>,
    /// Where tasks run; the caller's runtime is for the group and the broker's requests.
    pub(crate) tasks: Handle,
    /// Where tasks are opened and restored, and where copies of other instances' tasks are kept.
    pub(crate) restores: Handle,
}

impl Startup {
    /// Finds broker and topics, then starts everything. The application runs when this returns; its end is told by
    /// the instance's task.
    pub(crate) async fn start(self) -> Result<Started, Error> {
        let config = &self.config;
        let partition_counts = PartitionCounts::default();
        let directory = Arc::new(StateDirectory::open(&config.state_dir, &config.application_id)?);
        let wire = WireClient::new(wire(config)?);
        let (application, counts) = (Arc::clone(&self.application), partition_counts.clone());
        let planner = Arc::new(TopicPlanner::new(application, wire.clone(), config, counts));
        let plan = wait_for_topics(&planner, config).await?;
        set_up_backends(self.application.topology(), config);
        let isolation = match config.guarantee {
            ProcessingGuarantee::AtLeastOnce => Isolation::ReadUncommitted,
            ProcessingGuarantee::ExactlyOnce => Isolation::ReadCommitted,
        };
        let global = self.global_worker(&plan, &directory, &wire, isolation).await?;
        let membership =
            Membership::start(membership_config(config, &directory, &plan), wire.clone(), planner.clone());
        let watch = TopicWatch {
            planner,
            membership: membership.handle.clone(),
            status: self.status.clone(),
            interval: metadata_age(config),
        };
        let opener = TaskOpener {
            application: Arc::clone(&self.application),
            directory,
            membership: membership.handle.clone(),
            restorer: Arc::new(self.restorer(&wire, isolation)),
            partition_counts,
            changelog_keeper: ChangelogKeeper::new(wire.clone(), &plan.internal, config),
            retentions: retentions(&wire, &foreign_topics(&plan)).await,
            wire,
            globals: global.as_ref().map(GlobalWorker::stores).unwrap_or_default(),
            config: task_config(config, plan.tasks.len()),
            measures_stores: config.recording_level == RecordingLevel::Debug,
            offset_reset: config.offset_reset,
            status: self.status.clone(),
            lock_patience: config.session_timeout,
            distrusted: Mutex::default(),
            host: StoreHost::default(),
            openings: Arc::default(),
            threads: self.restores.clone(),
            pauses: self.pauses.clone(),
            tried: Mutex::default(),
        };
        self.run(Arc::new(opener), membership, global, watch).await
    }

    /// Starts the workers, and the instance that they belong to.
    async fn run(
        self,
        opener: Arc<TaskOpener>,
        membership: Membership,
        global: Option<GlobalWorker>,
        watch: TopicWatch,
    ) -> Result<Started, Error> {
        let config = &self.config;
        let cleaner =
            StateCleaner { directory: Arc::downgrade(&opener.directory), delay: config.state_cleanup_delay };
        let (reports, from_workers) = mpsc::unbounded_channel();
        let maker = WorkerMaker {
            config: config.clone(),
            opener: Arc::clone(&opener),
            reports: reports.clone(),
            tasks: self.tasks.clone(),
        };
        let workers = Workers::start(maker, config.threads, self.status.clone()).await?;
        let global = global.map(|worker| {
            let (stop, stopped) = oneshot::channel();
            (stop, self.tasks.spawn(worker.run(stopped, reports)))
        });
        let queries = Queries::new(QueryParts {
            application: Arc::clone(&self.application),
            partition_counts: opener.partition_counts.clone(),
            host: opener.host.clone(),
            status: self.status.clone(),
            state: self.state.subscribe(),
            globals: opener.globals.clone(),
            process_id: opener.directory.process_id(),
        });
        let instance = Instance {
            global,
            standbys: Standbys::new(Arc::clone(&opener)),
            opener,
            membership: membership.handle,
            events: membership.events,
            workers,
            topic_watch: tokio::spawn(watch.run()),
            cleaner: tokio::spawn(cleaner.run()),
            commands: self.commands,
            reports: from_workers,
            shutdown: self.shutdown,
            state: self.state,
            status: self.status,
            topic_patience: config.startup_timeout,
            unassignable_since: None,
            stopping: None,
        };
        Ok(Started { ended: tokio::spawn(instance.run()), queries: Arc::new(queries) })
    }
}

/// The topics that are not the application's own.
fn foreign_topics(plan: &TopicPlan) -> Vec<Arc<str>> {
    let own = |topic: &&Arc<str>| plan.internal.iter().any(|it| it.name == **topic);
    plan.partitions.keys().filter(|topic| !own(topic)).cloned().collect()
}

impl Startup {
    fn restorer(&self, wire: &WireClient, isolation: Isolation) -> Restorer {
        Restorer {
            properties: properties(&self.config, ClientKind::Restore, "restore"),
            group_id: self.config.application_id.clone(),
            wire: wire.clone(),
            isolation,
            status: self.status.clone(),
            listener: self.restore_listener.clone(),
            patience: self.config.task_timeout,
            consumer: OnceCell::new(),
        }
    }

    /// Reads the global stores' topics, where the topology has such stores: no task may miss what they hold.
    async fn global_worker(
        &self,
        plan: &TopicPlan,
        directory: &StateDirectory,
        wire: &WireClient,
        isolation: Isolation,
    ) -> Result<Option<GlobalWorker>, Error> {
        if self.application.topology().globals().is_empty() {
            return Ok(None);
        }
        let config = &self.config;
        let setup = GlobalSetup {
            application: Arc::clone(&self.application),
            inputs: plan.global.clone(),
            dir: directory.global_path(),
            config: task_config(config, plan.tasks.len() + 1),
            properties: properties(config, ClientKind::Restore, "global"),
            wire: wire.clone(),
            isolation,
            commit_interval: config.effective_commit_interval(),
            patience: config.task_timeout,
            producers: ProducerMaker::of_global(config),
        };
        GlobalWorker::open(setup).await.map(Some)
    }
}

/// Waits for a broker and for the source topics, as long as the configuration says; topics that do not fit each other
/// are an error at once.
async fn wait_for_topics(planner: &TopicPlanner, config: &StreamsConfig) -> Result<TopicPlan, Error> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        let left = config.startup_timeout.saturating_sub(begun.elapsed());
        let looked = tokio::time::timeout(left.max(TOPIC_RETRY), planner.look()).await;
        let waited = begun.elapsed();
        let over = waited >= config.startup_timeout;
        match looked {
            Ok(Ok(plan)) => return Ok(plan),
            Ok(Err(PlanFault::Topics(source))) => {
                if over || !matches!(source, TopicPlanError::MissingTopics(_)) {
                    let waited = if over { waited } else { Duration::ZERO };
                    return Err(Error::Topics { source, waited });
                }
                if !told {
                    tracing::warn!(%source, patience = ?config.startup_timeout, "waiting for topics");
                    told = true;
                }
            }
            Ok(Err(PlanFault::Other(Error::Wire(source)))) if source.is_retriable() => {
                if over {
                    let servers = config.bootstrap_servers.clone();
                    return Err(Error::BrokerUnreachable { servers, waited, source: Some(source) });
                }
            }
            Ok(Err(PlanFault::Other(error))) => return Err(error),
            Err(_) => {
                let servers = config.bootstrap_servers.clone();
                return Err(Error::BrokerUnreachable { servers, waited, source: None });
            }
        }
        tokio::time::sleep(TOPIC_RETRY).await;
    }
}

/// How old what is known of the topics may get.
fn metadata_age(config: &StreamsConfig) -> Duration {
    let given = config.admin.get("metadata.max.age.ms").and_then(|text| text.parse().ok());
    given.map_or(TOPIC_WATCH_INTERVAL, Duration::from_millis).max(TOPIC_RETRY)
}

fn membership_config(
    config: &StreamsConfig,
    directory: &StateDirectory,
    plan: &TopicPlan,
) -> MembershipConfig {
    let topics = plan.partitions.keys().map(ToString::to_string).collect();
    let mut member = MembershipConfig::new(&config.application_id, directory.process_id(), topics);
    member.instance_id = config.group_instance_id.clone();
    member.former_member_id = directory.former_member();
    member.capacity = u32::try_from(config.threads).unwrap_or(u32::MAX);
    member.rack = config.rack.clone();
    member.tags = config.tags.clone();
    member.application_server = config.application_server.clone();
    member.session_timeout = config.session_timeout;
    member.heartbeat_interval = config.heartbeat_interval;
    member.max_poll_interval = config.max_poll_interval;
    member.rebalance_timeout = config.rebalance_timeout;
    member.assignor = AssignorOptions {
        standby_replicas: config.standby_replicas,
        acceptable_recovery_lag: config.acceptable_recovery_lag,
        max_warmup_replicas: config.max_warmup_replicas,
    };
    member
}

/// Half the memory budget is for the databases: block cache and memtables. They count what they do where that is asked for.
fn set_up_backends(topology: &Topology, config: &StreamsConfig) {
    let bytes = usize::try_from(config.memory_budget / 2).unwrap_or(usize::MAX);
    let stores = topology.stores().iter().map(|store| &store.builder);
    for builder in stores.chain(topology.globals().iter().map(|global| &global.builder)) {
        let backend = builder.backend();
        backend.set_memory_budget(bytes);
        if config.recording_level == RecordingLevel::Debug {
            backend.count_operations();
        }
    }
}
