//! Logging in, and what is served before.

use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Request};

use super::every_version::text;
use super::*;
use crate::config::LogServerConfig;

fn config() -> LogServerConfig {
    let config =
        LogServerConfig::temporary().unwrap().fsync(FsyncPolicy::Never).user("alice", "alice-secret");
    config.failed_login_delay(std::time::Duration::from_millis(20))
}

async fn call<R: Request>(
    broker: &Arc<Broker>,
    session: &Arc<Session>,
    request: &R,
    version: i16,
) -> R::Response {
    let frame = answer_on(broker, session, request_frame(request, version, 7)).await.unwrap();
    let header = 8 + usize::from(R::Response::header_version(version) == 1);
    R::Response::decode(&mut frame.slice(header..), version).unwrap()
}

fn new_session() -> Arc<Session> {
    Session::of_test(SecurityProtocol::SaslPlaintext)
}

async fn handshake(broker: &Arc<Broker>, session: &Arc<Session>, mechanism: &str, version: i16) -> i16 {
    let request = SaslHandshakeRequest::default().with_mechanism(text(mechanism));
    call(broker, session, &request, version).await.error_code
}

async fn token(broker: &Arc<Broker>, session: &Arc<Session>, token: &[u8]) -> SaslAuthenticateResponse {
    let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::copy_from_slice(token));
    call(broker, session, &request, 2).await
}

#[tokio::test]
async fn nothing_is_served_before_the_login_but_versions_and_the_handshake() {
    let broker = Broker::open(config()).unwrap();
    for entry in ApiTable::get().entries() {
        let mut frame = BytesMut::new();
        frame.put_i16(entry.key);
        frame.put_i16(entry.max_version);
        frame.put_i32(7);
        frame.put_i16(-1);
        if entry.max_version >= entry.flexible_from {
            frame.put_u8(0);
        }
        frame.put((entry.default_body)(entry.max_version));
        let session = new_session();
        let answered = answer_on(&broker, &session, frame.freeze()).await;
        match entry.key {
            17 | 18 | 36 => assert!(answered.is_ok()),
            key => assert!(
                matches!(answered, Err(RequestFault::Unauthenticated { key: refused, .. }) if refused == key),
                "api key {key}"
            ),
        }
    }
}

#[tokio::test]
async fn plain_logs_in_and_a_failure_is_delayed_and_ends_the_connection() {
    let broker = Broker::open(config()).unwrap();
    let session = new_session();
    assert_eq!(token(&broker, &session, b"\0alice\0alice-secret").await.error_code, 34, "handshake first");
    let session = new_session();
    assert_eq!(handshake(&broker, &session, "PLAIN", 1).await, 0);
    assert_eq!(token(&broker, &session, b"\0alice\0alice-secret").await.error_code, 0);
    assert!(session.is_authenticated() && !session.is_ending());
    let metadata = call(&broker, &session, &MetadataRequest::default(), 9).await;
    assert_eq!(metadata.brokers.len(), 1);
    for wrong in
        ["\0alice\0alice-Secret", "\0bob\0alice-secret", "bob\0alice\0alice-secret", "", "\0\0", "\0alice\0"]
    {
        let session = new_session();
        handshake(&broker, &session, "PLAIN", 1).await;
        let began = std::time::Instant::now();
        assert_eq!(token(&broker, &session, wrong.as_bytes()).await.error_code, 58, "{wrong:?}");
        assert!(began.elapsed() >= std::time::Duration::from_millis(20));
        assert!(session.is_ending() && !session.is_authenticated());
    }
}

#[tokio::test]
async fn a_mechanism_that_is_not_offered_is_refused_with_those_that_are() {
    let broker = Broker::open(config().sasl_mechanisms([crate::SaslMechanism::ScramSha512])).unwrap();
    for mechanism in ["PLAIN", "GSSAPI", ""] {
        let session = new_session();
        let request = SaslHandshakeRequest::default().with_mechanism(text(mechanism));
        let response = call(&broker, &session, &request, 1).await;
        assert_eq!((response.error_code, &*response.mechanisms), (33, &[text("SCRAM-SHA-512")][..]));
        assert!(session.is_ending());
    }
    let plaintext = Session::of_test(SecurityProtocol::Plaintext);
    assert_eq!(handshake(&broker, &plaintext, "SCRAM-SHA-512", 1).await, 34);
}

#[tokio::test]
async fn bare_tokens_follow_the_first_version_of_the_handshake() {
    let broker = Broker::open(config()).unwrap();
    let session = new_session();
    assert_eq!(handshake(&broker, &session, "PLAIN", 0).await, 0);
    assert!(session.takes_tokens());
    let frame = Bytes::from_static(b"\0alice\0alice-secret");
    let Ok(Answer::Ready(answer)) = bare_token(&broker, &session, frame).await else {
        panic!("it is answered")
    };
    assert_eq!(answer.to_bytes().as_ref(), [0, 0, 0, 0]);
    assert!(session.is_authenticated() && !session.takes_tokens());
    let session = new_session();
    handshake(&broker, &session, "PLAIN", 0).await;
    let wrong = bare_token(&broker, &session, Bytes::from_static(b"\0alice\0x")).await;
    assert!(matches!(wrong, Err(RequestFault::LoginFailed)));
}

#[tokio::test]
async fn a_login_that_has_expired_must_be_renewed() {
    let lifetime = std::time::Duration::from_secs(3600);
    let broker = Broker::open(config().user("bob", "bob-secret").max_reauth(lifetime)).unwrap();
    let session = new_session();
    handshake(&broker, &session, "PLAIN", 1).await;
    let response = token(&broker, &session, b"\0alice\0alice-secret").await;
    assert_eq!(response.session_lifetime_ms, 3_600_000);
    handshake(&broker, &session, "PLAIN", 1).await;
    assert_eq!(token(&broker, &session, b"\0alice\0alice-secret").await.error_code, 0);
    handshake(&broker, &session, "PLAIN", 1).await;
    assert_eq!(
        token(&broker, &session, b"\0bob\0bob-secret").await.error_code,
        58,
        "nobody else may take over"
    );
}

/// A client's side of SCRAM, written from the RFC.
#[tokio::test]
async fn scram_logs_in_users_that_were_added_at_run_time() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let broker = Broker::open(config()).unwrap();
    let salted: [u8; 64] = [7; 64];
    let upsertion = alter_user_scram_credentials_request::ScramCredentialUpsertion::default()
        .with_name(text("carol"))
        .with_mechanism(2)
        .with_iterations(4096)
        .with_salt(Bytes::from_static(b"salt"))
        .with_salted_password(Bytes::copy_from_slice(&salted));
    let request = AlterUserScramCredentialsRequest::default().with_upsertions(vec![upsertion]);
    let admin = Session::of_test(SecurityProtocol::Plaintext);
    assert_eq!(call(&broker, &admin, &request, 0).await.results[0].error_code, 0);
    let sign = |key: &[u8], message: &str| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA512, key);
        ring::hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
    };
    for (flip, code) in [(0, 0), (1, 58)] {
        let session = new_session();
        handshake(&broker, &session, "SCRAM-SHA-512", 1).await;
        let first = token(&broker, &session, b"n,,n=carol,r=abc").await;
        let server_first = std::str::from_utf8(&first.auth_bytes).unwrap();
        assert!(server_first.ends_with(",s=c2FsdA==,i=4096"), "{server_first}");
        let nonce = server_first.split(',').next().unwrap();
        let signed = format!("n=carol,r=abc,{server_first},c=biws,{nonce}");
        let client_key = sign(&salted, "Client Key");
        let stored_key = ring::digest::digest(&ring::digest::SHA512, &client_key);
        let signature = sign(stored_key.as_ref(), &signed);
        let mut proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, byte)| key ^ byte).collect();
        proof[5] ^= flip;
        let last = format!("c=biws,{nonce},p={}", STANDARD.encode(proof));
        let response = token(&broker, &session, last.as_bytes()).await;
        assert_eq!(response.error_code, code);
        if code == 0 {
            let expected = format!("v={}", STANDARD.encode(sign(&sign(&salted, "Server Key"), &signed)));
            assert_eq!(response.auth_bytes.as_ref(), expected.as_bytes());
        }
        assert_eq!(session.is_authenticated(), code == 0);
    }
}
