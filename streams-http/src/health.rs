//! Whether the application lives, and whether it works.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use streams_core::StreamsState;

use crate::routes::Service;

/// `/health`: while it is neither closed nor failed.
pub(crate) async fn alive(State(service): State<Service>) -> (StatusCode, Json<Value>) {
    let state = service.partitions.handle.state();
    let ended =
        matches!(state, StreamsState::PendingShutdown | StreamsState::NotRunning | StreamsState::Failed);
    answer(!ended, state)
}

/// `/health/ready`: while all its tasks run.
pub(crate) async fn ready(State(service): State<Service>) -> (StatusCode, Json<Value>) {
    let state = service.partitions.handle.state();
    answer(state == StreamsState::Running, state)
}

fn answer(well: bool, state: StreamsState) -> (StatusCode, Json<Value>) {
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "healthy": well, "state": state.to_string() })))
}
