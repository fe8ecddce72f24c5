//! The group coordinator's settings and limits.

use std::time::Duration;

use crate::config::LogServerConfig;

/// Settings of the group coordinator; every bound of its memory and of its waits has a name here.
#[derive(Debug, Clone)]
pub(crate) struct GroupConfig {
    /// `group.initial.rebalance.delay.ms`: how long the first join of an empty group waits for company.
    pub(crate) initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`: shorter session time-outs are refused. Apache Kafka asks for 6 s at
    /// least; tests of fail-over want less, and one node bears the heartbeats.
    pub(crate) min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`: longer session time-outs are refused.
    pub(crate) max_session_timeout: Duration,
    /// How long a member that waits in its first join is kept when nobody completes the rebalance. Its session
    /// time-out does not run meanwhile, because a blocked join cannot send heartbeats.
    pub(crate) new_member_join_timeout: Duration,
    /// `group.max.size`: members of one group, those included that only hold a member id.
    pub(crate) max_group_size: usize,
    /// Groups that the coordinator keeps, so that made-up group ids cannot fill the memory.
    pub(crate) max_groups: usize,
    /// Bytes of all protocols' metadata that one member may send with its join.
    pub(crate) max_member_metadata_bytes: usize,
    /// Bytes of one member's assignment.
    pub(crate) max_assignment_bytes: usize,
    /// `offset.metadata.max.bytes`: the text that may go with a committed offset.
    pub(crate) max_offset_metadata_bytes: usize,
    /// `offsets.retention.minutes`: how long a group's offsets are kept once it is empty.
    pub(crate) offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`: how often expired offsets are looked for.
    pub(crate) expiry_interval: Duration,
}

impl GroupConfig {
    /// The settings of a server.
    pub(crate) fn of(server: &LogServerConfig) -> Self {
        let (min_session_timeout, max_session_timeout) = server.group_session_timeouts;
        Self {
            initial_rebalance_delay: server.group_initial_rebalance_delay,
            min_session_timeout,
            max_session_timeout,
            offsets_retention: server.offsets_retention,
            ..Self::default()
        }
    }
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            initial_rebalance_delay: crate::config::GROUP_INITIAL_REBALANCE_DELAY,
            min_session_timeout: crate::config::GROUP_MIN_SESSION_TIMEOUT,
            max_session_timeout: crate::config::GROUP_MAX_SESSION_TIMEOUT,
            new_member_join_timeout: Duration::from_secs(5 * 60),
            max_group_size: 10_000,
            max_groups: 100_000,
            max_member_metadata_bytes: 1024 * 1024,
            max_assignment_bytes: 1024 * 1024,
            max_offset_metadata_bytes: 4096,
            offsets_retention: crate::config::OFFSETS_RETENTION,
            expiry_interval: Duration::from_secs(10 * 60),
        }
    }
}
