//! Connections against a broker played by hand over an in-memory pipe.

use async_trait::async_trait;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest,
    HeartbeatResponse, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeResponse,
};
use tokio::io::DuplexStream;

use super::*;
use crate::client::wire::{Sasl, Transport};

/// The broker's end of the pipe.
struct Broker {
    stream: DuplexStream,
}

/// A request as the broker sees it.
struct Seen {
    key: i16,
    version: i16,
    correlation: i32,
    /// Header and body.
    bytes: Bytes,
}

impl Broker {
    async fn read(&mut self) -> Seen {
        let length = self.stream.read_i32().await.expect("a frame");
        let mut bytes = vec![0; usize::try_from(length).expect("a length")];
        self.stream.read_exact(&mut bytes).await.expect("a whole frame");
        let bytes = Bytes::from(bytes);
        let mut header = bytes.clone();
        Seen { key: header.get_i16(), version: header.get_i16(), correlation: header.get_i32(), bytes }
    }

    async fn answer<A: Encodable + HeaderVersion>(&mut self, correlation: i32, version: i16, answer: &A) {
        let mut frame = BytesMut::new();
        let header = ResponseHeader::default().with_correlation_id(correlation);
        header.encode(&mut frame, A::header_version(version)).expect("a header");
        answer.encode(&mut frame, version).expect("a body");
        self.stream.write_i32(i32::try_from(frame.len()).expect("small")).await.expect("open");
        self.stream.write_all(&frame).await.expect("open");
    }

    /// Answers the first request of every connection: the APIs and their highest versions.
    async fn offer(&mut self, apis: &[(ApiKey, i16)]) {
        let seen = self.read().await;
        assert_eq!((seen.key, seen.version), (ApiKey::ApiVersions as i16, 3));
        let api = |(key, max): &(ApiKey, i16)| {
            ApiVersion::default().with_api_key(*key as i16).with_max_version(*max)
        };
        let answer = ApiVersionsResponse::default().with_api_keys(apis.iter().map(api).collect());
        self.answer(seen.correlation, 3, &answer).await;
    }
}

/// Gives out one end of a pipe, once.
#[derive(Debug)]
struct Pipe(Mutex<Option<DuplexStream>>);

#[async_trait]
impl Transport for Pipe {
    async fn connect(&self, _address: &str) -> io::Result<Box<dyn ByteStream>> {
        let stream = self.0.lock().expect("no panic inside").take();
        Ok(Box::new(stream.ok_or(io::ErrorKind::ConnectionRefused)?))
    }
}

fn pipe() -> (WireConfig, Broker) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let mut config = WireConfig::new("broker:9092").client_id("rides");
    config.transport = Arc::new(Pipe(Mutex::new(Some(ours))));
    (config, Broker { stream: theirs })
}

/// An open connection to a broker that speaks Heartbeat and FindCoordinator.
async fn connected() -> (Connection, Broker) {
    let (config, mut broker) = pipe();
    let apis = [(ApiKey::Heartbeat, 4), (ApiKey::FindCoordinator, 6)];
    let (connection, ()) = tokio::join!(Connection::open("broker:9092", &config), broker.offer(&apis));
    (connection.expect("opened"), broker)
}

#[tokio::test]
async fn sends_the_client_id_and_the_highest_common_version() {
    let (connection, mut broker) = connected().await;
    let request = HeartbeatRequest::default().with_generation_id(7);
    let (answer, ()) = tokio::join!(connection.request(&request), async {
        let mut seen = broker.read().await;
        assert_eq!((seen.key, seen.version), (ApiKey::Heartbeat as i16, 4));
        let header = RequestHeader::decode(&mut seen.bytes, 2).expect("a header");
        assert_eq!(header.client_id.as_deref(), Some("rides"));
        assert_eq!(HeartbeatRequest::decode(&mut seen.bytes, 4).expect("a body").generation_id, 7);
        broker.answer(seen.correlation, 4, &HeartbeatResponse::default().with_error_code(27)).await;
    });
    assert_eq!(answer.expect("answered").error_code, 27);
}

#[tokio::test]
async fn requests_overtake_each_other() {
    let (connection, mut broker) = connected().await;
    let (heartbeat, search) = (HeartbeatRequest::default(), FindCoordinatorRequest::default());
    let (first, second, ()) =
        tokio::join!(connection.request(&heartbeat), connection.request(&search), async {
            let (one, two) = (broker.read().await, broker.read().await);
            let coordinator = FindCoordinatorResponse::default().with_port(9);
            broker.answer(two.correlation, 3, &coordinator).await;
            broker.answer(one.correlation, 4, &HeartbeatResponse::default().with_error_code(5)).await;
        });
    assert_eq!(first.expect("answered").error_code, 5);
    assert_eq!(second.expect("answered").port, 9);
}

#[tokio::test]
async fn falls_back_to_version_0_for_old_brokers() {
    let (config, mut broker) = pipe();
    let (connection, ()) = tokio::join!(Connection::open("broker:9092", &config), async {
        let first = broker.read().await;
        let refusal = ApiVersionsResponse::default().with_error_code(35);
        broker.answer(first.correlation, 0, &refusal).await;
        let second = broker.read().await;
        assert_eq!((second.key, second.version), (ApiKey::ApiVersions as i16, 0));
        let heartbeat = ApiVersion::default().with_api_key(ApiKey::Heartbeat as i16).with_max_version(3);
        let answer = ApiVersionsResponse::default().with_api_keys(vec![heartbeat]);
        broker.answer(second.correlation, 0, &answer).await;
    });
    assert_eq!(connection.expect("opened").version_of::<HeartbeatRequest>().ok(), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_times_out_ends_the_connection() {
    let (connection, mut broker) = connected().await;
    let limit = Duration::from_secs(2);
    let (heartbeat, search) = (HeartbeatRequest::default(), FindCoordinatorRequest::default());
    let (first, second) =
        tokio::join!(connection.request_within(&heartbeat, limit), connection.request(&search));
    assert!(
        matches!(&first, Err(WireError::TimedOut { api: "Heartbeat", after, .. }) if *after == limit),
        "{first:?}"
    );
    let error = second.expect_err("it waited behind the lost answer").to_string();
    assert!(error.contains("FindCoordinator") && error.contains("no answer to Heartbeat"), "{error}");
    assert!(connection.is_closed());
    broker.read().await;
}

#[tokio::test]
async fn a_broker_that_hangs_up_is_named() {
    let (connection, mut broker) = connected().await;
    let request = HeartbeatRequest::default();
    let (answer, ()) = tokio::join!(connection.request(&request), async {
        broker.read().await;
        drop(broker);
    });
    let error = answer.expect_err("nobody answered");
    assert!(error.is_retriable());
    assert_eq!(
        error.to_string(),
        "broker broker:9092 closed the connection before it answered Heartbeat: the broker closed the stream"
    );
    let again = connection.request(&request).await.expect_err("closed");
    assert!(matches!(again, WireError::Disconnected { .. }), "{again}");
}

#[tokio::test]
async fn frames_beyond_the_limits_end_the_connection() {
    for length in [i32::MAX, -1, 0, 3] {
        let (connection, mut broker) = connected().await;
        let request = HeartbeatRequest::default();
        let (answer, ()) = tokio::join!(connection.request(&request), async {
            broker.read().await;
            broker.stream.write_i32(length).await.expect("open");
            broker.stream.write_all(b"HTTP").await.expect("open");
        });
        let error = answer.expect_err("no answer").to_string();
        assert!(error.contains(&format!("a frame of {length} bytes")), "{error}");
    }
}

#[tokio::test]
async fn half_a_frame_and_foreign_answers_end_the_connection() {
    let request = HeartbeatRequest::default();
    let (connection, mut broker) = connected().await;
    let (answer, ()) = tokio::join!(connection.request(&request), async {
        broker.read().await;
        broker.stream.write_i32(100).await.expect("open");
        broker.stream.write_all(b"only this").await.expect("open");
        drop(broker);
    });
    assert!(answer.expect_err("half an answer").to_string().contains("within a frame"));

    let (connection, mut broker) = connected().await;
    let (answer, ()) = tokio::join!(connection.request(&request), async {
        broker.read().await;
        broker.answer(4_711, 4, &HeartbeatResponse::default()).await;
    });
    assert!(answer.expect_err("another's answer").to_string().contains("4711"));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_an_error() {
    let (connection, mut broker) = connected().await;
    let request = HeartbeatRequest::default();
    let (answer, ()) = tokio::join!(connection.request(&request), async {
        let seen = broker.read().await;
        broker.stream.write_i32(5).await.expect("open");
        broker.stream.write_i32(seen.correlation).await.expect("open");
        broker.stream.write_u8(0).await.expect("open");
    });
    assert!(matches!(&answer, Err(WireError::Decode { api: "Heartbeat", .. })), "{answer:?}");
    assert!(!connection.is_closed(), "the frames are still in step");
}

#[tokio::test]
async fn authenticates_with_plain() {
    for (code, accepted) in [(0, true), (58, false)] {
        let (config, mut broker) = pipe();
        let config = config.sasl(Sasl::Plain { username: "alice".to_owned(), password: "secret".to_owned() });
        let (connection, ()) = tokio::join!(Connection::open("broker:9092", &config), async {
            broker.offer(&[(ApiKey::SaslHandshake, 1), (ApiKey::SaslAuthenticate, 2)]).await;
            let handshake = broker.read().await;
            let mechanisms = vec![StrBytes::from_static_str("PLAIN")];
            let answer = SaslHandshakeResponse::default().with_mechanisms(mechanisms);
            broker.answer(handshake.correlation, 1, &answer).await;
            let mut proof = broker.read().await;
            RequestHeader::decode(&mut proof.bytes, 2).expect("a header");
            let token = SaslAuthenticateRequest::decode(&mut proof.bytes, 2).expect("a body").auth_bytes;
            assert_eq!(&token[..], b"\0alice\0secret");
            let answer = SaslAuthenticateResponse::default().with_error_code(code);
            broker.answer(proof.correlation, 2, &answer).await;
        });
        match connection {
            Ok(_) => assert!(accepted),
            Err(error) => {
                assert!(!accepted && !error.is_retriable());
                let text = error.to_string();
                assert!(text.contains("broker:9092") && !text.contains("secret"), "{text}");
            }
        }
        assert!(!format!("{config:?}").contains("secret"));
    }
}

#[tokio::test]
async fn nobody_there_is_an_error_with_the_address() {
    let (config, broker) = pipe();
    drop(broker);
    let first = Connection::open("broker:9092", &config).await.expect_err("hung up at once");
    assert!(matches!(first, WireError::Disconnected { .. }), "{first}");
    let second = Connection::open("broker:9092", &config).await.expect_err("the pipe is used up");
    assert!(second.to_string().starts_with("cannot connect to broker broker:9092"), "{second}");
}

#[test]
fn the_end_of_a_runtime_ends_its_connections() {
    let other = tokio::runtime::Runtime::new().expect("a runtime");
    let (connection, _broker) = other.block_on(connected());
    drop(other);
    let here = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let error = here.block_on(connection.request(&HeartbeatRequest::default())).expect_err("nobody reads");
    assert!(matches!(&error, WireError::Disconnected { .. }), "{error}");
}
