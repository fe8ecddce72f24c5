//! Looking at groups from outside: coordinator, description, committed offsets, deletion.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, GroupId, OffsetFetchRequest,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::client::WireClient;
use super::connection::Connection;
use super::error::WireError;
use super::metadata::BrokerAddress;
use super::offsets::by_topic;
use crate::record::TopicPartition;

/// `CoordinatorType.GROUP`.
const GROUP_COORDINATOR: i8 = 0;

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// Offset of the next record to process.
    pub offset: i64,
    /// Epoch of the leader that wrote the record before, -1 if unknown.
    pub leader_epoch: i32,
    /// What was committed with it.
    pub metadata: String,
}

/// A group as its coordinator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Stable` or `Dead`.
    pub state: String,
    /// `consumer` for consumers and for us.
    pub protocol_type: String,
    /// Name of the assignment strategy in force.
    pub protocol: String,
    /// The members.
    pub members: Vec<GroupMemberDescription>,
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMemberDescription {
    /// Id, made by the coordinator from the client id.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Bytes of its assignment, `ConsumerProtocolAssignment` for consumers.
    pub assignment: bytes::Bytes,
}

impl WireClient {
    /// The broker that coordinates `group`.
    ///
    /// # Errors
    /// When none is available within `api_timeout`, or access to the group is denied.
    pub async fn find_coordinator(&self, group: &str) -> Result<BrokerAddress, WireError> {
        self.retrying(|| self.ask_coordinator(group)).await
    }

    /// One try of [`find_coordinator`](Self::find_coordinator).
    pub(crate) async fn ask_coordinator(&self, group: &str) -> Result<BrokerAddress, WireError> {
        let request = FindCoordinatorRequest::default()
            .with_key(StrBytes::from_string(group.to_owned()))
            .with_key_type(GROUP_COORDINATOR);
        let broker = self.any_broker().await?;
        let answer = broker.request(&request).await?;
        match ResponseError::try_from_code(answer.error_code) {
            None => Ok(BrokerAddress {
                node_id: answer.node_id.0,
                host: answer.host.to_string(),
                port: answer.port,
            }),
            Some(code) => Err(broker.refused::<FindCoordinatorRequest>(
                &named(group),
                code,
                answer.error_message.as_deref(),
            )),
        }
    }

    async fn coordinator(&self, group: &str) -> Result<Connection, WireError> {
        let address = self.ask_coordinator(group).await?.address();
        self.connect(&address).await
    }

    /// Describes `group`; an unknown one is reported in state `Dead`.
    ///
    /// # Errors
    /// When the coordinator does not answer within `api_timeout`, or denies access.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription, WireError> {
        let id = GroupId(StrBytes::from_string(group.to_owned()));
        let request = DescribeGroupsRequest::default().with_groups(vec![id]);
        self.retrying(|| async {
            let broker = self.coordinator(group).await?;
            let answer = broker.request(&request).await?;
            let Some(described) = answer.groups.into_iter().next() else {
                return Err(broker.refused::<DescribeGroupsRequest>(
                    &named(group),
                    ResponseError::GroupIdNotFound,
                    None,
                ));
            };
            if let Some(code) = ResponseError::try_from_code(described.error_code) {
                return Err(broker.refused::<DescribeGroupsRequest>(&named(group), code, None));
            }
            let member =
                |member: kafka_protocol::messages::describe_groups_response::DescribedGroupMember| {
                    GroupMemberDescription {
                        member_id: member.member_id.to_string(),
                        instance_id: member.group_instance_id.map(|id| id.to_string()),
                        client_id: member.client_id.to_string(),
                        assignment: member.member_assignment,
                    }
                };
            Ok(GroupDescription {
                state: described.group_state.to_string(),
                protocol_type: described.protocol_type.to_string(),
                protocol: described.protocol_data.to_string(),
                members: described.members.into_iter().map(member).collect(),
            })
        })
        .await
    }

    /// Deletes `group` with its committed offsets; it must have no members.
    ///
    /// # Errors
    /// [`WireError::Refused`] if it has members or does not exist; as [`describe_group`](Self::describe_group) otherwise.
    pub async fn delete_group(&self, group: &str) -> Result<(), WireError> {
        let id = GroupId(StrBytes::from_string(group.to_owned()));
        let request = DeleteGroupsRequest::default().with_groups_names(vec![id]);
        self.retrying(|| async {
            let broker = self.coordinator(group).await?;
            let answer = broker.request(&request).await?;
            let code =
                answer.results.first().and_then(|result| ResponseError::try_from_code(result.error_code));
            code.map_or(Ok(()), |code| Err(broker.refused::<DeleteGroupsRequest>(&named(group), code, None)))
        })
        .await
    }

    /// The offsets that `group` has committed for `partitions`; a partition without one is left out.
    ///
    /// With `require_stable`, offsets that an open transaction may still change are waited for (KIP-447).
    ///
    /// # Errors
    /// When the coordinator does not answer, or transactions stay open, for longer than `api_timeout`.
    pub async fn fetch_committed(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        require_stable: bool,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>, WireError> {
        let topic = |(name, numbers): (&str, Vec<i32>)| {
            OffsetFetchRequestTopic::default()
                .with_name(TopicName(StrBytes::from_string(name.to_owned())))
                .with_partition_indexes(numbers)
        };
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
            .with_topics(Some(by_topic(partitions).into_iter().map(topic).collect()))
            .with_require_stable(require_stable);
        self.retrying(|| async {
            let broker = self.coordinator(group).await?;
            let answer = broker.request(&request).await?;
            if let Some(code) = ResponseError::try_from_code(answer.error_code) {
                return Err(broker.refused::<OffsetFetchRequest>(&named(group), code, None));
            }
            let mut committed = BTreeMap::new();
            for topic in answer.topics {
                for partition in topic.partitions {
                    let place = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                    if let Some(code) = ResponseError::try_from_code(partition.error_code) {
                        return Err(broker.refused::<OffsetFetchRequest>(&place.to_string(), code, None));
                    }
                    if partition.committed_offset >= 0 {
                        let offset = CommittedOffset {
                            offset: partition.committed_offset,
                            leader_epoch: partition.committed_leader_epoch,
                            metadata: partition.metadata.map(|text| text.to_string()).unwrap_or_default(),
                        };
                        committed.insert(place, offset);
                    }
                }
            }
            Ok(committed)
        })
        .await
    }
}

fn named(group: &str) -> String {
    format!("group {group}")
}
