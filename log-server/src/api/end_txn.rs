//! EndTxn (key 26), versions 0 to 5: a producer's transaction is committed or aborted.
//!
//! The answer comes when the markers are in all partitions, so that the producer's next transaction finds nothing
//! left to be done. Version 2 brings the error PRODUCER_FENCED; from version 5 on the producer gets a new epoch with
//! every transaction, so that nothing late of a former one can slip into the next (KIP-890). Left out: nothing.

use std::sync::Arc;

use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse};

use super::outcome::{code_of, known_to};
use super::{Api, Reply, RequestContext, blocking};
use crate::broker::Broker;
use crate::journal::ProducerIdentity;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};
use crate::txn::coordinator::Request;
use crate::txn::transaction::EpochChange;

/// From this version on clients know the error PRODUCER_FENCED.
const FENCED: i16 = 2;
/// From this version on the producer gets a new epoch with every transaction.
const BUMP: i16 = 5;

/// The handler.
pub(crate) struct EndTxn;

impl Api for EndTxn {
    type Request = EndTxnRequest;
    const VERSIONS: (i16, i16) = (0, 5);
    const SHAPE: &'static str = "s 8 2 1";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: EndTxnRequest,
    ) -> Reply<EndTxnResponse> {
        let id = Resource::TransactionalId(&request.transactional_id);
        if let Err(code) = context.check(Operation::Write, id) {
            return Reply::Now(EndTxnResponse::default().with_error_code(code.code()));
        }
        let producer = ProducerIdentity { id: request.producer_id.0, epoch: request.producer_epoch };
        let epoch = match context.version {
            BUMP.. => match successor_id(&broker, producer).await {
                Ok(successor_id) => EpochChange::Bump { successor_id },
                Err(code) => return Reply::Now(EndTxnResponse::default().with_error_code(code.code())),
            },
            _ => EpochChange::Keep,
        };
        let ending = Request::End { producer, is_commit: request.committed, epoch };
        let ending = broker.transactions().request(&request.transactional_id, ending);
        Reply::Later(Box::pin(async move {
            let outcome = ending.await.map_err(|code| known_to(context.version, FENCED, code));
            let answer = EndTxnResponse::default().with_error_code(code_of(&outcome));
            match outcome {
                Ok(producer) if context.version >= BUMP => {
                    answer.with_producer_id(producer.id.into()).with_producer_epoch(producer.epoch)
                }
                _ => answer,
            }
        }))
    }
}

/// The id that the producer goes on with if this transaction uses its last epoch up; drawn only when it may.
async fn successor_id(broker: &Arc<Broker>, producer: ProducerIdentity) -> Result<i64, ErrorCode> {
    if producer.epoch < i16::MAX - 1 {
        return Ok(producer.id);
    }
    let broker = Arc::clone(broker);
    blocking(move || broker.producer_ids().next()).await?.map_err(|error| {
        tracing::error!(%error, "cannot reserve producer ids");
        ErrorCode::KafkaStorageError
    })
}
