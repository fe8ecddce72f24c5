//! DescribeCluster (key 60), versions 0 and 1: the one broker.

use std::sync::Arc;

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use kafka_protocol::protocol::StrBytes;

use super::metadata::CLUSTER_OPERATIONS;
use super::{Api, Reply, RequestContext};
use crate::broker::{Broker, NODE_ID};
use crate::protocol::ErrorCode;
use crate::security::Resource;

/// Asks for brokers; the other kind are controllers, which are not reachable on their own.
const BROKERS: i8 = 1;

/// The handler.
pub(crate) struct DescribeCluster;

impl Api for DescribeCluster {
    type Request = DescribeClusterRequest;
    const VERSIONS: (i16, i16) = (0, 1);
    const SHAPE: &'static str = "1 1+:1";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: DescribeClusterRequest,
    ) -> Reply<DescribeClusterResponse> {
        let mut response = DescribeClusterResponse::default()
            .with_cluster_id(StrBytes::from_string(broker.cluster_id().to_owned()))
            .with_controller_id(NODE_ID);
        if context.version >= 1 && request.endpoint_type != BROKERS {
            return Reply::Now(
                response
                    .with_error_code(ErrorCode::MismatchedEndpointType.code())
                    .with_error_message(Some(StrBytes::from_static_str("This is a broker's listener."))),
            );
        }
        let (host, port) = context.session.advertised();
        response.brokers = vec![
            DescribeClusterBroker::default()
                .with_broker_id(NODE_ID)
                .with_host(StrBytes::from_string(host))
                .with_port(i32::from(port)),
        ];
        if request.include_cluster_authorized_operations {
            response.cluster_authorized_operations =
                context.access().operations(CLUSTER_OPERATIONS, Resource::Cluster);
        }
        Reply::Now(response)
    }
}
