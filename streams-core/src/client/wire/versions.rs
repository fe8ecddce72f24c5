//! Which version of each request to send.
//!
//! The table is narrower than what `kafka-protocol` claims, for two reasons: `ApiKey::valid_versions` names versions
//! whose request structs do not exist (OffsetCommit 10, OffsetFetch 10), and from some version on a request names
//! topics by id, or several groups at once, which this client has no use for.

use std::collections::BTreeMap;

use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};
use kafka_protocol::protocol::{Message, Request, VersionRange};

use super::error::WireError;

/// Highest ApiVersions request that is tried first; brokers that do not know it answer in version 0.
pub(super) const API_VERSIONS_FIRST: i16 = 3;

/// A request as this client speaks it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spoken {
    /// Kafka's name for it, for messages.
    pub(super) name: &'static str,
    min: i16,
    max: i16,
}

/// Name and versions of the request with `key`.
pub(super) fn spoken(key: i16) -> Spoken {
    let (name, min, max) = match ApiKey::try_from(key) {
        Ok(ApiKey::ApiVersions) => ("ApiVersions", 0, API_VERSIONS_FIRST),
        // Auto-creation of topics can be refused from 4 on.
        Ok(ApiKey::Metadata) => ("Metadata", 4, 12),
        Ok(ApiKey::FindCoordinator) => ("FindCoordinator", 1, 3),
        // Static members exist from JoinGroup 5, SyncGroup 3, Heartbeat 3, LeaveGroup 3 and OffsetCommit 7 on.
        Ok(ApiKey::JoinGroup) => ("JoinGroup", 5, 9),
        Ok(ApiKey::SyncGroup) => ("SyncGroup", 3, 5),
        Ok(ApiKey::Heartbeat) => ("Heartbeat", 3, 4),
        Ok(ApiKey::LeaveGroup) => ("LeaveGroup", 3, 5),
        Ok(ApiKey::OffsetCommit) => ("OffsetCommit", 7, 9),
        // RequireStable came with 7; from 8 on one request names many groups.
        Ok(ApiKey::OffsetFetch) => ("OffsetFetch", 7, 7),
        // A replication factor of -1, the broker's default, is allowed from 4 on.
        Ok(ApiKey::CreateTopics) => ("CreateTopics", 4, 7),
        Ok(ApiKey::CreatePartitions) => ("CreatePartitions", 0, 3),
        Ok(ApiKey::DescribeConfigs) => ("DescribeConfigs", 1, 4),
        Ok(ApiKey::IncrementalAlterConfigs) => ("IncrementalAlterConfigs", 0, 1),
        // From 13 on it names topics by id.
        Ok(ApiKey::Fetch) => ("Fetch", 4, 12),
        Ok(ApiKey::ListOffsets) => ("ListOffsets", 2, 8),
        Ok(ApiKey::DeleteRecords) => ("DeleteRecords", 0, 2),
        Ok(ApiKey::DescribeGroups) => ("DescribeGroups", 0, 5),
        Ok(ApiKey::DeleteGroups) => ("DeleteGroups", 0, 2),
        Ok(ApiKey::SaslHandshake) => ("SaslHandshake", 1, 1),
        Ok(ApiKey::SaslAuthenticate) => ("SaslAuthenticate", 0, 2),
        _ => ("another request", 0, i16::MAX),
    };
    Spoken { name, min, max }
}

/// What a broker said it offers.
#[derive(Debug, Clone, Default)]
pub(super) struct BrokerVersions {
    ranges: BTreeMap<i16, VersionRange>,
}

impl BrokerVersions {
    /// Reads the broker's answer.
    pub(super) fn new(answer: &ApiVersionsResponse) -> Self {
        let range = |api: &kafka_protocol::messages::api_versions_response::ApiVersion| {
            (api.api_key, VersionRange { min: api.min_version, max: api.max_version })
        };
        Self { ranges: answer.api_keys.iter().map(range).collect() }
    }

    /// The highest version of `R` that broker, codec and this client all have.
    ///
    /// # Errors
    /// [`WireError::Unsupported`] when there is none.
    pub(super) fn pick<R: Request>(&self, broker: &str) -> Result<i16, WireError> {
        let api = spoken(R::KEY);
        let ours = VersionRange { min: api.min, max: api.max };
        let ours = ours.intersect(&R::VERSIONS).intersect(&R::Response::VERSIONS);
        let theirs = self.ranges.get(&R::KEY);
        match theirs.map(|range| range.intersect(&ours)) {
            Some(common) if !common.is_empty() => Ok(common.max),
            _ => Err(WireError::Unsupported {
                broker: broker.to_owned(),
                api: api.name,
                offered: theirs.map_or_else(|| "none".to_owned(), ToString::to_string),
                spoken: ours.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::api_versions_response::ApiVersion;
    use kafka_protocol::messages::{MetadataRequest, OffsetCommitRequest, OffsetFetchRequest};

    fn broker(key: i16, min: i16, max: i16) -> BrokerVersions {
        let api = ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max);
        BrokerVersions::new(&ApiVersionsResponse::default().with_api_keys(vec![api]))
    }

    #[test]
    fn picks_the_highest_common_version() {
        assert_eq!(broker(3, 0, 7).pick::<MetadataRequest>("b").ok(), Some(7));
        assert_eq!(broker(3, 0, 13).pick::<MetadataRequest>("b").ok(), Some(12));
    }

    #[test]
    fn never_picks_versions_without_a_request_struct() {
        assert_eq!(broker(8, 2, 10).pick::<OffsetCommitRequest>("b").ok(), Some(9));
        assert_eq!(broker(9, 1, 10).pick::<OffsetFetchRequest>("b").ok(), Some(7));
    }

    #[test]
    fn names_both_sides_when_nothing_is_common() {
        let error = broker(8, 0, 2).pick::<OffsetCommitRequest>("b:1").unwrap_err().to_string();
        assert_eq!(
            error,
            "broker b:1 offers OffsetCommit versions 0..2, this client speaks 7..9; upgrade the older of the two"
        );
        assert!(broker(3, 0, 2).pick::<OffsetCommitRequest>("b:1").is_err());
    }
}
