//! Settings of a member.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use crate::assignor::AssignorOptions;

/// Who we are in the group and how patient to be. Kafka's names and defaults unless said otherwise.
#[derive(Debug, Clone)]
pub struct MembershipConfig {
    /// `application.id`, which is the group's id. Member ids begin with `client.id`, which the wire client's settings hold: brokers make them so.
    pub group_id: String,
    /// `group.instance.id`: makes the member static (KIP-345). It then keeps its tasks over a restart shorter than the session.
    pub instance_id: Option<String>,
    /// The member that this process was in its last life, which has ended without a word: it is taken out of the group first,
    /// so that nobody waits for its session to run out. Not for static members, whose place is taken over.
    pub former_member_id: Option<String>,
    /// The process; kept in the state directory, so that a restarted process is known again.
    pub process_id: Uuid,
    /// Number of workers: the member's share of the tasks.
    pub capacity: u32,
    /// `client.rack`.
    pub rack: Option<String>,
    /// `client.tag.*`: where this member runs, for the placing of standbys.
    pub tags: BTreeMap<String, String>,
    /// `application.server`: where this instance can be asked for its state, `host:port`.
    pub application_server: Option<String>,
    /// Topics that the application reads; brokers keep the committed offsets of these.
    pub topics: Vec<String>,
    /// `session.timeout.ms`: the coordinator gives a member up that was silent for so long.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`: how often to show life, and so how fast a rebalance begun by others is noticed.
    /// One second here, for Kafka's three make newcomers wait.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`: a member whose tasks make no progress for so long leaves the group.
    pub max_poll_interval: Duration,
    /// Longest wait for all members to join a rebalance, and for the runtime to commit before it joins.
    pub rebalance_timeout: Duration,
    /// Settings of the assignor, used when this member leads.
    pub assignor: AssignorOptions,
}

impl MembershipConfig {
    /// A member of `group_id` living in `process_id`, reading `topics`.
    pub fn new(group_id: impl Into<String>, process_id: Uuid, topics: Vec<String>) -> Self {
        Self {
            group_id: group_id.into(),
            instance_id: None,
            former_member_id: None,
            process_id,
            capacity: 1,
            rack: None,
            tags: BTreeMap::new(),
            application_server: None,
            topics,
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(1),
            max_poll_interval: Duration::from_secs(300),
            rebalance_timeout: Duration::from_secs(60),
            assignor: AssignorOptions::default(),
        }
    }
}
