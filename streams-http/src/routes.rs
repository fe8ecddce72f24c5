//! Which path is answered by whom.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::error::Refusal;
use crate::metrics::Scrapes;
use crate::options::HttpOptions;
use crate::partition_read::{PATH, PartitionAnswer, PartitionRead};
use crate::partitions::Partitions;
use crate::{health, metrics, status, store_query, topology};

/// Largest request body: a key between two instances.
const BODY_BYTES_MAX: usize = 1 << 20;

/// What every answer is made from.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) partitions: Partitions,
    pub(crate) options: Arc<HttpOptions>,
    pub(crate) scrapes: Scrapes,
    pub(crate) queries: Arc<Semaphore>,
}

impl Service {
    /// Lets a query begin, unless too many are under way.
    pub(crate) fn permit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.queries).try_acquire_owned().map_err(|_| {
            Refusal::retriable("busy", format!("{} queries are under way already", self.options.queries_max))
        })
    }
}

pub(crate) fn router(service: Service) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/stores", get(status::stores))
        .route("/stores/{store}/keys/{*key}", get(store_query::key))
        .route("/stores/{store}/entries", get(store_query::entries))
        .route(PATH, post(partition))
        .route("/metrics", get(metrics::metrics))
        .route("/health", get(health::alive))
        .route("/health/ready", get(health::ready))
        .route("/status", get(status::status))
        .route("/topology", get(topology::description))
        .route("/topology/mermaid", get(topology::mermaid))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(service)
}

/// Another instance asks for a partition that it believes to be here.
async fn partition(
    State(service): State<Service>,
    Json(mut read): Json<PartitionRead>,
) -> Result<Json<PartitionAnswer>, Refusal> {
    read.limit = read.limit.min(service.options.page_entries_max);
    read.max_bytes = read.max_bytes.min(service.options.page_bytes_max);
    let patience = std::time::Duration::from_millis(read.patience_ms).min(service.options.query_timeout_max);
    let answer = service.partitions.read_here(&mut read, Instant::now() + patience).await?;
    Ok(Json(answer))
}

async fn index() -> &'static str {
    "/stores\n/stores/{store}/keys/{key}\n/stores/{store}/entries\n/metrics\n/health\n/health/ready\n/status\n/topology\n\
     /topology/mermaid\n"
}

async fn unknown() -> Response {
    let message = "there is no such path; / lists those that there are".to_owned();
    Refusal { kind: "not_found".to_owned(), message, retriable: false, owner: None }.into_response()
}
