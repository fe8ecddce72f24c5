//! AddPartitionsToTxn (key 24), versions 0 to 3: partitions are to take part in a producer's transaction.
//!
//! The answer comes when that is durable: only then may records be written there. If a partition does not exist,
//! none is added: it is answered with error 3, the others with 55. Version 2 brings the error PRODUCER_FENCED.
//! Left out: versions 4 and 5, which brokers use among themselves.

use std::sync::Arc;

use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

use super::outcome::{code_of, known_to};
use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::journal::ProducerIdentity;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};
use crate::txn::coordinator::Request;

/// From this version on clients know the error PRODUCER_FENCED.
const FENCED: i16 = 2;

/// The handler.
pub(crate) struct AddPartitionsToTxn;

impl Api for AddPartitionsToTxn {
    type Request = AddPartitionsToTxnRequest;
    const VERSIONS: (i16, i16) = (0, 3);
    const SHAPE: &'static str = "s 8 2 [(s [4])]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: AddPartitionsToTxnRequest,
    ) -> Reply<AddPartitionsToTxnResponse> {
        let topics = request.v3_and_below_topics;
        let id = &request.v3_and_below_transactional_id;
        if let Err(code) = context.check(Operation::Write, Resource::TransactionalId(id)) {
            return Reply::Now(answer(&topics, |_, _| code.code()));
        }
        let exists = |topic: &AddPartitionsToTxnTopic, partition: i32| {
            let log = broker.topics().log(&topic.name, partition);
            log.is_some() && !broker.topics().get(&topic.name).is_some_and(|topic| topic.is_internal())
        };
        let refusal = |topic: &AddPartitionsToTxnTopic, partition: i32| {
            let refusal = context.check(Operation::Write, Resource::Topic(&topic.name)).err();
            refusal.or_else(|| (!exists(topic, partition)).then_some(ErrorCode::UnknownTopicOrPartition))
        };
        let any_refused =
            topics.iter().any(|topic| topic.partitions.iter().any(|p| refusal(topic, *p).is_some()));
        if any_refused {
            return Reply::Now(answer(&topics, |topic, partition| {
                refusal(topic, partition).unwrap_or(ErrorCode::OperationNotAttempted).code()
            }));
        }
        let partitions = topics.iter().flat_map(|topic| {
            let name = topic.name.to_string();
            topic.partitions.iter().map(move |partition| (name.clone(), *partition))
        });
        let adding = Request::Add {
            producer: ProducerIdentity {
                id: request.v3_and_below_producer_id.0,
                epoch: request.v3_and_below_producer_epoch,
            },
            partitions: partitions.collect(),
        };
        let adding = broker.transactions().request(&request.v3_and_below_transactional_id, adding);
        Reply::Later(Box::pin(async move {
            let outcome = adding.await.map_err(|code| known_to(context.version, FENCED, code));
            let code = code_of(&outcome);
            answer(&topics, |_, _| code)
        }))
    }
}

fn answer(
    topics: &[AddPartitionsToTxnTopic],
    code: impl Fn(&AddPartitionsToTxnTopic, i32) -> i16,
) -> AddPartitionsToTxnResponse {
    let results = topics.iter().map(|topic| {
        let partition = |partition: &i32| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*partition)
                .with_partition_error_code(code(topic, *partition))
        };
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(topic.partitions.iter().map(partition).collect())
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect())
}
