//! ApiVersions (key 18), versions 0 to 4: which APIs the server has, derived from the table of APIs.
//!
//! An unknown version is answered in version 0 with error 35 and this API's own range, so that the client can
//! ask again (KIP-511). The response header is always version 0. The feature `transaction.version` is
//! announced from version 3 on.

use std::sync::Arc;

use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::{Request, StrBytes};

use super::{Api, ApiEntry, ApiTable, Reply, RequestContext, RequestFault, encode};
use crate::broker::Broker;
use crate::protocol::{AnswerFrame, ErrorCode, RequestHeader};

pub(super) const KEY: i16 = ApiVersionsRequest::KEY;

/// From this version on features are announced.
const FEATURES: i16 = 3;

/// The level of the feature `transaction.version` that is in force.
const TRANSACTION_VERSION: i16 = 2;

/// The handler.
pub(crate) struct ApiVersions;

impl Api for ApiVersions {
    type Request = ApiVersionsRequest;
    const VERSIONS: (i16, i16) = (0, 4);
    const SHAPE: &'static str = "3+:s 3+:s";

    async fn handle(
        _broker: Arc<Broker>,
        context: RequestContext,
        _request: ApiVersionsRequest,
    ) -> Reply<ApiVersionsResponse> {
        let api_keys = ApiTable::get().entries().into_iter().map(range).collect();
        let answer = ApiVersionsResponse::default().with_api_keys(api_keys);
        Reply::Now(if context.version >= FEATURES { with_features(answer, context.version) } else { answer })
    }
}

/// Announces the transaction protocol in which the epoch rises with every transaction (KIP-890). Clients use it when
/// they find it here, and the former one otherwise.
fn with_features(answer: ApiVersionsResponse, version: i16) -> ApiVersionsResponse {
    let name = StrBytes::from_static_str("transaction.version");
    // Clients that ask in version 3 do not understand a range that begins at 0.
    let lowest = if version > FEATURES { 0 } else { 1 };
    let supported = SupportedFeatureKey::default().with_name(name.clone()).with_min_version(lowest);
    let finalized = FinalizedFeatureKey::default().with_name(name);
    answer
        .with_supported_features(vec![supported.with_max_version(TRANSACTION_VERSION)])
        .with_finalized_features_epoch(0)
        .with_finalized_features(vec![
            finalized.with_min_version_level(TRANSACTION_VERSION).with_max_version_level(TRANSACTION_VERSION),
        ])
}

/// The answer to an ApiVersions request of an unknown version.
pub(super) fn unsupported_version(
    table: &ApiTable,
    header: &RequestHeader,
) -> Result<AnswerFrame, RequestFault> {
    let own_range = table.entries().into_iter().filter(|entry| entry.key == KEY).map(range).collect();
    let response = ApiVersionsResponse::default()
        .with_error_code(ErrorCode::UnsupportedVersion.code())
        .with_api_keys(own_range);
    encode(KEY, 0, header.correlation_id, &response)
}

fn range(entry: &ApiEntry) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(entry.key)
        .with_min_version(entry.min_version)
        .with_max_version(entry.max_version)
}
