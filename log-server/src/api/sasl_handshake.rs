//! SaslHandshake (key 17), versions 0 and 1: the client chooses how to log in.
//!
//! After version 0 the tokens follow as bare frames, after version 1 within SaslAuthenticate. A mechanism that is not
//! offered is answered with error 33 and those that are, and the connection is closed; on a listener without login
//! error 34 is the answer. Left out: nothing.

use std::sync::Arc;

use kafka_protocol::messages::{SaslHandshakeRequest, SaslHandshakeResponse};
use kafka_protocol::protocol::{Request, StrBytes};

use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::protocol::ErrorCode;
use crate::security::{Exchange, SaslMechanism};
use crate::session::Login;

pub(super) const KEY: i16 = SaslHandshakeRequest::KEY;

/// From this version on tokens come within SaslAuthenticate.
const WRAPPED_TOKENS: i16 = 1;

/// The handler.
pub(crate) struct SaslHandshake;

impl Api for SaslHandshake {
    type Request = SaslHandshakeRequest;
    const VERSIONS: (i16, i16) = (0, 1);
    const SHAPE: &'static str = "s";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: SaslHandshakeRequest,
    ) -> Reply<SaslHandshakeResponse> {
        let session = &context.session;
        if !session.listener().protocol.uses_sasl() {
            let code = ErrorCode::IllegalSaslState.code();
            return Reply::Now(SaslHandshakeResponse::default().with_error_code(code));
        }
        let offered = &broker.config().security.mechanisms;
        let names = offered.iter().map(|mechanism| StrBytes::from_static_str(mechanism.name())).collect();
        let response = SaslHandshakeResponse::default().with_mechanisms(names);
        let chosen = SaslMechanism::from_name(&request.mechanism).filter(|chosen| offered.contains(chosen));
        let Some(chosen) = chosen else {
            tracing::info!(peer = %session.peer, mechanism = %request.mechanism, "mechanism is not offered");
            session.end();
            return Reply::Now(response.with_error_code(ErrorCode::UnsupportedSaslMechanism.code()));
        };
        *session.login() = Login::Exchanging(Exchange::Begun(chosen));
        session.take_tokens(context.version < WRAPPED_TOKENS);
        Reply::Now(response)
    }
}
