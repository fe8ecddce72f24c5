//! ApiVersions (key 18), versions 0 to 4: which APIs the server has, derived from the table of APIs.
//!
//! An unknown version is answered in version 0 with error 35 and this API's own range, so that the client can
//! ask again (KIP-511). The response header is always version 0. No features are announced.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::Request;

use super::{Api, ApiEntry, ApiTable, Reply, RequestContext, RequestFault, encode};
use crate::broker::Broker;
use crate::protocol::{ErrorCode, RequestHeader};

pub(super) const KEY: i16 = ApiVersionsRequest::KEY;

/// The handler.
pub(crate) struct ApiVersions;

impl Api for ApiVersions {
    type Request = ApiVersionsRequest;
    const VERSIONS: (i16, i16) = (0, 4);
    const SHAPE: &'static str = "3+:s 3+:s";

    async fn handle(
        broker: Arc<Broker>,
        _context: RequestContext,
        _request: ApiVersionsRequest,
    ) -> Reply<ApiVersionsResponse> {
        let api_keys = broker.apis().entries().into_iter().map(range).collect();
        Reply::Now(ApiVersionsResponse::default().with_api_keys(api_keys))
    }
}

/// The answer to an ApiVersions request of an unknown version.
pub(super) fn unsupported_version(table: &ApiTable, header: &RequestHeader) -> Result<Bytes, RequestFault> {
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
