mod random_orders;

use bytes::Bytes;
use uuid::Uuid;

use super::*;
use crate::group::effects::{JoinReply, Ticket};
use crate::group::member::Protocol;

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(30);

/// A group with a clock and a counter for tickets.
struct Bench {
    group: ClassicGroup,
    now: Moment,
    tickets: Ticket,
    out: Effects,
}

impl Bench {
    fn new(initial_delay_ms: u64) -> Self {
        let config = GroupConfig {
            initial_rebalance_delay: Duration::from_millis(initial_delay_ms),
            max_group_size: 8,
            ..GroupConfig::default()
        };
        let now = Moment { ticks: Duration::ZERO, wall_ms: 1_000_000 };
        let group = ClassicGroup::new("g", Arc::new(config), now);
        Self { group, now, tickets: 0, out: Effects::default() }
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.tickets
    }

    fn pass(&mut self, time: Duration) {
        self.now.ticks += time;
        self.now.wall_ms += i64::try_from(time.as_millis()).unwrap();
        self.group.on_timeout(self.now, &mut self.out);
    }

    fn join(&mut self, request: JoinRequest) -> Ticket {
        let ticket = self.ticket();
        self.group.join(request, ticket, self.now, &mut self.out);
        ticket
    }

    fn sync(&mut self, id: &str, generation: i32, assignments: &[(&str, &str)]) -> Ticket {
        let ticket = self.ticket();
        let assignments = assignments
            .iter()
            .map(|(id, a)| ((*id).to_owned(), Bytes::copy_from_slice(a.as_bytes())))
            .collect();
        let request = SyncRequest {
            generation,
            member_id: id.to_owned(),
            instance_id: None,
            protocol_type: None,
            protocol: None,
            assignments,
        };
        self.group.sync(request, ticket, self.now, &mut self.out);
        ticket
    }

    fn heartbeat(&mut self, id: &str, generation: i32) -> Result<(), ResponseError> {
        let request = HeartbeatRequest { generation, member_id: id.to_owned(), instance_id: None };
        self.group.heartbeat(&request, self.now)
    }

    fn leave(&mut self, id: &str) -> Result<(), ResponseError> {
        let leaving = [LeavingMember { member_id: id.to_owned(), instance_id: None }];
        self.group.leave(&leaving, self.now, &mut self.out).remove(0)
    }

    fn commit(&self, id: &str, generation: i32) -> Result<(), ResponseError> {
        self.group.check_commit(&Committer { generation, member_id: id.to_owned(), instance_id: None })
    }

    fn joined(&mut self, ticket: Ticket) -> Option<JoinReply> {
        let at = self.out.joins.iter().position(|(answered, _)| *answered == ticket)?;
        Some(self.out.joins.remove(at).1)
    }

    fn synced(&mut self, ticket: Ticket) -> Option<SyncReply> {
        let at = self.out.syncs.iter().position(|(answered, _)| *answered == ticket)?;
        Some(self.out.syncs.remove(at).1)
    }

    /// A stable group of dynamic members: the first leads.
    fn stable(&mut self, names: &[&str]) -> Vec<String> {
        let tickets: Vec<_> = names.iter().map(|name| self.join(request(name, "m"))).collect();
        // The later joins earn another delay.
        self.pass(self.group.config.initial_rebalance_delay);
        self.pass(self.group.config.initial_rebalance_delay);
        let ids: Vec<String> = self.group.members().map(|member| member.id.clone()).collect();
        for ticket in tickets {
            self.joined(ticket);
        }
        let leader = self.group.leader().unwrap().to_owned();
        let generation = self.group.generation();
        let assignments: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), id.as_str())).collect();
        for id in ids.iter().filter(|id| **id != leader) {
            self.sync(id, generation, &[]);
        }
        self.sync(&leader, generation, &assignments);
        assert_eq!(self.group.state(), GroupState::Stable);
        self.out = Effects::default();
        let followers = ids.into_iter().filter(|id| *id != leader);
        std::iter::once(leader.clone()).chain(followers.collect::<Vec<_>>()).collect()
    }
}

fn request(client: &str, metadata: &str) -> JoinRequest {
    JoinRequest {
        member_id: String::new(),
        instance_id: None,
        client_id: client.to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        protocol_type: "consumer".to_owned(),
        protocols: vec![Protocol {
            name: "range".to_owned(),
            metadata: Bytes::copy_from_slice(metadata.as_bytes()),
        }],
        fresh_id: Uuid::from_u128(u128::from(client.as_bytes()[0])),
        needs_known_id: false,
        can_skip_assignment: true,
    }
}

fn known(id: &str, metadata: &str) -> JoinRequest {
    JoinRequest { member_id: id.to_owned(), ..request(id, metadata) }
}

fn named(instance: &str, restart: u128) -> JoinRequest {
    JoinRequest {
        instance_id: Some(instance.to_owned()),
        fresh_id: Uuid::from_u128(restart),
        ..request(instance, "m")
    }
}

#[test]
fn first_join_is_told_its_id_and_joins_with_it() {
    let mut bench = Bench::new(0);
    let ticket = bench.join(JoinRequest { needs_known_id: true, ..request("a", "m") });
    let refused = bench.joined(ticket).unwrap();
    assert_eq!(refused.error, Some(ResponseError::MemberIdRequired));
    assert!(refused.member_id.starts_with("a-"));
    let ticket = bench.join(known(&refused.member_id, "m"));
    let joined = bench.joined(ticket).unwrap();
    assert_eq!((joined.error, joined.generation, joined.members.len()), (None, 1, 1));
}

#[test]
fn id_that_is_never_used_is_given_up() {
    let mut bench = Bench::new(0);
    bench.join(JoinRequest { needs_known_id: true, ..request("a", "m") });
    assert!(!bench.group.is_vacant());
    bench.pass(SESSION);
    assert!(bench.group.is_vacant());
}

#[test]
fn initial_delay_gathers_members_and_is_extended_while_they_arrive() {
    let mut bench = Bench::new(100);
    let first = bench.join(request("a", "m"));
    bench.pass(Duration::from_millis(60));
    let second = bench.join(request("b", "m"));
    bench.pass(Duration::from_millis(40));
    assert_eq!(bench.joined(first), None, "the second join earned another delay");
    bench.pass(Duration::from_millis(100));
    assert_eq!(bench.joined(first).unwrap().generation, 1);
    assert_eq!(bench.joined(second).unwrap().generation, 1);
}

#[test]
fn leader_gets_all_metadata_and_followers_wait_for_its_sync() {
    let mut bench = Bench::new(10);
    let (a, b) = (bench.join(request("a", "ma")), bench.join(request("b", "mb")));
    bench.pass(Duration::from_millis(10));
    bench.pass(Duration::from_millis(10));
    let (a, b) = (bench.joined(a).unwrap(), bench.joined(b).unwrap());
    assert_eq!((a.members.len(), b.members.len()), (2, 0));
    assert_eq!((&a.leader, &b.leader), (&a.member_id, &a.member_id));
    let follower = bench.sync(&b.member_id, 1, &[]);
    assert_eq!(bench.synced(follower), None);
    let leader = bench.sync(&a.member_id, 1, &[(&b.member_id, "for b")]);
    assert_eq!(bench.synced(follower).unwrap().assignment, "for b");
    assert_eq!(bench.synced(leader).unwrap().assignment, "");
    assert_eq!(bench.out.appends.len(), 1, "the stable group is written once");
}

#[test]
fn follower_with_the_same_metadata_disturbs_nobody() {
    let mut bench = Bench::new(10);
    let ids = bench.stable(&["a", "b"]);
    let ticket = bench.join(known(&ids[1], "m"));
    assert_eq!(bench.joined(ticket).unwrap().generation, 1);
    assert_eq!(bench.group.state(), GroupState::Stable);
}

#[test]
fn leader_or_changed_metadata_forces_a_rebalance() {
    for (joiner, metadata) in [(0, "m"), (1, "other")] {
        let mut bench = Bench::new(10);
        let ids = bench.stable(&["a", "b"]);
        let ticket = bench.join(known(&ids[joiner], metadata));
        assert_eq!(bench.joined(ticket), None);
        let other = &ids[1 - joiner];
        assert_eq!(bench.heartbeat(other, 1), Err(ResponseError::RebalanceInProgress));
        let other = bench.join(known(other, "m"));
        assert_eq!(bench.joined(ticket).unwrap().generation, 2);
        assert_eq!(bench.joined(other).unwrap().generation, 2);
    }
}

#[test]
fn member_that_does_not_rejoin_in_time_is_dropped() {
    let mut bench = Bench::new(10);
    let ids = bench.stable(&["a", "b"]);
    let ticket = bench.join(known(&ids[0], "m"));
    for _ in 0..6 {
        bench.pass(REBALANCE / 6);
        let _ = bench.heartbeat(&ids[1], 1);
    }
    let joined = bench.joined(ticket).unwrap();
    assert_eq!((joined.generation, joined.members.len()), (2, 1));
    assert_eq!(bench.heartbeat(&ids[1], 1), Err(ResponseError::UnknownMemberId));
}

#[test]
fn silent_member_is_dropped_and_the_rest_rebalances() {
    let mut bench = Bench::new(10);
    let ids = bench.stable(&["a", "b"]);
    bench.pass(SESSION / 2);
    assert_eq!(bench.heartbeat(&ids[0], 1), Ok(()));
    bench.pass(SESSION / 2);
    assert_eq!(bench.group.members().len(), 1);
    assert_eq!(bench.heartbeat(&ids[0], 1), Err(ResponseError::RebalanceInProgress));
}

#[test]
fn follower_that_never_syncs_is_dropped() {
    let mut bench = Bench::new(10);
    let (a, b) = (bench.join(request("a", "m")), bench.join(request("b", "m")));
    bench.pass(Duration::from_millis(10));
    bench.pass(Duration::from_millis(10));
    let (a, b) = (bench.joined(a).unwrap(), bench.joined(b).unwrap());
    bench.sync(&a.member_id, 1, &[]);
    for _ in 0..6 {
        bench.pass(REBALANCE / 6);
        let _ = (bench.heartbeat(&a.member_id, 1), bench.heartbeat(&b.member_id, 1));
    }
    assert_eq!(bench.group.members().len(), 1);
    assert_eq!(bench.group.state(), GroupState::PreparingRebalance);
}

#[test]
fn commits_follow_the_generation_through_a_rebalance() {
    let mut bench = Bench::new(10);
    let ids = bench.stable(&["a", "b"]);
    assert_eq!(bench.commit("", -1), Err(ResponseError::UnknownMemberId), "the group has members");
    bench.join(known(&ids[0], "m"));
    assert_eq!(bench.commit(&ids[1], 1), Ok(()), "while members join the old generation still counts");
    bench.join(known(&ids[1], "m"));
    assert_eq!(bench.commit(&ids[1], 1), Err(ResponseError::IllegalGeneration));
    assert_eq!(bench.commit(&ids[1], 2), Err(ResponseError::RebalanceInProgress));
    bench.sync(&ids[0], 2, &[]);
    assert_eq!(bench.commit(&ids[1], 2), Ok(()));
    for id in &ids {
        assert_eq!(bench.leave(id), Ok(()));
    }
    assert_eq!(bench.group.state(), GroupState::Empty);
    assert_eq!(bench.commit("", -1), Ok(()), "nobody owns an empty group");
}

#[test]
fn returning_static_member_keeps_its_place_and_fences_its_former_self() {
    let mut bench = Bench::new(0);
    let ticket = bench.join(named("s", 1));
    let first = bench.joined(ticket).unwrap();
    bench.sync(&first.member_id, 1, &[(&first.member_id, "mine")]);
    let protocols = request("s", "claims nothing yet").protocols;
    let ticket = bench.join(JoinRequest { protocols, ..named("s", 2) });
    let second = bench.joined(ticket).unwrap();
    assert_ne!(first.member_id, second.member_id);
    assert_eq!((second.generation, second.skip_assignment, &second.leader), (1, true, &second.member_id));
    let synced = bench.sync(&second.member_id, 1, &[]);
    assert_eq!(bench.synced(synced).unwrap().assignment, "mine");
    let zombie =
        HeartbeatRequest { generation: 1, member_id: first.member_id, instance_id: Some("s".to_owned()) };
    assert_eq!(bench.group.heartbeat(&zombie, bench.now), Err(ResponseError::FencedInstanceId));
}

#[test]
fn older_client_that_returns_as_static_leader_is_not_told_that_it_leads() {
    let mut bench = Bench::new(0);
    let ticket = bench.join(named("s", 1));
    let first = bench.joined(ticket).unwrap();
    bench.sync(&first.member_id, 1, &[]);
    let ticket = bench.join(JoinRequest { can_skip_assignment: false, ..named("s", 2) });
    let second = bench.joined(ticket).unwrap();
    assert_eq!((second.leader, second.members.len(), second.skip_assignment), (first.member_id, 0, false));
}

#[test]
fn static_member_that_waits_is_fenced_when_its_name_is_taken_over() {
    let mut bench = Bench::new(100);
    let first = bench.join(named("s", 1));
    let second = bench.join(named("s", 2));
    assert_eq!(bench.joined(first).unwrap().error, Some(ResponseError::FencedInstanceId));
    bench.pass(Duration::from_millis(100));
    assert_eq!(bench.joined(second).unwrap().generation, 1);
}

#[test]
fn static_member_leaves_by_its_name() {
    let mut bench = Bench::new(0);
    bench.join(named("s", 1));
    let leaving = [
        LeavingMember { member_id: String::new(), instance_id: Some("s".to_owned()) },
        LeavingMember { member_id: String::new(), instance_id: Some("nobody".to_owned()) },
    ];
    let outcomes = bench.group.leave(&leaving, bench.now, &mut bench.out);
    assert_eq!(outcomes, [Ok(()), Err(ResponseError::UnknownMemberId)]);
    assert_eq!(bench.group.state(), GroupState::Empty);
}

#[test]
fn protocols_must_overlap_and_the_majority_chooses() {
    let protocols = |names: &[&str]| {
        names.iter().map(|n| Protocol { name: (*n).to_owned(), metadata: Bytes::new() }).collect::<Vec<_>>()
    };
    let mut bench = Bench::new(10);
    for (client, names) in [("a", &["x", "y"][..]), ("b", &["y", "x"]), ("c", &["z", "y", "x"])] {
        bench.join(JoinRequest { protocols: protocols(names), ..request(client, "") });
    }
    let stranger = bench.join(JoinRequest { protocols: protocols(&["w"]), ..request("d", "") });
    assert_eq!(bench.joined(stranger).unwrap().error, Some(ResponseError::InconsistentGroupProtocol));
    bench.pass(Duration::from_millis(10));
    bench.pass(Duration::from_millis(10));
    assert_eq!(bench.group.protocol(), Some("y"));
}

#[test]
fn limits_are_enforced() {
    let mut bench = Bench::new(1_000);
    for client in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        bench.join(request(client, "m"));
    }
    let ninth = bench.join(request("i", "m"));
    assert_eq!(bench.joined(ninth).unwrap().error, Some(ResponseError::GroupMaxSizeReached));
    let hasty = bench.join(JoinRequest { session_timeout: Duration::ZERO, ..request("j", "m") });
    assert_eq!(bench.joined(hasty).unwrap().error, Some(ResponseError::InvalidSessionTimeout));
    let huge = "m".repeat(bench.group.config.max_member_metadata_bytes);
    let wide = bench.join(request("k", &huge));
    assert_eq!(bench.joined(wide).unwrap().error, Some(ResponseError::InvalidRequest));
}

#[test]
fn group_survives_a_restart() {
    let mut bench = Bench::new(10);
    let ids = bench.stable(&["a", "b"]);
    let stored = records::read_group(&records::group_value(&bench.group)).unwrap();
    let config = Arc::clone(&bench.group.config);
    bench.group = ClassicGroup::restore("g", stored, config, bench.now);
    assert_eq!(bench.group.state(), GroupState::Stable);
    assert_eq!(bench.group.leader(), Some(ids[0].as_str()));
    for id in &ids {
        assert_eq!(bench.heartbeat(id, 1), Ok(()));
        let synced = bench.sync(id, 1, &[]);
        assert_eq!(bench.synced(synced).unwrap().assignment, id.as_str());
    }
    bench.pass(SESSION);
    assert_eq!(bench.group.members().len(), 0);
}
