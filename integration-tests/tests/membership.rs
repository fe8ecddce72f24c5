//! Members of a group against a real coordinator: joining, sharing, dying, coming back, leaving.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use integration_tests::TestBroker;
use log_server::{LogServer, LogServerConfig};
use streams_core::TopicPartition;
use streams_core::client::wire::{NewTopic, WireClient, WireConfig};
use streams_core::membership::{
    CommitError, CurrentTasks, GroupPlan, GroupPlanner, MemberSummary, Membership, MembershipConfig,
    MembershipEvent, MembershipHandle, OffsetToCommit, PlanError, PlannedTask,
};
use streams_core::topology::TaskId;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(30);

/// A name that no other run has used.
fn fresh(name: &str) -> String {
    format!("{name}-{}", Uuid::new_v4().simple())
}

/// One task per partition of a topic.
struct OneTopic {
    client: WireClient,
    topic: String,
}

#[async_trait]
impl GroupPlanner for OneTopic {
    async fn plan(&self, members: &[MemberSummary]) -> Result<GroupPlan, PlanError> {
        assert!(members.iter().all(|member| member.topics == [self.topic.clone()]));
        let kind = streams_core::membership::FaultKind::Temporary;
        let cluster = self.client.metadata(Some(&[&self.topic])).await;
        let cluster = cluster.map_err(|error| PlanError { kind, message: error.to_string() })?;
        let count = cluster.partition_count(&self.topic).unwrap_or_default();
        let task = |partition: i32| PlannedTask {
            id: TaskId::new(0, partition.unsigned_abs()),
            partitions: vec![TopicPartition::new(self.topic.as_str(), partition)],
            stateful: false,
            end_offset_sum: None,
        };
        Ok(GroupPlan { tasks: (0..count).map(task).collect() })
    }
}

/// What an instance runs, and what it was told.
#[derive(Debug, Clone, Default)]
struct Seen {
    generation: i32,
    running: BTreeSet<TaskId>,
    /// How many tasks were ever taken away or lost.
    stopped: usize,
    lost: usize,
}

/// An instance of an application whose tasks do nothing.
struct Instance {
    handle: MembershipHandle,
    seen: watch::Receiver<Seen>,
    runtime: JoinHandle<()>,
}

impl Instance {
    fn start(broker: &TestBroker, group: &str, topic: &str, session: Duration) -> Self {
        let mut config = MembershipConfig::new(group, Uuid::new_v4(), vec![topic.to_owned()]);
        config.session_timeout = session;
        Self::start_with(broker.bootstrap(), config)
    }

    fn start_with(bootstrap: &str, mut config: MembershipConfig) -> Self {
        let client = WireClient::new(WireConfig::new(bootstrap).client_id("rides-instance"));
        let topic = config.topics.first().expect("a topic").clone();
        config.heartbeat_interval = Duration::from_millis(500);
        let planner = Arc::new(OneTopic { client: client.clone(), topic });
        let Membership { handle, mut events } = Membership::start(config, client, planner);
        let (tell, seen) = watch::channel(Seen::default());
        let runtime = tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                match event {
                    MembershipEvent::PreparingRebalance { ready, .. } => {
                        ready.resume(CurrentTasks::default())
                    }
                    MembershipEvent::Revoke { tasks, closed } => {
                        tell.send_modify(|seen| {
                            seen.stopped += tasks.len();
                            seen.running.retain(|task| !tasks.contains(task));
                        });
                        closed.resume(());
                    }
                    MembershipEvent::Assigned(assignment) => tell.send_modify(|seen| {
                        assert!(assignment.active.iter().all(|task| task.partitions.len() == 1));
                        seen.generation = assignment.generation;
                        seen.running.extend(assignment.added.iter().copied());
                    }),
                    MembershipEvent::Lost { tasks, .. } => tell.send_modify(|seen| {
                        seen.lost += 1;
                        seen.stopped += tasks.len();
                        seen.running.clear();
                    }),
                    MembershipEvent::Failed(error) => panic!("{error}"),
                    _ => {}
                }
            }
        });
        Self { handle, seen, runtime }
    }

    async fn runs(&self, tasks: usize) -> Seen {
        self.waits_for(&format!("{tasks} tasks"), |seen| seen.running.len() == tasks).await
    }

    async fn waits_for(&self, what: &str, reached: impl FnMut(&Seen) -> bool) -> Seen {
        let mut watched = self.seen.clone();
        let settled = watched.wait_for(reached);
        match tokio::time::timeout(LIMIT, settled).await {
            Ok(seen) => seen.expect("the instance lives").clone(),
            Err(_) => panic!("{what} awaited, {:?}", *self.seen.borrow()),
        }
    }

    /// Ends it without a word to the coordinator, as kill -9 does.
    fn kill(self) {
        self.runtime.abort();
    }
}

async fn topic(broker: &TestBroker, partitions: i32) -> String {
    let name = fresh("rides");
    let client = WireClient::new(WireConfig::new(broker.bootstrap()));
    let results =
        client.create_topics(&[NewTopic::new(&name, partitions)], false).await.expect("a controller");
    assert!(results[&name].is_ok(), "{results:?}");
    name
}

fn offset(topic: &str, partition: i32, offset: i64) -> OffsetToCommit {
    let partition = TopicPartition::new(topic, partition);
    OffsetToCommit { partition, offset, leader_epoch: -1, metadata: "stream time 7".to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_member_runs_all_and_commits() {
    let broker = TestBroker::start().await;
    let (group, topic) = (fresh("app"), topic(&broker, 4).await);
    let instance = Instance::start(&broker, &group, &topic, Duration::from_secs(10));
    instance.runs(4).await;
    let metadata = instance.handle.group_metadata();
    assert!(metadata.member_id.starts_with("rides-instance-"), "{metadata:?}");
    assert!(instance.handle.lease().covers(Duration::ZERO));

    instance
        .handle
        .commit_offsets(vec![offset(&topic, 0, 5), offset(&topic, 3, 7)])
        .await
        .expect("committed");
    let wanted: Vec<TopicPartition> = (0..4).map(|p| TopicPartition::new(topic.as_str(), p)).collect();
    let committed = instance.handle.fetch_committed(&wanted, true).await.expect("fetched");
    let offsets: Vec<(i32, i64)> =
        committed.iter().map(|(tp, offset)| (tp.partition, offset.offset)).collect();
    assert_eq!(offsets, [(0, 5), (3, 7)]);
    assert_eq!(committed[&wanted[0]].metadata, "stream time 7");

    let client = WireClient::new(WireConfig::new(broker.bootstrap()));
    let described = client.describe_group(&group).await.expect("described");
    assert_eq!((described.state.as_str(), described.protocol_type.as_str()), ("Stable", "consumer"));
    assert_eq!(described.protocol, "rust-streams");
    assert_eq!(described.members[0].member_id, metadata.member_id);

    instance.handle.leave(false).await;
    assert!(!instance.handle.lease().covers(Duration::ZERO));
    let refused = instance.handle.commit_offsets(vec![offset(&topic, 0, 6)]).await;
    assert!(matches!(refused, Err(CommitError::Left { .. })), "{refused:?}");
    let described = client.describe_group(&group).await.expect("described");
    assert_eq!((described.state.as_str(), described.members.len()), ("Empty", 0));
    client.delete_group(&group).await.expect("deleted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_share_and_one_takes_over_from_the_dead() {
    let broker = TestBroker::start().await;
    let (group, topic) = (fresh("app"), topic(&broker, 4).await);
    let session = Duration::from_secs(6);
    let first = Instance::start(&broker, &group, &topic, session);
    first.runs(4).await;
    let second = Instance::start(&broker, &group, &topic, session);
    second.runs(2).await;
    let seen = first.runs(2).await;
    assert_eq!((seen.stopped, seen.lost), (2, 0), "only what moved was stopped");
    let kept = seen.running;

    // A commit of a kept task goes on in every generation.
    let partition = i32::try_from(kept.first().expect("two tasks").partition).expect("small");
    first.handle.commit_offsets(vec![offset(&topic, partition, 1)]).await.expect("committed");

    second.kill();
    let killed = Instant::now();
    let seen = first.runs(4).await;
    assert!(killed.elapsed() < session + Duration::from_secs(3), "{:?}", killed.elapsed());
    assert_eq!((seen.stopped, seen.lost), (2, 0), "what it had went on");
    assert!(seen.running.is_superset(&kept));

    let back = Instance::start(&broker, &group, &topic, session);
    back.runs(2).await;
    let seen = first.runs(2).await;
    assert_eq!((seen.stopped, seen.lost), (4, 0));

    // A clean leave does not wait for the session.
    let left = Instant::now();
    back.handle.leave(false).await;
    first.runs(4).await;
    assert!(left.elapsed() < session / 2, "{:?}", left.elapsed());
    first.handle.leave(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_survive_rebalances() {
    let broker = TestBroker::start().await;
    let (group, topic) = (fresh("app"), topic(&broker, 8).await);
    let first = Instance::start(&broker, &group, &topic, Duration::from_secs(10));
    first.runs(8).await;
    let committing = {
        let (handle, topic, seen) = (first.handle.clone(), topic.clone(), first.seen.clone());
        tokio::spawn(async move {
            let mut committed = 0;
            while seen.borrow().running.len() == 8 || committed < 50 {
                let task = *seen.borrow().running.first().expect("it always runs some");
                let partition = i32::try_from(task.partition).expect("small");
                committed += 1;
                handle.commit_offsets(vec![offset(&topic, partition, committed)]).await.expect("committed");
            }
            committed
        })
    };
    let second = Instance::start(&broker, &group, &topic, Duration::from_secs(10));
    second.runs(4).await;
    first.runs(4).await;
    let committed =
        tokio::time::timeout(LIMIT, committing).await.expect("in time").expect("no commit failed");
    assert!(committed >= 50, "{committed}");
    for instance in [first, second] {
        instance.handle.leave(false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_member_comes_back_without_a_rebalance() {
    let broker = TestBroker::start().await;
    let (group, topic) = (fresh("app"), topic(&broker, 4).await);
    let config = |name: &str, process_id| {
        let mut config = MembershipConfig::new(&group, process_id, vec![topic.clone()]);
        config.instance_id = Some(name.to_owned());
        config.session_timeout = Duration::from_secs(20);
        config
    };
    let (first_process, second_process) = (Uuid::new_v4(), Uuid::new_v4());
    let first = Instance::start_with(broker.bootstrap(), config("box-1", first_process));
    first.runs(4).await;
    let second = Instance::start_with(broker.bootstrap(), config("box-2", second_process));
    let generation = second.runs(2).await.generation;
    let before = first.waits_for("the last generation", |seen| seen.generation == generation).await;
    let mut running = [(first, "box-1", first_process), (second, "box-2", second_process)];
    assert_eq!(before.generation, generation);
    for restarted in [1, 0] {
        let seen = |of: &Instance| of.seen.borrow().clone();
        let (stayed, had) = (seen(&running[1 - restarted].0), seen(&running[restarted].0));
        running[restarted].0.handle.leave(false).await;
        let (_, name, process_id) = running[restarted];
        running[restarted].0 = Instance::start_with(broker.bootstrap(), config(name, process_id));
        let has = running[restarted].0.runs(2).await;
        assert_eq!((has.generation, has.running), (generation, had.running), "{name}");
        let stayed_so = seen(&running[1 - restarted].0);
        assert_eq!((stayed_so.generation, stayed_so.stopped), (generation, stayed.stopped), "{name}");
    }
    // Told to leave for good, it does not keep its tasks from the other.
    running[0].0.handle.leave(true).await;
    running[1].0.runs(4).await;
}

#[test]
fn heartbeats_go_on_while_the_application_blocks_its_threads() {
    let session = Duration::from_secs(6);
    let apart = tokio::runtime::Runtime::new().expect("a runtime");
    let (broker, topic) = apart.block_on(async {
        let broker = TestBroker::start().await;
        let topic = topic(&broker, 1).await;
        (broker, topic)
    });
    let blocked = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    blocked.block_on(async {
        let instance = Instance::start(&broker, &fresh("app"), &topic, session);
        let before = instance.runs(1).await;
        // The fault itself: a closure that blocks its thread for longer than the session.
        std::thread::sleep(session + Duration::from_secs(2));
        assert!(instance.handle.lease().covers(Duration::ZERO));
        instance.handle.commit_offsets(vec![offset(&topic, 0, 3)]).await.expect("still a member");
        let after = instance.seen.borrow().clone();
        assert_eq!((after.generation, after.lost), (before.generation, 0));
        instance.handle.leave(false).await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_outlive_a_restart_of_the_broker() {
    let data = tempfile::tempdir().expect("a directory");
    let config = || LogServerConfig::new(data.path()).group_initial_rebalance_delay(Duration::ZERO);
    let server = LogServer::start(config()).await.expect("started");
    let address = server.address();
    let (group, topic) = (fresh("app"), fresh("rides"));
    let client = WireClient::new(WireConfig::new(address.to_string()));
    let created = client.create_topics(&[NewTopic::new(&topic, 4)], false).await.expect("a controller");
    assert!(created[&topic].is_ok(), "{created:?}");
    let member = || {
        let mut config = MembershipConfig::new(&group, Uuid::new_v4(), vec![topic.clone()]);
        config.session_timeout = Duration::from_secs(10);
        Instance::start_with(&address.to_string(), config)
    };
    let first = member();
    first.runs(4).await;
    let second = member();
    second.runs(2).await;
    first.runs(2).await;
    first.handle.commit_offsets(vec![offset(&topic, 1, 5)]).await.expect("committed");

    server.shutdown().await.expect("closed");
    let waits = {
        let (handle, topic) = (first.handle.clone(), topic.clone());
        tokio::spawn(async move { handle.commit_offsets(vec![offset(&topic, 1, 6)]).await })
    };
    let server = LogServer::start(config().listen(address)).await.expect("started on the same port");
    let outcome = tokio::time::timeout(LIMIT, waits).await.expect("answered").expect("no panic");
    first.runs(2).await;
    second.runs(2).await;
    let committed = first.handle.fetch_committed(&[TopicPartition::new(topic.as_str(), 1)], true).await;
    let committed = committed.expect("fetched");
    let offset = committed.values().next().expect("committed").offset;
    match outcome {
        Ok(()) => assert_eq!(offset, 6),
        // Members are not known any more: the commit is refused, and the one before stands.
        Err(CommitError::Lost { .. }) => assert_eq!(offset, 5),
        Err(error) => panic!("{error}"),
    }
    for instance in [first, second] {
        instance.handle.leave(false).await;
    }
    server.shutdown().await.expect("closed");
}
