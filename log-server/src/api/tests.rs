use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestKind};

use super::*;
use crate::config::{FsyncPolicy, LogServerConfig};
use crate::listener::SecurityProtocol;
use crate::protocol::request_frame;

mod administration;
mod authorization;
mod every_version;
mod hostile_frames;
mod login;
mod structured_frames;

/// A broker on a directory of its own that does not wait for the disk.
pub(super) fn test_broker() -> Arc<Broker> {
    Broker::open(LogServerConfig::temporary().unwrap().fsync(FsyncPolicy::Never)).unwrap()
}

/// What a client is answered that may do everything.
async fn answer(broker: &Arc<Broker>, frame: Bytes) -> Result<Bytes, RequestFault> {
    answer_on(broker, &Session::of_test(SecurityProtocol::Plaintext), frame).await
}

async fn answer_on(
    broker: &Arc<Broker>,
    session: &Arc<Session>,
    frame: Bytes,
) -> Result<Bytes, RequestFault> {
    match ApiTable::get().serve(broker, session, frame).await? {
        Answer::Ready(frame) => Ok(frame.to_bytes()),
        Answer::Pending(answer) => answer.await.map(|frame| frame.to_bytes()),
        Answer::None => Ok(Bytes::new()),
    }
}

#[tokio::test]
async fn advertised_ranges_are_those_of_the_handlers() {
    let broker = test_broker();
    for version in 0..=4 {
        let mut bytes =
            answer(&broker, request_frame(&ApiVersionsRequest::default(), version, 7)).await.unwrap();
        let mut body = bytes.split_off(8);
        let response = ApiVersionsResponse::decode(&mut body, version).unwrap();
        let advertised: Vec<_> =
            response.api_keys.iter().map(|key| (key.api_key, key.min_version, key.max_version)).collect();
        let served: Vec<_> = ApiTable::get()
            .entries()
            .into_iter()
            .map(|entry| (entry.key, entry.min_version, entry.max_version))
            .collect();
        assert_eq!(advertised, served);
    }
}

#[tokio::test]
async fn unknown_version_of_api_versions_is_answered_in_version_0() {
    let broker = test_broker();
    let frame = Bytes::from_static(&[0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 1, 2, 3]);
    let mut bytes = answer(&broker, frame).await.unwrap();
    let response = ApiVersionsResponse::decode(&mut bytes.split_off(8), 0).unwrap();
    assert_eq!(response.error_code, 35);
    assert_eq!(response.api_keys.len(), 1);
}

/// Each version that a handler claims can be decoded and encoded by the message crate, and the shape walks
/// exactly the bytes of the default request.
#[test]
fn shapes_fit_the_messages_in_every_version() {
    for entry in ApiTable::get().entries() {
        let key = ApiKey::try_from(entry.key).unwrap();
        for version in entry.min_version..=entry.max_version {
            let mut body = (entry.default_body)(version);
            let flexible = version >= entry.flexible_from;
            assert_eq!(
                entry.shape.check(&body, version, flexible),
                Ok(body.len()),
                "{key:?} version {version}: {body:?}"
            );
            RequestKind::decode(key, &mut body, version).unwrap();
        }
    }
}
