//! Frames that no client should send: whatever comes, the server answers or closes the connection, soon and without
//! taking much memory.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use super::test_broker;
use crate::api::ApiTable;
use crate::listener::SecurityProtocol;
use crate::protocol::{FrameError, take_frame};
use crate::session::Session;

/// What a frame is made of: an API by its place in the table, a version, and changes to its default request.
#[derive(Debug, Clone)]
struct Hostile {
    api: prop::sample::Index,
    version: prop::sample::Index,
    /// Bytes that replace or follow those of the default request.
    changes: Vec<(prop::sample::Index, u8)>,
    insert: Vec<u8>,
    cut: prop::sample::Index,
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let byte = prop_oneof![any::<u8>(), Just(0), Just(1), Just(0x7f), Just(0x80), Just(0xff)];
    (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        prop::collection::vec((any::<prop::sample::Index>(), byte.clone()), 0..8),
        prop::collection::vec(byte, 0..40),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(api, version, changes, insert, cut)| Hostile { api, version, changes, insert, cut })
}

fn frame(table: &ApiTable, hostile: &Hostile) -> Bytes {
    let entries = table.entries();
    let entry = hostile.api.get(&entries);
    let versions: Vec<i16> = (entry.min_version..=entry.max_version).collect();
    let version = *hostile.version.get(&versions);
    let mut frame = BytesMut::new();
    frame.put_i16(entry.key);
    frame.put_i16(version);
    frame.put_i32(7);
    frame.put_i16(-1);
    if version >= entry.flexible_from {
        frame.put_u8(0);
    }
    let body_at = frame.len();
    let mut body = (entry.default_body)(version).to_vec();
    let at = hostile.cut.index(body.len() + 1);
    body.splice(at..at, hostile.insert.iter().copied());
    frame.extend_from_slice(&body);
    for (place, byte) in &hostile.changes {
        let length = frame.len() - body_at;
        if length > 0 {
            frame[body_at + place.index(length)] = *byte;
        }
    }
    frame.freeze()
}

/// A request may wait that long for others; then it has been understood, and that is enough here.
const PATIENCE: Duration = Duration::from_millis(20);

/// More requests at once than this are not begun, so that a case stays small.
const FRAMES_PER_CASE: usize = 20;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_frame_stops_the_server(frames in prop::collection::vec(hostile(), 1..FRAMES_PER_CASE)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let broker = test_broker();
            let session = Session::of_test(SecurityProtocol::Plaintext);
            for hostile in &frames {
                let frame = frame(ApiTable::get(), hostile);
                // A panic would end the test; an error closes the connection.
                let _ = tokio::time::timeout(PATIENCE, ApiTable::get().serve(&broker, &session, frame)).await;
            }
        });
    }

    #[test]
    fn any_bytes_are_cut_into_frames_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), limit in 0..1000usize) {
        let mut buffer = BytesMut::from(&bytes[..]);
        loop {
            match take_frame(&mut buffer, limit) {
                Ok(Some(frame)) => prop_assert!(frame.len() <= limit),
                Ok(None) => break,
                Err(FrameError::Negative(length)) => { prop_assert!(length < 0); break }
                Err(FrameError::TooLong { length, .. }) => { prop_assert!(length > limit); break }
            }
        }
        prop_assert!(buffer.capacity() <= 256 * 1024);
    }
}
