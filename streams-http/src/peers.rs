//! The other instances.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::error::{Refusal, RefusalBody};
use crate::partition_read::{PATH, PartitionAnswer, PartitionRead};

/// Longest wait for a connection to another instance: they are near each other, or gone.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// What an answer may hold besides its entries' bytes, and how much longer base64 makes those.
const ANSWER_OVERHEAD: usize = 4;
const ANSWER_BYTES_MIN: usize = 1 << 20;

/// Asks other instances; connections are kept.
#[derive(Debug, Clone)]
pub(crate) struct Peers(Client<HttpConnector, Full<Bytes>>);

impl Peers {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Peers(Client::builder(TokioExecutor::new()).build(connector))
    }

    /// What the instance at `server` answers for one of its partitions.
    pub(crate) async fn read(
        &self,
        server: &str,
        read: &PartitionRead,
        limit: Duration,
    ) -> Result<PartitionAnswer, Refusal> {
        let unreachable = |reason: String| Refusal {
            owner: Some(server.to_owned()),
            ..Refusal::retriable("unreachable", format!("instance {server} does not answer: {reason}"))
        };
        match tokio::time::timeout(limit, self.exchange(server, read)).await {
            Ok(Ok((StatusCode::OK, body))) => {
                serde_json::from_slice(&body).map_err(|error| unreachable(error.to_string()))
            }
            Ok(Ok((status, body))) => Err(match serde_json::from_slice::<RefusalBody>(&body) {
                Ok(body) => body.error,
                Err(_) => unreachable(format!("it answers {status}")),
            }),
            Ok(Err(reason)) => Err(unreachable(reason)),
            Err(_) => Err(unreachable(format!("no answer within {limit:?}"))),
        }
    }

    async fn exchange(&self, server: &str, read: &PartitionRead) -> Result<(StatusCode, Bytes), String> {
        let body = serde_json::to_vec(read).map_err(|error| error.to_string())?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{server}{PATH}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let response = self.0.request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let bytes_max = (read.max_bytes * ANSWER_OVERHEAD).max(ANSWER_BYTES_MIN) + read.limit * 256;
        let body = Limited::new(Body::new(response.into_body()), bytes_max).collect().await;
        Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
    }
}
