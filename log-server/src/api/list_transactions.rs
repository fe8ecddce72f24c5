//! ListTransactions (key 66), versions 0 to 1: the transactional ids of the server.
//!
//! Filters by state and by producer id; version 1 by how long a transaction has been open. States that do not exist
//! are named in the answer. Left out: patterns of ids (version 2).

use std::sync::Arc;

use kafka_protocol::messages::list_transactions_response::TransactionState;
use kafka_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::log::now_ms;
use crate::security::{Operation, Resource};
use crate::txn::transaction::{self, Transaction};

/// The handler.
pub(crate) struct ListTransactions;

impl Api for ListTransactions {
    type Request = ListTransactionsRequest;
    const VERSIONS: (i16, i16) = (0, 1);
    const SHAPE: &'static str = "[s] [8] 1+:8";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: ListTransactionsRequest,
    ) -> Reply<ListTransactionsResponse> {
        let unknown = request.state_filters.iter().filter(|name| {
            !transaction::TransactionState::ALL.iter().any(|state| state.name() == name.as_str())
        });
        let unknown = unknown.cloned().collect();
        let now = now_ms();
        let visible =
            |(id, _): &(String, _)| context.allows(Operation::Describe, Resource::TransactionalId(id));
        let listed = broker.transactions().list().into_iter().filter(visible);
        let states = listed.filter(|(_, transaction)| passes(&request, transaction, now)).map(listing);
        Reply::Now(
            ListTransactionsResponse::default()
                .with_unknown_state_filters(unknown)
                .with_transaction_states(states.collect()),
        )
    }
}

fn passes(request: &ListTransactionsRequest, transaction: &Transaction, now_ms: i64) -> bool {
    let of_state = request.state_filters.is_empty()
        || request.state_filters.iter().any(|name| name.as_str() == transaction.state.name());
    let of_producer = request.producer_id_filters.is_empty()
        || request.producer_id_filters.iter().any(|id| id.0 == transaction.producer.id);
    let of_age = request.duration_filter < 0
        || (transaction.started_ms >= 0
            && now_ms.saturating_sub(transaction.started_ms) > request.duration_filter);
    of_state && of_producer && of_age
}

fn listing((id, transaction): (String, Transaction)) -> TransactionState {
    TransactionState::default()
        .with_transactional_id(StrBytes::from_string(id).into())
        .with_producer_id(transaction.producer.id.into())
        .with_transaction_state(StrBytes::from_static_str(transaction.state.name()))
}
