//! SASL authentication of a new connection (SaslHandshake 1, SaslAuthenticate 0-2).

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;

use super::config::Sasl;
use super::connection::Connection;
use super::error::WireError;
#[cfg(feature = "ssl")]
use super::scram::ScramExchange;

/// Proves who we are; to be called before any other request but ApiVersions.
pub(super) async fn authenticate(connection: &Connection, credentials: &Sasl) -> Result<(), WireError> {
    match credentials {
        Sasl::Plain { username, password } => {
            shake_hands(connection, "PLAIN").await?;
            exchange(connection, plain_token(username, password)).await.map(drop)
        }
        #[cfg(feature = "ssl")]
        Sasl::Scram { mechanism, username, password } => {
            let failed =
                |reason| WireError::Authentication { broker: connection.broker().to_owned(), reason };
            shake_hands(connection, mechanism.name()).await?;
            let (scram, first) = ScramExchange::begin(*mechanism, username, password).map_err(failed)?;
            let challenge = exchange(connection, first.into()).await?;
            let (proof, expected) = scram.prove(&text(&challenge)).map_err(failed)?;
            let last = exchange(connection, proof.into()).await?;
            expected.check(&text(&last)).map_err(failed)
        }
        #[cfg(not(feature = "ssl"))]
        Sasl::Scram { mechanism, .. } => {
            let reason = format!("{} takes the feature `ssl` of streams-core", mechanism.name());
            Err(WireError::Authentication { broker: connection.broker().to_owned(), reason })
        }
    }
}

async fn shake_hands(connection: &Connection, mechanism: &'static str) -> Result<(), WireError> {
    let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
    let offer = connection.request(&handshake).await?;
    match ResponseError::try_from_code(offer.error_code) {
        None => Ok(()),
        Some(code) => {
            let known: Vec<&str> = offer.mechanisms.iter().map(StrBytes::as_str).collect();
            let reason = format!("{code} for {mechanism}, it knows {}", known.join(", "));
            Err(WireError::Authentication { broker: connection.broker().to_owned(), reason })
        }
    }
}

/// One message there and one back.
async fn exchange(connection: &Connection, token: Bytes) -> Result<Bytes, WireError> {
    let answer = connection.request(&SaslAuthenticateRequest::default().with_auth_bytes(token)).await?;
    match ResponseError::try_from_code(answer.error_code) {
        None => Ok(answer.auth_bytes),
        Some(code) => {
            let reason = answer.error_message.map_or_else(|| code.to_string(), |text| text.to_string());
            Err(WireError::Authentication { broker: connection.broker().to_owned(), reason })
        }
    }
}

#[cfg(feature = "ssl")]
fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// RFC 4616: no authorisation identity, then user and password, each after a zero byte.
fn plain_token(username: &str, password: &str) -> Bytes {
    Bytes::from(format!("\0{username}\0{password}"))
}
