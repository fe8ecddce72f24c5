//! EndTxn (key 26), versions 0 to 4: a producer's transaction is committed or aborted.
//!
//! The answer comes when the markers are in all partitions, so that the producer's next transaction finds nothing
//! left to be done. Version 2 brings the error PRODUCER_FENCED. Left out: version 5, which gives the producer a new
//! epoch with every transaction (KIP-890, `transaction.version` 2).

use std::sync::Arc;

use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse};

use super::outcome::{code_of, known_to};
use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::journal::ProducerIdentity;
use crate::txn::coordinator::Request;

/// From this version on clients know the error PRODUCER_FENCED.
const FENCED: i16 = 2;

/// The handler.
pub(crate) struct EndTxn;

impl Api for EndTxn {
    type Request = EndTxnRequest;
    const VERSIONS: (i16, i16) = (0, 4);
    const SHAPE: &'static str = "s 8 2 1";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: EndTxnRequest,
    ) -> Reply<EndTxnResponse> {
        let ending = Request::End {
            producer: ProducerIdentity { id: request.producer_id.0, epoch: request.producer_epoch },
            is_commit: request.committed,
        };
        let ending = broker.transactions().request(&request.transactional_id, ending);
        Reply::Later(Box::pin(async move {
            let outcome = ending.await.map_err(|code| known_to(context.version, FENCED, code));
            EndTxnResponse::default().with_error_code(code_of(&outcome))
        }))
    }
}
