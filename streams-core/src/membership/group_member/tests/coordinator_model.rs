//! A model of Kafka's group coordinator: the classic protocol as `GroupCoordinator` keeps it, without disks or sockets.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::{GroupRequest, JoinAnswer, Joined, SyncAnswer};

pub(super) const SESSION_MS: u64 = 10_000;
pub(super) const REBALANCE_MS: u64 = 20_000;

/// Where an answer goes: a node's number and that of its connection.
pub(super) type Address = (usize, u64);

#[derive(Debug, Clone)]
pub(super) enum Answer {
    Join(JoinAnswer),
    Sync(SyncAnswer),
    Heartbeat(Option<ResponseError>),
}

#[derive(Debug, PartialEq)]
enum State {
    Empty,
    Preparing { deadline: u64 },
    Completing,
    Stable,
}

#[derive(Debug, Default)]
struct Member {
    metadata: Bytes,
    session_until: u64,
    joining: Option<Address>,
    syncing: Option<Address>,
    assignment: Bytes,
}

#[derive(Debug)]
pub(super) struct CoordinatorModel {
    state: State,
    pub(super) generation: i32,
    leader: String,
    members: BTreeMap<String, Member>,
    /// Ids given out to members that have not joined with them yet.
    pending: Vec<String>,
    next_id: u64,
    answers: Vec<(Address, Answer)>,
}

impl CoordinatorModel {
    pub(super) fn new() -> Self {
        Self {
            state: State::Empty,
            generation: 0,
            leader: String::new(),
            members: BTreeMap::new(),
            pending: Vec::new(),
            next_id: 0,
            answers: Vec::new(),
        }
    }

    pub(super) fn knows(&self, member_id: &str) -> bool {
        self.members.contains_key(member_id)
    }

    /// Handles one request; returns the answers that can be given now, to this request or to others.
    pub(super) fn handle(
        &mut self,
        now: u64,
        from: Address,
        request: GroupRequest,
    ) -> Vec<(Address, Answer)> {
        match request {
            GroupRequest::Join { member_id, metadata, .. } => self.join(now, from, member_id, metadata),
            GroupRequest::Sync { generation, member_id, assignments } => {
                self.sync(now, from, generation, &member_id, assignments);
            }
            GroupRequest::Heartbeat { generation, member_id } => {
                let code = self.heartbeat(now, generation, &member_id);
                self.answers.push((from, Answer::Heartbeat(code)));
            }
            GroupRequest::Leave { member_id, .. } => {
                self.pending.retain(|id| *id != member_id);
                if self.members.remove(&member_id).is_some() {
                    self.prepare(now);
                }
            }
        }
        self.tick(now)
    }

    /// Time passes: sessions and the wait for members end.
    pub(super) fn tick(&mut self, now: u64) -> Vec<(Address, Answer)> {
        let before = self.members.len();
        self.members.retain(|_, member| member.joining.is_some() || member.session_until > now);
        if self.members.len() < before {
            self.prepare(now);
        }
        if let State::Preparing { deadline } = self.state {
            if now >= deadline {
                self.members.retain(|_, member| member.joining.is_some());
            }
            if self.members.is_empty() {
                self.state = State::Empty;
            } else if self.members.values().all(|member| member.joining.is_some()) {
                self.complete(now);
            }
        }
        std::mem::take(&mut self.answers)
    }

    fn join(&mut self, now: u64, from: Address, member_id: String, metadata: Bytes) {
        if member_id.is_empty() {
            self.next_id += 1;
            let id = format!("member-{:04}", self.next_id);
            self.pending.push(id.clone());
            return self.refuse_join(from, ResponseError::MemberIdRequired, id);
        }
        if let Some(position) = self.pending.iter().position(|id| *id == member_id) {
            self.pending.remove(position);
            self.members.insert(member_id.clone(), Member::default());
        } else if !self.knows(&member_id) {
            return self.refuse_join(from, ResponseError::UnknownMemberId, member_id);
        }
        let is_leader = self.leader == member_id;
        let Some(member) = self.members.get_mut(&member_id) else { return };
        let same = member.metadata == metadata;
        member.metadata = metadata;
        member.session_until = now + SESSION_MS;
        let unchanged = match self.state {
            State::Stable => same && !is_leader,
            State::Completing => same,
            _ => false,
        };
        if unchanged {
            let answer = self.join_answer(&member_id);
            self.answers.push((from, Answer::Join(answer)));
            return;
        }
        member.joining = Some(from);
        self.prepare(now);
    }

    fn sync(
        &mut self,
        now: u64,
        from: Address,
        generation: i32,
        member_id: &str,
        assignments: Vec<(String, Bytes)>,
    ) {
        let refusal = self.refusal(generation, member_id);
        let Some(member) = self.members.get_mut(member_id).filter(|_| refusal.is_none()) else {
            return self.answer_sync(from, refusal, Bytes::new());
        };
        member.session_until = now + SESSION_MS;
        match self.state {
            State::Stable => {
                let assignment = member.assignment.clone();
                self.answer_sync(from, None, assignment);
            }
            State::Completing => {
                member.syncing = Some(from);
                if self.leader == member_id {
                    self.distribute(now, assignments);
                }
            }
            _ => self.answer_sync(from, Some(ResponseError::RebalanceInProgress), Bytes::new()),
        }
    }

    fn distribute(&mut self, now: u64, assignments: Vec<(String, Bytes)>) {
        self.state = State::Stable;
        for (id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = assignment;
            }
        }
        for member in self.members.values_mut() {
            if let Some(address) = member.syncing.take() {
                member.session_until = now + SESSION_MS;
                let assignment = member.assignment.clone();
                self.answers.push((address, Answer::Sync(SyncAnswer { code: None, assignment })));
            }
        }
    }

    fn heartbeat(&mut self, now: u64, generation: i32, member_id: &str) -> Option<ResponseError> {
        if let Some(code) = self.refusal(generation, member_id) {
            return Some(code);
        }
        if let Some(member) = self.members.get_mut(member_id) {
            member.session_until = now + SESSION_MS;
        }
        matches!(self.state, State::Preparing { .. }).then_some(ResponseError::RebalanceInProgress)
    }

    fn refusal(&self, generation: i32, member_id: &str) -> Option<ResponseError> {
        if !self.knows(member_id) {
            return Some(ResponseError::UnknownMemberId);
        }
        (generation != self.generation).then_some(ResponseError::IllegalGeneration)
    }

    fn prepare(&mut self, now: u64) {
        if !matches!(self.state, State::Preparing { .. }) {
            self.state = State::Preparing { deadline: now + REBALANCE_MS };
        }
        let code = Some(ResponseError::RebalanceInProgress);
        for member in self.members.values_mut() {
            if let Some(address) = member.syncing.take() {
                self.answers.push((address, Answer::Sync(SyncAnswer { code, assignment: Bytes::new() })));
            }
        }
    }

    fn complete(&mut self, now: u64) {
        self.generation += 1;
        self.state = State::Completing;
        if !self.knows(&self.leader) {
            self.leader = self.members.keys().next().cloned().unwrap_or_default();
        }
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let answer = self.join_answer(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.session_until = now + SESSION_MS;
                member.assignment = Bytes::new();
                self.answers.extend(member.joining.take().map(|address| (address, Answer::Join(answer))));
            }
        }
    }

    fn join_answer(&self, member_id: &str) -> JoinAnswer {
        let joined = |(id, member): (&String, &Member)| Joined {
            member_id: id.clone(),
            instance_id: None,
            metadata: member.metadata.clone(),
        };
        let leads = self.leader == member_id;
        JoinAnswer {
            code: None,
            generation: self.generation,
            member_id: member_id.to_owned(),
            leader: self.leader.clone(),
            skip_assignment: false,
            members: if leads { self.members.iter().map(joined).collect() } else { Vec::new() },
        }
    }

    fn refuse_join(&mut self, to: Address, code: ResponseError, member_id: String) {
        let answer = JoinAnswer { code: Some(code), member_id, ..JoinAnswer::default() };
        self.answers.push((to, Answer::Join(answer)));
    }

    fn answer_sync(&mut self, to: Address, code: Option<ResponseError>, assignment: Bytes) {
        self.answers.push((to, Answer::Sync(SyncAnswer { code, assignment })));
    }
}
