//! InitProducerId (key 22), versions 0 to 5: a producer's id and epoch.
//!
//! Without a transactional id each request gets a new id with epoch 0, also from a producer that had one. With one,
//! the id's producer gets the next epoch, which fences its predecessors; a transaction that one of them left open is
//! aborted before the answer, so that there is no CONCURRENT_TRANSACTIONS to retry. Version 3 brings the producer's
//! present id and epoch (KIP-360), 4 the error PRODUCER_FENCED. Left out: two-phase commit (version 6).

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::outcome::{code_of, known_to};
use super::{Api, Reply, RequestContext, blocking};
use crate::broker::Broker;
use crate::journal::ProducerIdentity;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource, ResourceType};
use crate::txn::coordinator::Request;

/// From this version on clients know the error PRODUCER_FENCED.
const FENCED: i16 = 4;

/// The handler.
pub(crate) struct InitProducerId;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;
    const VERSIONS: (i16, i16) = (0, 5);
    const SHAPE: &'static str = "s 4 3+:8 3+:2";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: InitProducerIdRequest,
    ) -> Reply<InitProducerIdResponse> {
        let allowed = match &request.transactional_id {
            Some(id) => context.check(Operation::Write, Resource::TransactionalId(id)),
            None if context.access().allows_some(Operation::Write, ResourceType::Topic) => Ok(()),
            None => context.check(Operation::IdempotentWrite, Resource::Cluster),
        };
        if let Err(code) = allowed {
            return Reply::Now(answer(Err(code)));
        }
        let ids = Arc::clone(&broker);
        let fresh_id = match blocking(move || ids.producer_ids().next()).await {
            Ok(Ok(id)) => id,
            Ok(Err(error)) => {
                tracing::error!(%error, "cannot reserve producer ids");
                return Reply::Now(answer(Err(ErrorCode::KafkaStorageError)));
            }
            Err(code) => return Reply::Now(answer(Err(code))),
        };
        let Some(transactional_id) = request.transactional_id else {
            return Reply::Now(answer(Ok(ProducerIdentity { id: fresh_id, epoch: 0 })));
        };
        if transactional_id.is_empty() {
            return Reply::Now(answer(Err(ErrorCode::InvalidRequest)));
        }
        let present = ProducerIdentity { id: request.producer_id.0, epoch: request.producer_epoch };
        let init = Request::Init {
            timeout: Duration::from_millis(u64::try_from(request.transaction_timeout_ms).unwrap_or(0)),
            expected: (present.id >= 0 && present.epoch >= 0).then_some(present),
            fresh_id,
        };
        let serving = broker.transactions().request(&transactional_id, init);
        Reply::Later(Box::pin(async move {
            answer(serving.await.map_err(|code| known_to(context.version, FENCED, code)))
        }))
    }
}

fn answer(outcome: Result<ProducerIdentity, ErrorCode>) -> InitProducerIdResponse {
    let nobody = ProducerIdentity { id: -1, epoch: -1 };
    let producer = outcome.unwrap_or(nobody);
    InitProducerIdResponse::default()
        .with_error_code(code_of(&outcome))
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
}
