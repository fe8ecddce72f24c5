//! DescribeTransactions (key 65), version 0: what is known of transactional ids.
//!
//! An id that nobody uses is answered with error 105. Left out: nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse, TransactionalId};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource};

/// The handler.
pub(crate) struct DescribeTransactions;

impl Api for DescribeTransactions {
    type Request = DescribeTransactionsRequest;
    const VERSIONS: (i16, i16) = (0, 0);
    const SHAPE: &'static str = "[s]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: DescribeTransactionsRequest,
    ) -> Reply<DescribeTransactionsResponse> {
        let states =
            request.transactional_ids.into_iter().map(|id| describe(&broker, &context, id)).collect();
        Reply::Now(DescribeTransactionsResponse::default().with_transaction_states(states))
    }
}

fn describe(broker: &Broker, context: &RequestContext, id: TransactionalId) -> TransactionState {
    let described = broker.transactions().describe(&id);
    let allowed = context.check(Operation::Describe, Resource::TransactionalId(&id));
    let answer = TransactionState::default().with_transactional_id(id);
    if let Err(code) = allowed {
        return answer.with_error_code(code.code());
    }
    let Some(transaction) = described else {
        return answer.with_error_code(ErrorCode::TransactionalIdNotFound.code());
    };
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    let visible = |(topic, _): &(String, i32)| context.allows(Operation::Describe, Resource::Topic(topic));
    for (topic, partition) in transaction.partitions.into_iter().filter(visible) {
        topics.entry(topic).or_default().push(partition);
    }
    let topic = |(topic, partitions)| {
        TopicData::default().with_topic(StrBytes::from_string(topic).into()).with_partitions(partitions)
    };
    answer
        .with_transaction_state(StrBytes::from_static_str(transaction.state.name()))
        .with_transaction_timeout_ms(i32::try_from(transaction.timeout.as_millis()).unwrap_or(i32::MAX))
        .with_transaction_start_time_ms(transaction.started_ms)
        .with_producer_id(transaction.producer.id.into())
        .with_producer_epoch(transaction.producer.epoch)
        .with_topics(topics.into_iter().map(topic).collect())
}
