//! InitProducerId (key 22), versions 0 to 5: a producer id for an idempotent producer.
//!
//! Each request gets a new id with epoch 0, also from a producer that had one.

use std::sync::Arc;

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::{Api, Reply, RequestContext, blocking};
use crate::broker::Broker;
use crate::protocol::ErrorCode;

/// The handler.
pub(crate) struct InitProducerId;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;
    const VERSIONS: (i16, i16) = (0, 5);
    const SHAPE: &'static str = "s 4 3+:8 3+:2";

    async fn handle(
        broker: Arc<Broker>,
        _context: RequestContext,
        request: InitProducerIdRequest,
    ) -> Reply<InitProducerIdResponse> {
        let refused = |code: ErrorCode| {
            Reply::Now(
                InitProducerIdResponse::default()
                    .with_error_code(code.code())
                    .with_producer_id(ProducerId(-1))
                    .with_producer_epoch(-1),
            )
        };
        if request.transactional_id.is_some() {
            return refused(ErrorCode::TransactionalIdAuthorizationFailed);
        }
        match blocking(move || broker.producer_ids().next()).await {
            Ok(Ok(id)) => Reply::Now(
                InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(0),
            ),
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot reserve producer ids");
                refused(ErrorCode::KafkaStorageError)
            }
            Err(code) => refused(code),
        }
    }
}
