//! AddOffsetsToTxn (key 25), versions 0 to 4: a group's offsets are to take part in a producer's transaction.
//!
//! That is the partition of `__consumer_offsets` that the group belongs to. The answer comes when it is durable.
//! Version 2 brings the error PRODUCER_FENCED. Left out: nothing.

use std::sync::Arc;

use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use super::outcome::{code_of, known_to};
use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::group::open::OFFSETS_TOPIC;
use crate::journal::ProducerIdentity;
use crate::security::{Operation, Resource};
use crate::txn::coordinator::Request;

/// From this version on clients know the error PRODUCER_FENCED.
const FENCED: i16 = 2;

/// The handler.
pub(crate) struct AddOffsetsToTxn;

impl Api for AddOffsetsToTxn {
    type Request = AddOffsetsToTxnRequest;
    const VERSIONS: (i16, i16) = (0, 4);
    const SHAPE: &'static str = "s 8 2 s";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: AddOffsetsToTxnRequest,
    ) -> Reply<AddOffsetsToTxnResponse> {
        let allowed = context
            .check(Operation::Write, Resource::TransactionalId(&request.transactional_id))
            .and_then(|()| context.check(Operation::Read, Resource::Group(&request.group_id)));
        if let Err(code) = allowed {
            return Reply::Now(AddOffsetsToTxnResponse::default().with_error_code(code.code()));
        }
        let adding = Request::Add {
            producer: ProducerIdentity { id: request.producer_id.0, epoch: request.producer_epoch },
            partitions: vec![(OFFSETS_TOPIC.to_owned(), broker.groups().partition_of(&request.group_id))],
        };
        let adding = broker.transactions().request(&request.transactional_id, adding);
        Reply::Later(Box::pin(async move {
            let outcome = adding.await.map_err(|code| known_to(context.version, FENCED, code));
            AddOffsetsToTxnResponse::default().with_error_code(code_of(&outcome))
        }))
    }
}
