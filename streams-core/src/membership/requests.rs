//! The group's requests, from our words to Kafka's and back.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, OffsetCommitRequest, SyncGroupRequest,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::client::wire::{Connection, WireClient, WireError};
use crate::record::TopicPartition;

use super::config::MembershipConfig;
use super::group_member::{Assignments, JoinAnswer, Joined, SyncAnswer};
use super::handle::OffsetToCommit;

/// `consumer`, so that Kafka's tools read the members' partitions and show their lag.
const PROTOCOL_TYPE: &str = "consumer";
/// Not Kafka Streams' `stream`: its members then refuse to join ours (error 23) instead of reading foreign bytes.
const PROTOCOL_NAME: &str = "rust-streams";
/// Added to the rebalance time-out, during which the coordinator may hold an answer back; Java's clients add the same.
const REBALANCE_GRACE: Duration = Duration::from_secs(5);
/// Longest wait for the answer to LeaveGroup.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time that leaving may take, with the search for the coordinator.
const LEAVE_MAX: Duration = Duration::from_secs(5);

/// Sends requests of one member on the coordinator's connection.
#[derive(Debug, Clone)]
pub(super) struct GroupConnection {
    connection: Connection,
    group_id: GroupId,
    instance_id: Option<StrBytes>,
    session_timeout: Duration,
    rebalance_timeout: Duration,
}

impl GroupConnection {
    /// A connection to the coordinator beside the member's own, for what must not wait behind a JoinGroup.
    pub(super) async fn open(client: &WireClient, config: &MembershipConfig) -> Result<Self, WireError> {
        Ok(Self::new(connect_to_coordinator(client, &config.group_id).await?, config))
    }

    pub(super) fn new(connection: Connection, config: &MembershipConfig) -> Self {
        Self {
            connection,
            group_id: GroupId(text(&config.group_id)),
            instance_id: config.instance_id.as_deref().map(text),
            session_timeout: config.session_timeout,
            rebalance_timeout: config.rebalance_timeout,
        }
    }

    pub(super) async fn join(
        &self,
        member_id: String,
        metadata: bytes::Bytes,
        reason: String,
    ) -> Result<JoinAnswer, WireError> {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(StrBytes::from_static_str(PROTOCOL_NAME))
            .with_metadata(metadata);
        let request = JoinGroupRequest::default()
            .with_group_id(self.group_id.clone())
            .with_session_timeout_ms(millis(self.session_timeout))
            .with_rebalance_timeout_ms(millis(self.rebalance_timeout))
            .with_member_id(StrBytes::from_string(member_id))
            .with_group_instance_id(self.instance_id.clone())
            .with_protocol_type(StrBytes::from_static_str(PROTOCOL_TYPE))
            .with_protocols(vec![protocol])
            .with_reason(Some(StrBytes::from_string(reason)));
        let limit = self.rebalance_timeout + REBALANCE_GRACE;
        let answer = self.connection.request_within(&request, limit).await?;
        let members = answer.members.into_iter().map(|member| Joined {
            member_id: member.member_id.to_string(),
            instance_id: member.group_instance_id.map(|id| id.to_string()),
            metadata: member.metadata,
        });
        Ok(JoinAnswer {
            code: ResponseError::try_from_code(answer.error_code),
            generation: answer.generation_id,
            member_id: answer.member_id.to_string(),
            leader: answer.leader.to_string(),
            skip_assignment: answer.skip_assignment,
            members: members.collect(),
        })
    }

    pub(super) async fn sync(
        &self,
        generation: i32,
        member_id: String,
        assignments: Assignments,
    ) -> Result<SyncAnswer, WireError> {
        let assignment = |(member_id, bytes): (String, bytes::Bytes)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(StrBytes::from_string(member_id))
                .with_assignment(bytes)
        };
        let request = SyncGroupRequest::default()
            .with_group_id(self.group_id.clone())
            .with_generation_id(generation)
            .with_member_id(StrBytes::from_string(member_id))
            .with_group_instance_id(self.instance_id.clone())
            .with_protocol_type(Some(StrBytes::from_static_str(PROTOCOL_TYPE)))
            .with_protocol_name(Some(StrBytes::from_static_str(PROTOCOL_NAME)))
            .with_assignments(assignments.into_iter().map(assignment).collect());
        let limit = self.rebalance_timeout + REBALANCE_GRACE;
        let answer = self.connection.request_within(&request, limit).await?;
        Ok(SyncAnswer {
            code: ResponseError::try_from_code(answer.error_code),
            assignment: answer.assignment,
        })
    }

    /// Shows life. Waits no longer than half the session, so that another broker can be tried before it runs out.
    pub(super) async fn heartbeat(
        &self,
        generation: i32,
        member_id: String,
    ) -> Result<Option<ResponseError>, WireError> {
        let request = HeartbeatRequest::default()
            .with_group_id(self.group_id.clone())
            .with_generation_id(generation)
            .with_member_id(StrBytes::from_string(member_id))
            .with_group_instance_id(self.instance_id.clone());
        let answer = self.connection.request_within(&request, self.session_timeout / 2).await?;
        Ok(ResponseError::try_from_code(answer.error_code))
    }

    pub(super) async fn leave(&self, member_id: String, reason: &'static str) -> Result<(), WireError> {
        let identity = MemberIdentity::default()
            .with_member_id(StrBytes::from_string(member_id))
            .with_group_instance_id(self.instance_id.clone())
            .with_reason(Some(StrBytes::from_static_str(reason)));
        let request =
            LeaveGroupRequest::default().with_group_id(self.group_id.clone()).with_members(vec![identity]);
        self.connection.request_within(&request, LEAVE_TIMEOUT).await?;
        Ok(())
    }

    /// Commits; returns the codes of the partitions that were refused.
    pub(super) async fn commit(
        &self,
        generation: i32,
        member_id: String,
        offsets: &[OffsetToCommit],
    ) -> Result<Vec<(TopicPartition, ResponseError)>, WireError> {
        let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for offset in offsets {
            let partition = OffsetCommitRequestPartition::default()
                .with_partition_index(offset.partition.partition)
                .with_committed_offset(offset.offset)
                .with_committed_leader_epoch(offset.leader_epoch)
                .with_committed_metadata(Some(text(&offset.metadata)));
            topics.entry(&offset.partition.topic).or_default().push(partition);
        }
        let topic = |(name, partitions)| {
            OffsetCommitRequestTopic::default().with_name(TopicName(text(name))).with_partitions(partitions)
        };
        let request = OffsetCommitRequest::default()
            .with_group_id(self.group_id.clone())
            .with_generation_id_or_member_epoch(generation)
            .with_member_id(StrBytes::from_string(member_id))
            .with_group_instance_id(self.instance_id.clone())
            .with_topics(topics.into_iter().map(topic).collect());
        let answer = self.connection.request(&request).await?;
        let mut refused = Vec::new();
        for topic in &answer.topics {
            for partition in &topic.partitions {
                if let Some(code) = ResponseError::try_from_code(partition.error_code) {
                    refused.push((TopicPartition::new(topic.name.as_str(), partition.partition_index), code));
                }
            }
        }
        Ok(refused)
    }
}

/// A connection of our own to the coordinator.
pub(super) async fn connect_to_coordinator(
    client: &WireClient,
    group: &str,
) -> Result<Connection, WireError> {
    let coordinator = client.ask_coordinator(group).await?;
    Connection::open(&coordinator.address(), client.config()).await
}

/// LeaveGroup over a connection of its own.
pub(super) async fn say_farewell(
    client: &WireClient,
    config: &MembershipConfig,
    member_id: String,
    reason: &'static str,
) {
    let farewell = async { GroupConnection::open(client, config).await?.leave(member_id, reason).await };
    match tokio::time::timeout(LEAVE_MAX, farewell).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the coordinator could not be told that this member leaves"),
        Err(_) => tracing::warn!("the coordinator did not take note in time that this member leaves"),
    }
}

/// Takes the member that this process was in its last life out of the group, so that nobody waits for its session to run out.
pub(super) async fn bury_former_member(client: &WireClient, config: &mut MembershipConfig) {
    if let (Some(former), None) = (config.former_member_id.take(), &config.instance_id) {
        tracing::info!(former, "taking this process's former member out of the group");
        say_farewell(client, config, former, "its process has ended").await;
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
