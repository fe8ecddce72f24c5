//! Single members against answers made by hand; `simulation` plays whole groups.

mod coordinator_model;
mod simulation;

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use uuid::Uuid;

use crate::client::wire::WireError;
use crate::membership::codec::{Assigned, Subscription};
use crate::membership::config::MembershipConfig;
use crate::membership::event::{AssignedTask, AssignmentFault, CurrentTasks, FaultKind, LostCause};
use crate::topology::TaskId;

use super::*;

fn config() -> MembershipConfig {
    let mut config = MembershipConfig::new("rides-app", Uuid::from_u128(7), vec!["rides".to_owned()]);
    config.session_timeout = Duration::from_secs(10);
    config.heartbeat_interval = Duration::from_secs(1);
    config.rebalance_timeout = Duration::from_secs(20);
    config
}

/// A member with everything it has said since the last look.
struct Bench {
    member: GroupMember,
    now: Instant,
    progress: Option<Instant>,
}

impl Bench {
    fn new(config: MembershipConfig) -> Self {
        let now = Instant::now();
        Self { member: GroupMember::new(config, now), now, progress: None }
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.member.poll(self.now, self.progress)).collect()
    }

    fn pass(&mut self, time: Duration) -> Vec<Action> {
        self.now += time;
        self.actions()
    }

    /// Answers the preparation and returns what follows.
    fn ready(&mut self, actions: &[Action]) -> Vec<Action> {
        for action in actions {
            if let Action::Tell(News::Preparing { token, .. }) = action {
                self.member.ready(*token, Some(CurrentTasks::default()));
            }
        }
        self.actions()
    }

    /// Joins as a follower and is given `partitions` of sub-topology 0 in `generation`.
    fn join(&mut self, generation: i32, partitions: &[u32]) -> Vec<Action> {
        let answer = JoinAnswer {
            generation,
            member_id: "me".to_owned(),
            leader: "other".to_owned(),
            ..JoinAnswer::default()
        };
        self.member.on_join(self.now, answer);
        let sync = self.actions();
        assert!(matches!(&sync[..], [Action::Send(GroupRequest::Sync { .. })]), "{sync:?}");
        let task = |partition: &u32| AssignedTask { id: TaskId::new(0, *partition), partitions: Vec::new() };
        let assigned = Assigned { active: partitions.iter().map(task).collect(), ..Assigned::default() };
        self.member.on_sync(self.now, SyncAnswer { code: None, assignment: assigned.encode() });
        self.actions()
    }

    /// A member that has joined generation 1 and runs `partitions`.
    fn joined(partitions: &[u32]) -> Self {
        let mut bench = Self::new(config());
        let begin = bench.actions();
        bench.ready(&begin);
        bench.member.on_coordinator(bench.now, Ok(()));
        assert!(matches!(&bench.actions()[..], [Action::Send(GroupRequest::Join { .. })]));
        bench.join(1, partitions);
        bench
    }

    fn heartbeat_answered(&mut self, code: Option<ResponseError>) -> Vec<Action> {
        let due = self.pass(Duration::from_secs(1));
        assert!(matches!(&due[..], [Action::Send(GroupRequest::Heartbeat { .. })]), "{due:?}");
        self.member.on_heartbeat(self.now, code);
        self.actions()
    }
}

fn disconnected() -> WireError {
    WireError::Disconnected { broker: "b:1".to_owned(), api: "Heartbeat", reason: "cut".to_owned() }
}

fn claims(actions: &[Action]) -> Subscription {
    let metadata = actions.iter().find_map(|action| match action {
        Action::Send(GroupRequest::Join { metadata, .. }) => Some(metadata.clone()),
        _ => None,
    });
    Subscription::decode(&metadata.expect("a JoinGroup among the actions")).expect("own bytes")
}

#[test]
fn joins_with_the_id_that_the_coordinator_asks_for() {
    let mut bench = Bench::new(config());
    let begin = bench.actions();
    assert!(
        matches!(&begin[..], [Action::Tell(News::Preparing { .. }), Action::FindCoordinator]),
        "{begin:?}"
    );
    assert!(bench.ready(&begin).is_empty(), "the coordinator is not known yet");
    bench.member.on_coordinator(bench.now, Ok(()));
    let join = bench.actions();
    assert!(
        matches!(&join[..], [Action::Send(GroupRequest::Join { member_id, .. })] if member_id.is_empty())
    );
    let code = Some(ResponseError::MemberIdRequired);
    let answer = JoinAnswer { code, member_id: "app-1".to_owned(), ..JoinAnswer::default() };
    bench.member.on_join(bench.now, answer);
    let again = bench.actions();
    assert!(
        matches!(&again[..], [Action::Send(GroupRequest::Join { member_id, .. })] if member_id == "app-1")
    );
}

#[test]
fn a_follower_gets_its_tasks_and_shows_life() {
    let mut bench = Bench::joined(&[0, 1]);
    assert_eq!(bench.member.commit_gate(), CommitGate::Open);
    assert!(bench.pass(Duration::from_millis(900)).is_empty(), "too early for a heartbeat");
    let due = bench.pass(Duration::from_millis(100));
    assert!(matches!(&due[..], [Action::Send(GroupRequest::Heartbeat { generation: 1, .. })]), "{due:?}");
    assert_eq!(bench.member.deadline(bench.now, None), None, "nothing to do before the answer");
}

#[test]
fn a_rebalance_keeps_the_tasks_and_holds_commits_only_while_joining() {
    let mut bench = Bench::joined(&[0, 1]);
    let news = bench.heartbeat_answered(Some(ResponseError::RebalanceInProgress));
    assert!(matches!(&news[..], [Action::Tell(News::Preparing { .. })]), "{news:?}");
    assert_eq!(bench.member.commit_gate(), CommitGate::Open, "commits go before JoinGroup");
    let join = bench.ready(&news);
    let claims = claims(&join);
    assert_eq!((claims.generation, claims.active), (1, vec![TaskId::new(0, 0), TaskId::new(0, 1)]));
    assert_eq!(bench.member.commit_gate(), CommitGate::Hold);
    let news = bench.join(2, &[0, 1]);
    assert_eq!(bench.member.commit_gate(), CommitGate::Open);
    match &news[..] {
        [Action::Tell(News::Assigned(assignment))] => assert!(assignment.added.is_empty()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn gives_back_what_moves_and_asks_for_the_next_round() {
    let mut bench = Bench::joined(&[0, 1, 2]);
    let news = bench.heartbeat_answered(Some(ResponseError::RebalanceInProgress));
    bench.ready(&news);
    let news = bench.join(2, &[0]);
    let token = match &news[..] {
        [Action::Tell(News::Revoke { token, tasks }), Action::Tell(News::Assigned(_))] => {
            assert_eq!(tasks, &[TaskId::new(0, 1), TaskId::new(0, 2)]);
            *token
        }
        other => panic!("{other:?}"),
    };
    assert!(bench.pass(Duration::from_millis(500)).is_empty(), "waits until they are closed");
    bench.member.closed(token);
    let news = bench.actions();
    assert!(matches!(&news[..], [Action::Tell(News::Preparing { .. })]), "{news:?}");
    let join = bench.ready(&news);
    assert_eq!(claims(&join).active, [TaskId::new(0, 0)]);
}

#[test]
fn still_claims_tasks_that_are_not_closed_when_another_round_begins() {
    let mut bench = Bench::joined(&[0, 1]);
    let news = bench.heartbeat_answered(Some(ResponseError::RebalanceInProgress));
    bench.ready(&news);
    bench.join(2, &[0]);
    let news = bench.heartbeat_answered(Some(ResponseError::RebalanceInProgress));
    assert!(bench.ready(&news).is_empty(), "closing comes first");
    let join = bench.pass(config().rebalance_timeout / 2);
    assert_eq!(claims(&join).active, [TaskId::new(0, 0), TaskId::new(0, 1)]);
}

#[test]
fn a_member_that_was_thrown_out_loses_everything_and_starts_anew() {
    for (code, keeps_id) in
        [(ResponseError::UnknownMemberId, false), (ResponseError::IllegalGeneration, true)]
    {
        let mut bench = Bench::joined(&[0, 1]);
        let news = bench.heartbeat_answered(Some(code));
        match &news[..] {
            [Action::Tell(News::Lost { tasks, .. }), Action::Tell(News::Preparing { .. })] => {
                assert_eq!(tasks, &[TaskId::new(0, 0), TaskId::new(0, 1)]);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(bench.member.commit_gate(), CommitGate::Closed);
        assert_eq!(bench.member.session_until(), None);
        assert_eq!(bench.member.losses(), 1);
        let join = bench.ready(&news);
        assert!(claims(&join).active.is_empty());
        assert_eq!(bench.member.member_id() == "me", keeps_id, "{code}");
    }
}

#[test]
fn a_lost_connection_costs_nothing_but_a_search() {
    let mut bench = Bench::joined(&[0]);
    let due = bench.pass(Duration::from_secs(1));
    assert!(matches!(&due[..], [Action::Send(GroupRequest::Heartbeat { .. })]));
    bench.member.on_disconnect(bench.now, disconnected());
    assert!(matches!(&bench.actions()[..], [Action::FindCoordinator]));
    assert_eq!(bench.member.commit_gate(), CommitGate::Hold);
    bench.member.on_coordinator(bench.now, Err(disconnected()));
    assert!(matches!(&bench.actions()[..], [Action::Tell(News::Unavailable { .. })]));
    assert!(matches!(&bench.pass(RETRY_MAX)[..], [Action::FindCoordinator]));
    bench.member.on_coordinator(bench.now, Err(disconnected()));
    assert!(bench.actions().is_empty(), "an outage is told once");
    assert!(matches!(&bench.pass(RETRY_MAX)[..], [Action::FindCoordinator]));
    bench.member.on_coordinator(bench.now, Ok(()));
    assert!(matches!(&bench.actions()[..], [Action::Send(GroupRequest::Heartbeat { .. })]), "at once");
    bench.member.on_heartbeat(bench.now, None);
    assert!(matches!(&bench.actions()[..], [Action::Tell(News::Available { .. })]));
    assert_eq!(bench.member.losses(), 0);
}

#[test]
fn the_session_counts_from_when_the_heartbeat_was_sent() {
    let mut bench = Bench::joined(&[0]);
    let due = bench.pass(Duration::from_secs(1));
    assert!(matches!(&due[..], [Action::Send(GroupRequest::Heartbeat { .. })]));
    let sent = bench.now;
    // The process stood still for longer than the session; the answer lay in the socket.
    bench.now += Duration::from_secs(30);
    bench.member.on_heartbeat(bench.now, None);
    assert_eq!(bench.member.session_until(), Some(sent + config().session_timeout));
    assert!(bench.member.session_until() < Some(bench.now));
}

#[test]
fn a_fenced_instance_ends() {
    let mut bench = Bench::joined(&[0]);
    let news = bench.heartbeat_answered(Some(ResponseError::FencedInstanceId));
    assert!(matches!(&news[..], [Action::Tell(News::Failed(MembershipError::Fenced { .. }))]), "{news:?}");
    assert!(bench.member.has_ended());
    assert!(bench.pass(Duration::from_secs(60)).is_empty());
}

#[test]
fn a_group_of_another_kind_is_told_with_the_remedy() {
    let mut bench = Bench::new(config());
    let begin = bench.actions();
    bench.ready(&begin);
    bench.member.on_coordinator(bench.now, Ok(()));
    bench.actions();
    let code = Some(ResponseError::InconsistentGroupProtocol);
    bench.member.on_join(bench.now, JoinAnswer { code, ..JoinAnswer::default() });
    match &bench.actions()[..] {
        [Action::Tell(News::Failed(error))] => {
            let text = error.to_string();
            assert!(text.contains("rides-app") && text.contains("choose another id"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_progress_it_leaves_and_comes_back_with_progress() {
    let mut bench = Bench::joined(&[0]);
    bench.progress = Some(bench.now);
    bench.now += config().max_poll_interval - Duration::from_secs(1);
    assert!(matches!(&bench.actions()[..], [Action::Send(GroupRequest::Heartbeat { .. })]));
    bench.member.on_heartbeat(bench.now, None);
    let left = bench.pass(Duration::from_secs(1));
    match &left[..] {
        [Action::Send(GroupRequest::Leave { .. }), Action::Tell(News::Lost { tasks, cause })] => {
            assert_eq!(tasks, &[TaskId::new(0, 0)]);
            assert!(matches!(cause, LostCause::NoProgress { .. }));
        }
        other => panic!("{other:?}"),
    }
    assert!(bench.pass(Duration::from_secs(60)).is_empty(), "no heartbeat, no join");
    bench.progress = Some(bench.now);
    let back = bench.actions();
    assert!(matches!(&back[..], [Action::Tell(News::Preparing { .. }), Action::FindCoordinator]), "{back:?}");
}

#[test]
fn a_leader_whose_plan_failed_plans_again() {
    let mut bench = Bench::joined(&[0]);
    let news = bench.heartbeat_answered(Some(ResponseError::RebalanceInProgress));
    bench.ready(&news);
    let answer =
        JoinAnswer { generation: 2, member_id: "me".into(), leader: "me".into(), ..JoinAnswer::default() };
    bench.member.on_join(bench.now, answer);
    assert!(matches!(&bench.actions()[..], [Action::Plan { generation: 2, .. }]));
    let due = bench.pass(Duration::from_secs(1));
    assert!(matches!(&due[..], [Action::Send(GroupRequest::Heartbeat { .. })]), "shows life while it plans");
    bench.member.on_heartbeat(bench.now, None);
    let fault = AssignmentFault { kind: FaultKind::MissingSourceTopic, message: "no topic rides".to_owned() };
    let bytes = Assigned::faulty(fault.clone()).encode();
    bench.member.on_plan(bench.now, 2, vec![("me".to_owned(), bytes.clone())], true);
    assert!(matches!(&bench.actions()[..], [Action::Send(GroupRequest::Sync { .. })]));
    bench.member.on_sync(bench.now, SyncAnswer { code: None, assignment: bytes });
    match &bench.actions()[..] {
        [Action::Tell(News::AssignmentFailed(told))] => assert_eq!(told, &fault),
        other => panic!("{other:?}"),
    }
    let again = bench.pass(PLAN_RETRY_FIRST);
    let again: Vec<&Action> = again.iter().filter(|action| !matches!(action, Action::Send(_))).collect();
    assert!(matches!(&again[..], [Action::Tell(News::Preparing { .. })]), "{again:?}");
}

#[test]
fn a_wished_round_changes_the_subscription() {
    let mut bench = Bench::joined(&[0]);
    bench.member.request_rejoin("a warm-up has caught up".to_owned());
    let news = bench.actions();
    assert!(matches!(&news[..], [Action::Tell(News::Preparing { .. })]));
    let join = bench.ready(&news);
    assert_eq!(claims(&join).counter, 1);
}

#[test]
fn static_members_stay_when_they_stop() {
    let mut config = config();
    config.instance_id = Some("box-1".to_owned());
    let mut bench = Bench::new(config);
    let begin = bench.actions();
    bench.ready(&begin);
    bench.member.on_coordinator(bench.now, Ok(()));
    bench.actions();
    bench.join(1, &[0]);
    assert_eq!(bench.member.leave(false), None);
    let mut bench = Bench::joined(&[0]);
    assert!(matches!(bench.member.leave(false), Some(GroupRequest::Leave { .. })));
    assert!(bench.actions().is_empty());
}

#[test]
fn answers_out_of_place_change_nothing() {
    let mut bench = Bench::joined(&[0]);
    bench.member.on_join(bench.now, JoinAnswer { generation: 9, ..JoinAnswer::default() });
    bench.member.on_sync(bench.now, SyncAnswer { code: None, assignment: Bytes::new() });
    bench.member.on_plan(bench.now, 1, Vec::new(), false);
    bench.member.ready(99, None);
    assert!(bench.actions().is_empty());
    assert_eq!((bench.member.generation(), bench.member.losses()), (1, 0));
}
