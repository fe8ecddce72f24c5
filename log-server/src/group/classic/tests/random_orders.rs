//! Random orders of joins, syncs, heartbeats, leaves and time, against what must always hold.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// What a simulated client does next.
#[derive(Debug, Clone)]
enum Action {
    Join { client: usize, fresh: bool, metadata: u8 },
    Sync { client: usize },
    Heartbeat { client: usize },
    Leave { client: usize },
    Pass { ms: u64 },
}

fn action() -> impl Strategy<Value = Action> {
    let client = 0..5_usize;
    prop_oneof![
        4 => (client.clone(), any::<bool>(), 0..2_u8)
            .prop_map(|(client, fresh, metadata)| Action::Join { client, fresh, metadata }),
        4 => client.clone().prop_map(|client| Action::Sync { client }),
        2 => client.clone().prop_map(|client| Action::Heartbeat { client }),
        1 => client.prop_map(|client| Action::Leave { client }),
        2 => (0..20_000_u64).prop_map(|ms| Action::Pass { ms }),
    ]
}

/// What a client knows.
#[derive(Debug, Clone, Default)]
struct Client {
    id: String,
    generation: i32,
}

/// A group, its clients, and what was seen of them.
struct World {
    bench: Bench,
    clients: Vec<Client>,
    /// Who waits for which ticket.
    waiting: BTreeMap<Ticket, usize>,
    /// Leader and protocol that the members of each generation were told.
    told: BTreeMap<i32, (String, Option<String>)>,
    /// Members that were told that they lead, by generation.
    leaders: BTreeMap<i32, BTreeSet<String>>,
}

impl World {
    fn step(&mut self, action: Action) {
        let generation = self.bench.group.generation();
        match action {
            Action::Join { client, fresh, metadata } => {
                let id = if fresh { String::new() } else { self.clients[client].id.clone() };
                let ticket = self.bench.tickets + 1;
                self.waiting.insert(ticket, client);
                self.bench.join(JoinRequest {
                    member_id: id,
                    needs_known_id: client % 2 == 0,
                    fresh_id: Uuid::from_u128(u128::from(ticket)),
                    // The last client is a static member.
                    instance_id: (client == 4).then(|| "static".to_owned()),
                    ..request("c", &metadata.to_string())
                });
            }
            Action::Sync { client } => {
                let Client { id, generation } = self.clients[client].clone();
                self.waiting.insert(self.bench.tickets + 1, client);
                self.bench.sync(&id, generation, &[(&id, "mine")]);
            }
            Action::Heartbeat { client } => {
                let Client { id, generation } = self.clients[client].clone();
                let _ = self.bench.heartbeat(&id, generation);
            }
            Action::Leave { client } => {
                let id = self.clients[client].id.clone();
                let _ = self.bench.leave(&id);
            }
            Action::Pass { ms } => {
                self.bench.pass(Duration::from_millis(ms));
                let next = self.bench.group.next_deadline();
                assert!(next.is_none_or(|next| next > self.bench.now.ticks), "what was due has been done");
            }
        }
        assert!(self.bench.group.generation() >= generation, "generations only rise");
        self.hear();
        self.check();
    }

    /// Hands the answers to the clients.
    fn hear(&mut self) {
        for (ticket, reply) in std::mem::take(&mut self.bench.out.joins) {
            let client = self.waiting.remove(&ticket).expect("each ticket is answered once");
            if !reply.member_id.is_empty() {
                self.clients[client].id = reply.member_id.clone();
            }
            if reply.error.is_some() {
                continue;
            }
            self.clients[client].generation = reply.generation;
            if !reply.members.is_empty() {
                assert!(reply.members.iter().any(|member| member.id == reply.member_id));
                self.leaders.entry(reply.generation).or_default().insert(reply.member_id.clone());
            }
            let told = (reply.leader, reply.protocol);
            let first = self.told.entry(reply.generation).or_insert_with(|| told.clone());
            // A static leader that came back leads under a new id.
            assert!(
                *first == told || client == 4 || first.0.starts_with("static"),
                "one leader, one protocol"
            );
        }
        for (ticket, _) in std::mem::take(&mut self.bench.out.syncs) {
            self.waiting.remove(&ticket).expect("each ticket is answered once");
        }
        for leaders in self.leaders.values() {
            let dynamic = leaders.iter().filter(|id| !id.starts_with("static")).count();
            assert!(dynamic <= 1, "one leader a generation");
        }
    }

    fn check(&self) {
        let group = &self.bench.group;
        let waits = |member: &Member| member.awaiting_join.into_iter().chain(member.awaiting_sync);
        let held: BTreeSet<Ticket> = group.members().flat_map(waits).collect();
        let owed: BTreeSet<Ticket> = self.waiting.keys().copied().collect();
        assert_eq!(held, owed, "every request that was not answered waits with a member");
        match group.state() {
            GroupState::Empty => assert_eq!(group.members().len(), 0),
            GroupState::PreparingRebalance => {
                assert!(group.join_deadline.is_some(), "the join phase ends some time");
                assert!(group.members().all(|member| member.awaiting_sync.is_none()));
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                let leader = group.leader().expect("somebody leads");
                assert!(group.members().any(|member| member.id == leader), "the leader is a member");
                assert!(group.members().all(|member| member.awaiting_join.is_none()));
            }
        }
        if group.state() == GroupState::Stable {
            assert!(group.members().all(|member| member.awaiting_sync.is_none()));
        }
        for member in group.members() {
            let watched = member.deadline.is_some() || member.is_waiting();
            assert!(watched, "member {} can neither expire nor be answered", member.id);
        }
    }
}

proptest! {
    #[test]
    fn every_order_of_events_keeps_the_group_whole(
        delay_ms in prop_oneof![Just(0_u64), Just(50)],
        actions in proptest::collection::vec(action(), 1..120),
    ) {
        let mut world = World {
            bench: Bench::new(delay_ms),
            clients: vec![Client::default(); 5],
            waiting: BTreeMap::new(),
            told: BTreeMap::new(),
            leaders: BTreeMap::new(),
        };
        for action in actions {
            world.step(action);
        }
        // Left alone, every request is answered, every session ends, and the group is empty.
        for _ in 0..200 {
            let Some(next) = world.bench.group.next_deadline() else { break };
            let wait = next.saturating_sub(world.bench.now.ticks);
            world.step(Action::Pass { ms: u64::try_from(wait.as_millis()).unwrap() + 1 });
        }
        prop_assert!(world.waiting.is_empty(), "left waiting: {:?}", world.waiting);
        prop_assert!(world.bench.group.is_vacant());
    }
}
