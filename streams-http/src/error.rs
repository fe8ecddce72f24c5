//! Why a request has no answer.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use streams_core::query::QueryError;
use thiserror::Error;

/// An error of the service itself.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The address cannot be listened on.
    #[error("the HTTP service cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The application did not start.
    #[error(transparent)]
    Streams(#[from] streams_core::Error),
}

/// What a request is answered with where it has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) kind: String,
    pub(crate) message: String,
    /// Whether asking again is likely to help.
    pub(crate) retriable: bool,
    /// Who has what was asked for, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
}

impl Refusal {
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Refusal { kind: "bad_request".to_owned(), message: message.into(), retriable: false, owner: None }
    }

    pub(crate) fn retriable(kind: &str, message: impl Into<String>) -> Self {
        Refusal { kind: kind.to_owned(), message: message.into(), retriable: true, owner: None }
    }

    fn status(&self) -> StatusCode {
        match self.kind.as_str() {
            "unknown_store" | "unknown_partition" | "not_found" => StatusCode::NOT_FOUND,
            "bad_request" | "wrong_key" | "foreign_position" => StatusCode::BAD_REQUEST,
            _ if self.retriable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        let owner = match &error {
            QueryError::Moved { owner, .. } => Some(owner.clone()),
            _ => None,
        };
        Refusal {
            kind: error.kind().to_owned(),
            message: error.to_string(),
            retriable: error.is_retriable(),
            owner,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RefusalBody {
    pub(crate) error: Refusal,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, retriable) = (self.status(), self.retriable);
        let mut response = (status, Json(RefusalBody { error: self })).into_response();
        if retriable {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
