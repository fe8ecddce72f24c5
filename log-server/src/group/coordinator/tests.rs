use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::group::classic::Committer;
use crate::group::member::Protocol;
use crate::group::offsets::{CommittedOffset, PartitionOffset};
use crate::group::records::{self, Key};
use crate::journal::{Append, Content, EndMarker, JournalRecord, ProducerIdentity};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A coordinator with its log: what was appended, and what of it has been confirmed.
struct Bench {
    coordinator: GroupCoordinator,
    now: Moment,
    tickets: Ticket,
    log: Vec<Append>,
    unconfirmed: Vec<Append>,
    answered: BTreeMap<Ticket, Result<(), ResponseError>>,
}

impl Bench {
    fn new() -> Self {
        let now = Moment { ticks: Duration::ZERO, wall_ms: 1_700_000_000_000 };
        let config = GroupConfig { initial_rebalance_delay: Duration::ZERO, ..GroupConfig::default() };
        Self {
            coordinator: GroupCoordinator::new(config, now),
            now,
            tickets: 0,
            log: Vec::new(),
            unconfirmed: Vec::new(),
            answered: BTreeMap::new(),
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.tickets
    }

    fn take(&mut self, effects: Effects) {
        self.unconfirmed.extend(effects.appends);
        self.answered.extend(effects.writes);
    }

    /// Ends all appends under way, in order.
    fn confirm(&mut self, outcome: Result<(), ResponseError>) {
        for append in std::mem::take(&mut self.unconfirmed) {
            if let Some(id) = append.then {
                let effects = self.coordinator.appended(id, outcome, self.now);
                self.take(effects);
            }
            if outcome.is_ok() {
                self.log.push(append);
            }
        }
    }

    fn commit(&mut self, producer: Option<i64>, partition: i32, offset: i64) -> Ticket {
        let ticket = self.ticket();
        let committed = CommittedOffset {
            offset,
            leader_epoch: 3,
            metadata: "note".to_owned(),
            commit_ms: self.now.wall_ms,
        };
        let request = CommitRequest {
            committer: Committer { generation: -1, ..Committer::default() },
            producer: producer.map(|id| ProducerIdentity { id, epoch: 0 }),
            offsets: vec![PartitionOffset { topic: "t".to_owned(), partition, committed }],
        };
        let effects = self.coordinator.commit("g", request, ticket, self.now);
        self.take(effects);
        ticket
    }

    fn end_transaction(&mut self, id: i64, is_commit: bool) {
        let ticket = self.ticket();
        let producer = ProducerIdentity { id, epoch: 0 };
        let effects =
            self.coordinator.write_marker(0, producer, EndMarker { is_commit, decided_ms: 0 }, ticket);
        self.take(effects);
    }

    fn offset(&self, partition: i32, require_stable: bool) -> Result<Option<i64>, ResponseError> {
        let asked_for = Some(vec![("t".to_owned(), partition)]);
        let fetched = self.coordinator.fetch_offsets("g", asked_for, require_stable).remove(0);
        fetched.committed.map(|committed| committed.map(|committed| committed.offset))
    }

    fn pass(&mut self, time: Duration) {
        self.now.ticks += time;
        self.now.wall_ms += i64::try_from(time.as_millis()).unwrap();
        let effects = self.coordinator.on_timeout(self.now);
        self.take(effects);
    }

    /// A coordinator that knows only the log.
    fn restarted(&self) -> GroupCoordinator {
        let mut coordinator = GroupCoordinator::new(self.coordinator.config().clone(), self.now);
        for append in &self.log {
            let producer = append.producer.map(|producer| producer.id);
            match &append.content {
                Content::Marker(end) => coordinator.restore_marker(producer.unwrap(), end.is_commit),
                Content::Records(records) => {
                    for (key, value) in records {
                        coordinator.restore_record(producer, key, value.as_deref(), self.now).unwrap();
                    }
                }
            }
        }
        coordinator.restored();
        coordinator
    }

    /// One member that joins, syncs and so makes the group stable.
    fn join(&mut self) -> String {
        let ticket = self.ticket();
        let mut metadata = vec![0, 0];
        metadata.extend_from_slice(b"\0\0\0\x01\0\x01t\xff\xff\xff\xff");
        let request = JoinRequest {
            member_id: String::new(),
            instance_id: None,
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(10),
            protocol_type: "consumer".to_owned(),
            protocols: vec![Protocol { name: "range".to_owned(), metadata: Bytes::from(metadata) }],
            fresh_id: Uuid::from_u128(1),
            needs_known_id: false,
            can_skip_assignment: true,
        };
        let mut effects = self.coordinator.join("g", request, ticket, self.now);
        let (_, reply) = effects.joins.remove(0);
        self.take(effects);
        let sync = SyncRequest {
            generation: reply.generation,
            member_id: reply.member_id.clone(),
            instance_id: None,
            protocol_type: None,
            protocol: None,
            assignments: Vec::new(),
        };
        let effects = self.coordinator.sync("g", sync, ticket, self.now);
        self.take(effects);
        reply.member_id
    }

    fn leave(&mut self, member_id: String) {
        let leaving = [LeavingMember { member_id, instance_id: None }];
        let (outcomes, effects) = self.coordinator.leave("g", &leaving, self.now).unwrap();
        assert_eq!(outcomes, [Ok(())]);
        self.take(effects);
    }
}

#[test]
fn commit_holds_once_the_log_has_it() {
    let mut bench = Bench::new();
    let ticket = bench.commit(None, 0, 5);
    assert_eq!((bench.offset(0, false), bench.answered.get(&ticket)), (Ok(None), None));
    bench.confirm(Ok(()));
    assert_eq!((bench.offset(0, false), bench.answered.get(&ticket)), (Ok(Some(5)), Some(&Ok(()))));
    let all = bench.coordinator.fetch_offsets("g", None, false);
    let committed = all[0].committed.clone().unwrap().unwrap();
    assert_eq!((committed.metadata.as_str(), committed.leader_epoch), ("note", 3));
}

#[test]
fn commit_that_the_log_refuses_does_not_hold() {
    let mut bench = Bench::new();
    let ticket = bench.commit(None, 0, 5);
    bench.confirm(Err(ResponseError::CoordinatorNotAvailable));
    assert_eq!(bench.offset(0, false), Ok(None));
    assert_eq!(bench.answered[&ticket], Err(ResponseError::CoordinatorNotAvailable));
    assert_eq!(bench.coordinator.group_count(), 0, "a group that came to nothing is forgotten");
}

#[test]
fn transactional_commit_is_unstable_from_the_request_to_the_marker() {
    let mut bench = Bench::new();
    bench.commit(None, 0, 5);
    bench.confirm(Ok(()));
    bench.commit(Some(7), 0, 9);
    assert_eq!(bench.offset(0, true), Err(ResponseError::UnstableOffsetCommit));
    assert_eq!(bench.offset(0, false), Ok(Some(5)));
    bench.confirm(Ok(()));
    assert_eq!(bench.offset(0, true), Err(ResponseError::UnstableOffsetCommit));
    bench.end_transaction(7, true);
    bench.confirm(Ok(()));
    assert_eq!(bench.offset(0, true), Ok(Some(9)));
}

#[test]
fn group_with_members_cannot_be_deleted_nor_what_they_read() {
    let mut bench = Bench::new();
    bench.commit(None, 0, 5);
    bench.confirm(Ok(()));
    let member = bench.join();
    bench.confirm(Ok(()));
    let effects = bench.coordinator.delete_group("g", 90);
    bench.take(effects);
    assert_eq!(bench.answered[&90], Err(ResponseError::NonEmptyGroup));
    let named = vec![("t".to_owned(), 0), ("other".to_owned(), 0)];
    let (refusals, effects) = bench.coordinator.delete_offsets("g", named.clone(), 91).unwrap();
    bench.take(effects);
    assert_eq!(refusals, [Some(ResponseError::GroupSubscribedToTopic), None]);
    bench.leave(member);
    let (refusals, effects) = bench.coordinator.delete_offsets("g", named, 92).unwrap();
    bench.take(effects);
    bench.confirm(Ok(()));
    assert_eq!((refusals, bench.offset(0, false)), (vec![None, None], Ok(None)));
    let effects = bench.coordinator.delete_group("g", 93);
    bench.take(effects);
    bench.confirm(Ok(()));
    assert_eq!((bench.answered[&93], bench.coordinator.group_count()), (Ok(()), 0));
    assert_eq!(bench.restarted().group_count(), 0);
}

#[test]
fn offsets_of_an_empty_group_expire_after_a_week_without_members() {
    let mut bench = Bench::new();
    bench.commit(None, 0, 5);
    bench.confirm(Ok(()));
    let member = bench.join();
    bench.confirm(Ok(()));
    for _ in 0..10 {
        bench.now.ticks += DAY;
        bench.now.wall_ms += 86_400_000;
        let request = HeartbeatRequest { generation: 1, member_id: member.clone(), instance_id: None };
        assert_eq!(bench.coordinator.heartbeat("g", &request, bench.now), Ok(()));
        bench.pass(Duration::ZERO);
        bench.confirm(Ok(()));
    }
    assert_eq!(bench.offset(0, false), Ok(Some(5)), "the group reads the topic");
    bench.leave(member);
    bench.confirm(Ok(()));
    bench.pass(6 * DAY);
    bench.confirm(Ok(()));
    assert_eq!(bench.offset(0, false), Ok(Some(5)));
    bench.pass(DAY + Duration::from_secs(1));
    bench.confirm(Ok(()));
    assert_eq!((bench.offset(0, false), bench.coordinator.group_count()), (Ok(None), 0));
    assert_eq!(bench.restarted().group_count(), 0);
}

#[test]
fn limit_of_groups_is_enforced() {
    let mut bench = Bench::new();
    let config = GroupConfig { max_groups: 0, ..bench.coordinator.config().clone() };
    bench.coordinator = GroupCoordinator::new(config, bench.now);
    let ticket = bench.commit(None, 0, 5);
    assert_eq!(bench.answered[&ticket], Err(ResponseError::PolicyViolation));
}

#[test]
fn keys_of_written_records_can_be_read() {
    let mut bench = Bench::new();
    bench.join();
    bench.commit(Some(1), 2, 3);
    bench.confirm(Ok(()));
    let records = |append: &Append| match &append.content {
        Content::Records(records) => records.clone(),
        Content::Marker(_) => Vec::new(),
    };
    let key = |(key, _): JournalRecord| records::read_key(&key).unwrap();
    let kinds: Vec<Key> = bench.log.iter().flat_map(records).map(key).collect();
    let offset = Key::Offset { group: "g".to_owned(), topic: "t".to_owned(), partition: 2 };
    assert_eq!(kinds, [Key::Group { group: "g".to_owned() }, offset]);
}

#[derive(Debug, Clone)]
enum Action {
    Commit { producer: Option<i64>, partition: i32 },
    Delete { partition: i32 },
    DeleteGroup,
    EndTransaction { producer: i64, is_commit: bool },
    Confirm { fails: bool },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        5 => (proptest::option::of(0..2_i64), 0..3_i32)
            .prop_map(|(producer, partition)| Action::Commit { producer, partition }),
        1 => (0..3_i32).prop_map(|partition| Action::Delete { partition }),
        1 => Just(Action::DeleteGroup),
        1 => (0..2_i64, any::<bool>())
            .prop_map(|(producer, is_commit)| Action::EndTransaction { producer, is_commit }),
        4 => any::<bool>().prop_map(|fails| Action::Confirm { fails }),
    ]
}

proptest! {
    #[test]
    fn memory_is_what_a_restart_would_find(actions in proptest::collection::vec(action(), 1..60)) {
        let mut bench = Bench::new();
        for (step, action) in actions.into_iter().enumerate() {
            let offset = i64::try_from(step).unwrap();
            match action {
                Action::Commit { producer, partition } => {
                    bench.commit(producer, partition, offset);
                }
                Action::Delete { partition } => {
                    let ticket = bench.ticket();
                    let named = vec![("t".to_owned(), partition)];
                    match bench.coordinator.delete_offsets("g", named, ticket) {
                        Ok((_, effects)) => bench.take(effects),
                        Err(error) => {
                            bench.answered.insert(ticket, Err(error));
                        }
                    }
                }
                Action::DeleteGroup => {
                    let ticket = bench.ticket();
                    let effects = bench.coordinator.delete_group("g", ticket);
                    bench.take(effects);
                }
                Action::EndTransaction { producer, is_commit } => {
                    bench.end_transaction(producer, is_commit);
                }
                Action::Confirm { fails } => {
                    let failure = Err(ResponseError::CoordinatorNotAvailable);
                    bench.confirm(if fails { failure } else { Ok(()) });
                }
            }
        }
        bench.confirm(Ok(()));
        prop_assert_eq!(bench.answered.len(), usize::try_from(bench.tickets).unwrap(), "each request is answered");
        let restarted = bench.restarted();
        let all = |coordinator: &GroupCoordinator| coordinator.fetch_offsets("g", None, false);
        prop_assert_eq!(all(&restarted), all(&bench.coordinator));
    }
}
