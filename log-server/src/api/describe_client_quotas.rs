//! DescribeClientQuotas (key 48), versions 0 and 1: the quotas of clients, of which there are none.
//!
//! Kafka's `kafka-configs` asks for them before it shows users. Left out: quotas; AlterClientQuotas is not served, so
//! none can be set.

use std::sync::Arc;

use kafka_protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::security::{Operation, Resource};

/// The handler.
pub(crate) struct DescribeClientQuotas;

impl Api for DescribeClientQuotas {
    type Request = DescribeClientQuotasRequest;
    const VERSIONS: (i16, i16) = (0, 1);
    const SHAPE: &'static str = "[(s 1 s)] 1";

    async fn handle(
        _broker: Arc<Broker>,
        context: RequestContext,
        _request: DescribeClientQuotasRequest,
    ) -> Reply<DescribeClientQuotasResponse> {
        let response = DescribeClientQuotasResponse::default();
        Reply::Now(match context.check(Operation::DescribeConfigs, Resource::Cluster) {
            Ok(()) => response.with_entries(Some(Vec::new())),
            Err(code) => response.with_error_code(code.code()).with_entries(None),
        })
    }
}
