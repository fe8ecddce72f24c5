//! CreatePartitions (key 37), versions 0 to 3: adds partitions to topics. Assignments are not looked at, as there
//! is one broker.

use std::sync::Arc;

use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext, blocking};
use crate::broker::Broker;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};

/// The handler.
pub(crate) struct CreatePartitions;

impl Api for CreatePartitions {
    type Request = CreatePartitionsRequest;
    const VERSIONS: (i16, i16) = (0, 3);
    const SHAPE: &'static str = "[(s 4 [([4])])] 4 1";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: CreatePartitionsRequest,
    ) -> Reply<CreatePartitionsResponse> {
        let validate_only = request.validate_only;
        let mut results = Vec::with_capacity(request.topics.len());
        for wanted in request.topics {
            let allowed = context.check(Operation::Alter, Resource::Topic(&wanted.name));
            let grown = match broker.topics().get(&wanted.name) {
                _ if allowed.is_err() => allowed.map_err(|code| (code, String::new())),
                None => Err((
                    ErrorCode::UnknownTopicOrPartition,
                    "This server does not host this topic.".to_owned(),
                )),
                Some(topic) => {
                    let broker = Arc::clone(&broker);
                    blocking(move || broker.topics().grow(&topic, wanted.count, validate_only))
                        .await
                        .unwrap_or_else(|code| Err((code, String::new())))
                }
            };
            let mut result = CreatePartitionsTopicResult::default().with_name(wanted.name);
            if let Err((code, reason)) = grown {
                result.error_code = code.code();
                result.error_message = Some(StrBytes::from_string(reason));
            }
            results.push(result);
        }
        Reply::Now(CreatePartitionsResponse::default().with_results(results))
    }
}
