//! Metrics in Prometheus' text form.

use std::sync::OnceLock;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::routes::Service;

/// Upper bounds of latencies, in milliseconds.
const LATENCY_MS: &[f64] =
    &[0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 5_000.0, 30_000.0, 300_000.0];

/// The process's recorder of metrics; none where the application has installed another one.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Renders what was measured.
#[derive(Clone)]
pub(crate) struct Scrapes(Option<PrometheusHandle>);

impl Scrapes {
    /// Makes the process's recorder, where it has none.
    pub(crate) fn install() -> Self {
        let install = || {
            let builder = PrometheusBuilder::new().set_buckets(LATENCY_MS).ok()?;
            match builder.install_recorder() {
                Ok(handle) => Some(handle),
                Err(error) => {
                    tracing::info!(%error, "/metrics is left to the recorder that the application has installed");
                    None
                }
            }
        };
        Scrapes(RECORDER.get_or_init(install).clone())
    }
}

impl std::fmt::Debug for Scrapes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scrapes")
    }
}

/// `/metrics`.
pub(crate) async fn metrics(State(service): State<Service>) -> Response {
    match &service.scrapes.0 {
        Some(handle) => {
            handle.run_upkeep();
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render())
                .into_response()
        }
        None => {
            (StatusCode::NOT_IMPLEMENTED, "the application has a recorder of its own: ask its exporter\n")
                .into_response()
        }
    }
}
