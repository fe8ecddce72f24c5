//! Whole groups in simulated time: members crash, stand still, lose connections, leave and come back, from a seed.
//!
//! Checked at every step: no task is run by two members that the coordinator both knows. Checked in the end: every
//! task is run once, the load is even, and the group is at rest.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::assignor::AssignorOptions;
use crate::client::wire::WireError;
use crate::membership::config::MembershipConfig;
use crate::membership::leader::{GroupPlan, PlannedTask};
use crate::membership::planning;
use crate::topology::TaskId;

use super::coordinator_model::{Address, Answer, CoordinatorModel, REBALANCE_MS, SESSION_MS};
use super::{Action, GroupMember, GroupRequest, News};

const TASKS: u32 = 12;
/// Simulated time with faults, then without.
const STORM_MS: u64 = 60_000;
const CALM_MS: u64 = 90_000;
/// The group must be at rest for the last part of the calm.
const REST_MS: u64 = 20_000;

/// What happens at a time.
#[derive(Debug)]
enum Event {
    Request(Address, GroupRequest),
    Answer(Address, Answer),
    Connected(Address),
    Planned { to: Address, generation: i32, assignments: super::Assignments },
    Ready { node: usize, token: u64 },
    Closed { node: usize, token: u64, tasks: Vec<TaskId> },
    Fault,
    Tick,
}

/// An instance of the application.
struct Node {
    member: GroupMember,
    /// Number of its connection; what belongs to a former one is lost.
    connection: u64,
    running: BTreeSet<TaskId>,
    assigned: BTreeSet<TaskId>,
    /// Stands still until then.
    frozen_until: u64,
    /// Events that came meanwhile.
    missed: Vec<Event>,
}

struct World {
    random: Random,
    now: u64,
    epoch: Instant,
    queue: BinaryHeap<Scheduled>,
    scheduled: u64,
    coordinator: CoordinatorModel,
    nodes: BTreeMap<usize, Node>,
    next_node: usize,
    /// How often a task ended on a node.
    stops: u64,
}

#[test]
fn groups_survive_faults() {
    for seed in 0..150 {
        let _told = TellSeed(seed);
        let mut world = World::new(seed);
        (0..3).for_each(|_| world.start_node());
        for _ in 0..world.random.below(14) {
            let at = world.random.below(STORM_MS);
            world.schedule(at, Event::Fault);
        }
        world.run_until(STORM_MS);
        if world.nodes.is_empty() {
            world.start_node();
        }
        world.run_until(STORM_MS + CALM_MS - REST_MS);
        let generation = world.coordinator.generation;
        world.check_settled();
        world.run_until(STORM_MS + CALM_MS);
        assert_eq!(world.coordinator.generation, generation, "the group is not at rest");
        world.check_settled();
    }
}

#[test]
fn only_what_moves_stops() {
    for seed in 0..30 {
        let _told = TellSeed(seed);
        let mut world = World::new(seed);
        (0..2).for_each(|_| world.start_node());
        world.run_until(20_000);
        world.check_settled();
        let before = world.stops;
        world.start_node();
        world.run_until(40_000);
        world.check_settled();
        assert_eq!(
            world.stops - before,
            u64::from(TASKS) / 3,
            "a third moves to the newcomer, nothing else stops"
        );
    }
}

#[test]
fn a_newcomer_has_its_tasks_soon() {
    for seed in 0..30 {
        let _told = TellSeed(seed);
        let mut world = World::new(seed);
        (0..2).for_each(|_| world.start_node());
        world.run_until(20_000);
        world.start_node();
        let begin = world.now;
        while world.nodes[&2].running.len() < 4 {
            assert!(world.now < begin + 2_500, "a heartbeat to notice, then two quick rounds");
            world.run_until(world.now + 10);
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            random: Random(seed),
            now: 0,
            epoch: Instant::now(),
            queue: BinaryHeap::new(),
            scheduled: 0,
            coordinator: CoordinatorModel::new(),
            nodes: BTreeMap::new(),
            next_node: 0,
            stops: 0,
        };
        world.schedule(0, Event::Tick);
        world
    }

    fn start_node(&mut self) {
        let number = self.next_node;
        self.next_node += 1;
        let process_id = Uuid::from_u128(number as u128 + 1);
        let mut config = MembershipConfig::new("app", process_id, vec!["t".to_owned()]);
        config.session_timeout = Duration::from_millis(SESSION_MS);
        config.rebalance_timeout = Duration::from_millis(REBALANCE_MS);
        let node = Node {
            member: GroupMember::new(config, self.instant()),
            connection: 0,
            running: BTreeSet::new(),
            assigned: BTreeSet::new(),
            frozen_until: 0,
            missed: Vec::new(),
        };
        self.nodes.insert(number, node);
        self.poll(number);
    }

    fn run_until(&mut self, end: u64) {
        while self.queue.peek().is_some_and(|next| next.at <= end) {
            let Some(Scheduled { at, event, .. }) = self.queue.pop() else { break };
            self.now = at;
            self.happen(event);
            self.check_owners();
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        let node = match &event {
            Event::Answer((node, _), _)
            | Event::Connected((node, _))
            | Event::Planned { to: (node, _), .. } => *node,
            Event::Ready { node, .. } | Event::Closed { node, .. } => *node,
            Event::Request(from, request) => {
                let answers = self.coordinator.handle(self.now, *from, request.clone());
                return self.deliver(answers);
            }
            Event::Fault => return self.fault(),
            Event::Tick => return self.tick(),
        };
        let Some(target) = self.nodes.get_mut(&node) else { return };
        if self.now < target.frozen_until {
            target.missed.push(event);
            return;
        }
        self.reach(node, event);
        self.poll(node);
    }

    /// An event reaches its node.
    fn reach(&mut self, number: usize, event: Event) {
        let now = self.instant();
        let Some(node) = self.nodes.get_mut(&number) else { return };
        match event {
            Event::Answer((_, connection), answer) if connection == node.connection => match answer {
                Answer::Join(answer) => node.member.on_join(now, answer),
                Answer::Sync(answer) => node.member.on_sync(now, answer),
                Answer::Heartbeat(code) => node.member.on_heartbeat(now, code),
            },
            Event::Connected((_, connection)) if connection == node.connection => {
                node.member.on_coordinator(now, Ok(()));
            }
            Event::Planned { generation, assignments, .. } => {
                node.member.on_plan(now, generation, assignments, false);
            }
            Event::Ready { token, .. } => node.member.ready(token, None),
            Event::Closed { token, tasks, .. } => {
                for task in tasks {
                    self.stops += u64::from(node.running.remove(&task));
                    if node.assigned.contains(&task) {
                        node.running.insert(task);
                    }
                }
                node.member.closed(token);
            }
            _ => {}
        }
    }

    /// Lets a node act.
    fn poll(&mut self, number: usize) {
        let now = self.instant();
        while let Some(action) = self.nodes.get_mut(&number).and_then(|node| node.member.poll(now, None)) {
            let node = self.nodes.get_mut(&number).expect("polled just now");
            match action {
                Action::FindCoordinator => {
                    node.connection += 1;
                    let address = (number, node.connection);
                    let delay = self.random.below(30);
                    self.schedule(delay, Event::Connected(address));
                }
                Action::Send(request) => {
                    let address = (number, node.connection);
                    let delay = self.random.below(20);
                    self.schedule(delay, Event::Request(address, request));
                }
                Action::Plan { generation, members } => {
                    let to = (number, node.connection);
                    let assignments = planning::assignments(&plan(), &planning::read(members), &options());
                    let delay = self.random.below(100);
                    self.schedule(delay, Event::Planned { to, generation, assignments });
                }
                Action::Tell(news) => self.tell(number, news),
            }
        }
    }

    /// What the runtime does with the news.
    fn tell(&mut self, number: usize, news: News) {
        let delay = self.random.below(50);
        let Some(node) = self.nodes.get_mut(&number) else { return };
        match news {
            News::Preparing { token, .. } => self.schedule(delay, Event::Ready { node: number, token }),
            News::Revoke { token, tasks } => {
                self.schedule(delay, Event::Closed { node: number, token, tasks })
            }
            News::Assigned(assignment) => {
                node.assigned = assignment.active.iter().map(|task| task.id).collect();
                node.running.extend(assignment.added);
            }
            News::Lost { tasks, .. } => {
                for task in tasks {
                    self.stops += u64::from(node.running.remove(&task));
                }
                node.assigned.clear();
                assert!(node.running.is_empty(), "{:?} were not told to be lost", node.running);
            }
            News::Unavailable { .. } | News::Available { .. } => {}
            News::AssignmentFailed(fault) => panic!("{fault:?}"),
            News::Failed(error) => panic!("{error}"),
        }
    }

    fn deliver(&mut self, answers: Vec<(Address, Answer)>) {
        for (to, answer) in answers {
            let delay = self.random.below(20);
            self.schedule(delay, Event::Answer(to, answer));
        }
    }

    /// Every ten milliseconds: the coordinator's and the nodes' timers.
    fn tick(&mut self) {
        let answers = self.coordinator.tick(self.now);
        self.deliver(answers);
        for number in self.nodes.keys().copied().collect::<Vec<_>>() {
            let Some(node) = self.nodes.get_mut(&number) else { continue };
            if self.now < node.frozen_until {
                continue;
            }
            for event in std::mem::take(&mut node.missed) {
                self.reach(number, event);
            }
            self.poll(number);
        }
        self.schedule(10, Event::Tick);
    }

    fn fault(&mut self) {
        let numbers: Vec<usize> = self.nodes.keys().copied().collect();
        let pick = self.random.below(numbers.len().max(1) as u64);
        let Some(&number) = usize::try_from(pick).ok().and_then(|pick| numbers.get(pick)) else {
            return self.start_node();
        };
        let (kind, length) = (self.random.below(6), self.random.below(SESSION_MS * 2));
        match (kind, self.nodes.get_mut(&number)) {
            // Crash: nobody hears of it.
            (0, Some(_)) => drop(self.nodes.remove(&number)),
            // Clean leave.
            (1, Some(node)) => {
                let farewell = node.member.leave(false);
                self.nodes.remove(&number);
                if let Some(request) = farewell {
                    self.schedule(1, Event::Request((number, u64::MAX), request));
                }
            }
            // Stands still, perhaps for longer than its session.
            (2, Some(node)) => node.frozen_until = self.now + length,
            // The connection breaks; what is under way may or may not have arrived.
            (3, Some(node)) => {
                node.connection += 1;
                let error = WireError::Disconnected {
                    broker: "b:1".to_owned(),
                    api: "Heartbeat",
                    reason: "cut".to_owned(),
                };
                node.member.on_disconnect(self.epoch + Duration::from_millis(self.now), error);
                self.poll(number);
            }
            (4, Some(node)) => node.member.request_rejoin("chance".to_owned()),
            _ => self.start_node(),
        }
    }

    fn schedule(&mut self, delay: u64, event: Event) {
        self.scheduled += 1;
        // One node's messages stay in order: of two at the same time the one sent first comes first.
        self.queue.push(Scheduled { at: self.now + delay, order: self.scheduled, event });
    }

    fn instant(&self) -> Instant {
        self.epoch + Duration::from_millis(self.now)
    }

    /// No task is run by two members that both are in the group.
    fn check_owners(&self) {
        let mut owners: BTreeMap<TaskId, usize> = BTreeMap::new();
        for (number, node) in &self.nodes {
            if self.now < node.frozen_until || !self.coordinator.knows(node.member.member_id()) {
                continue;
            }
            for task in &node.running {
                if let Some(other) = owners.insert(*task, *number) {
                    panic!("at {} ms task {task} runs on nodes {other} and {number}", self.now);
                }
            }
        }
    }

    fn check_settled(&self) {
        let mut seen = BTreeSet::new();
        for (number, node) in &self.nodes {
            assert!(node.running.iter().all(|task| seen.insert(*task)), "a task runs twice");
            assert_eq!(node.running, node.assigned, "node {number}");
            let share = TASKS as usize / self.nodes.len();
            let has = node.running.len();
            assert!(
                (share..=share + 1).contains(&has),
                "node {number} has {has}, its share is {share} or one more"
            );
        }
        assert_eq!(seen.len(), TASKS as usize, "{seen:?}");
    }
}

fn plan() -> GroupPlan {
    let task = |partition| PlannedTask {
        id: TaskId::new(0, partition),
        partitions: Vec::new(),
        stateful: true,
        end_offset_sum: None,
    };
    GroupPlan { tasks: (0..TASKS).map(task).collect() }
}

fn options() -> AssignorOptions {
    AssignorOptions::default()
}

/// An event in the queue; the earliest is the greatest.
struct Scheduled {
    at: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}

/// Says which seed failed.
struct TellSeed(u64);

impl Drop for TellSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the failing seed is {}", self.0);
        }
    }
}
