//! Asks an application's HTTP service.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A client that keeps its connections, as any well-behaved one does.
#[derive(Debug, Clone)]
pub struct HttpClient(Client<HttpConnector, Empty<Bytes>>);

impl Default for HttpClient {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        HttpClient(Client::builder(TokioExecutor::new()).build(connector))
    }
}

impl HttpClient {
    /// The status and body of a GET.
    ///
    /// # Errors
    /// When the service is not reachable.
    pub async fn get(&self, server: SocketAddr, path: &str) -> Outcome<(u16, String)> {
        let response = self.0.get(format!("http://{server}{path}").parse()?).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8(body.to_vec())?))
    }

    /// The status and body of a GET that is answered with JSON.
    ///
    /// # Errors
    /// When the service is not reachable or the answer is no JSON.
    pub async fn get_json(&self, server: SocketAddr, path: &str) -> Outcome<(u16, Value)> {
        let (status, body) = self.get(server, path).await?;
        let value = serde_json::from_str(&body);
        Ok((status, value.map_err(|fault| format!("{path}: {status}, {fault}: {body}"))?))
    }
}
