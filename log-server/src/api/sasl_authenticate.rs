//! SaslAuthenticate (key 36), versions 0 to 2: the tokens of a login.
//!
//! Version 1 tells for how long the login holds (KIP-368); before that has passed, handshake and tokens may come again
//! on the same connection, from the same user. A failed login is answered with error 58 after a delay, and the
//! connection is closed. Left out: nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslAuthenticateResponse};
use kafka_protocol::protocol::{Request, StrBytes};

use super::{Answer, Api, Reply, RequestContext, RequestFault, blocking};
use crate::broker::Broker;
use crate::protocol::{AnswerFrame, ErrorCode};
use crate::security::{Principal, Step};
use crate::session::{Login, Session};
use crate::topics::Refusal;

pub(super) const KEY: i16 = SaslAuthenticateRequest::KEY;

/// The handler.
pub(crate) struct SaslAuthenticate;

impl Api for SaslAuthenticate {
    type Request = SaslAuthenticateRequest;
    const VERSIONS: (i16, i16) = (0, 2);
    const SHAPE: &'static str = "b";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: SaslAuthenticateRequest,
    ) -> Reply<SaslAuthenticateResponse> {
        let response = SaslAuthenticateResponse::default();
        Reply::Now(match advance(&broker, &context.session, request.auth_bytes).await {
            Ok((token, lifetime)) => {
                let lifetime_ms =
                    lifetime.map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
                response.with_auth_bytes(token).with_session_lifetime_ms(lifetime_ms)
            }
            Err((code, reason)) => {
                context.session.end();
                response.with_error_code(code.code()).with_error_message(Some(StrBytes::from_string(reason)))
            }
        })
    }
}

/// Answers a token that came as a bare frame, after a handshake of version 0.
///
/// # Errors
/// [`RequestFault::LoginFailed`]: there is no answer then, the connection is closed.
pub(crate) async fn bare_token(
    broker: &Arc<Broker>,
    session: &Session,
    frame: Bytes,
) -> Result<Answer, RequestFault> {
    let (token, _) = advance(broker, session, frame).await.map_err(|_| RequestFault::LoginFailed)?;
    if matches!(*session.login(), Login::Idle) {
        session.take_tokens(false);
    }
    let mut frame = BytesMut::with_capacity(token.len() + 4);
    frame.put_u32(token.len() as u32);
    frame.put_slice(&token);
    Ok(Answer::Ready(AnswerFrame::whole(frame.freeze())))
}

/// Takes the client's next token; gives the server's, and for how long the login holds once it is complete.
async fn advance(
    broker: &Arc<Broker>,
    session: &Session,
    token: Bytes,
) -> Result<(Bytes, Option<Duration>), Refusal> {
    let Login::Exchanging(exchange) = std::mem::take(&mut *session.login()) else {
        let reason = "SaslAuthenticate request received before a successful SaslHandshake";
        return Err((ErrorCode::IllegalSaslState, reason.to_owned()));
    };
    let users = Arc::clone(broker.users());
    let turn = broker.login_turn().await;
    let step = blocking(move || exchange.step(&token, &users)).await.map_err(|code| (code, String::new()))?;
    drop(turn);
    let failure = match step {
        Ok(Step::Continue(token, exchange)) => {
            *session.login() = Login::Exchanging(exchange);
            return Ok((token.into(), None));
        }
        Ok(Step::Done(user, token)) => {
            let access = broker.access_of(Principal::user(&user), session.peer.ip());
            let lifetime = broker.config().security.max_reauth;
            match session.authenticate(access, broker.uptime(), lifetime) {
                Ok(()) => {
                    broker.metrics().logins.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(peer = %session.peer, user, "logged in");
                    return Ok((token.into(), lifetime));
                }
                Err(before) => format!("{user} cannot log in on a connection of {before}"),
            }
        }
        Err(failure) => failure.to_string(),
    };
    broker.metrics().failed_logins.fetch_add(1, Ordering::Relaxed);
    tracing::warn!(peer = %session.peer, failure, "login failed");
    tokio::time::sleep(broker.config().security.failed_login_delay).await;
    Err((ErrorCode::SaslAuthenticationFailed, format!("Authentication failed: {failure}")))
}
