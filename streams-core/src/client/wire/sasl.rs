//! SASL authentication of a new connection (SaslHandshake 1, SaslAuthenticate 0-2).

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;

use super::config::Sasl;
use super::connection::Connection;
use super::error::WireError;

/// Proves who we are; to be called before any other request but ApiVersions.
pub(super) async fn authenticate(connection: &Connection, credentials: &Sasl) -> Result<(), WireError> {
    let (mechanism, token) = match credentials {
        Sasl::Plain { username, password } => ("PLAIN", plain_token(username, password)),
    };
    let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
    let offer = connection.request(&handshake).await?;
    if let Some(code) = ResponseError::try_from_code(offer.error_code) {
        let known: Vec<&str> = offer.mechanisms.iter().map(StrBytes::as_str).collect();
        let reason = format!("{code} for {mechanism}, it knows {}", known.join(", "));
        return Err(WireError::Authentication { broker: connection.broker().to_owned(), reason });
    }
    let answer = connection.request(&SaslAuthenticateRequest::default().with_auth_bytes(token)).await?;
    match ResponseError::try_from_code(answer.error_code) {
        None => Ok(()),
        Some(code) => {
            let reason = answer.error_message.map_or_else(|| code.to_string(), |text| text.to_string());
            Err(WireError::Authentication { broker: connection.broker().to_owned(), reason })
        }
    }
}

/// RFC 4616: no authorisation identity, then user and password, each after a zero byte.
fn plain_token(username: &str, password: &str) -> Bytes {
    Bytes::from(format!("\0{username}\0{password}"))
}
