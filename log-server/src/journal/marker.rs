//! Transaction markers: the control batches that end a producer's transaction in a partition (KIP-98).

use bytes::{BufMut, Bytes, BytesMut};

use super::ProducerIdentity;
use crate::log::{Appended, Marker, PartitionLog};
use crate::protocol::ErrorCode;
use crate::records::{BatchBuilder, BatchHeader, NO_SEQUENCE, NewRecord};

/// Versions of the marker's key and value.
const MARKER_VERSION: i16 = 0;
/// Key types of markers.
const ABORT: i16 = 0;
const COMMIT: i16 = 1;
/// The coordinator's own epoch in the marker. It tells coordinators on different brokers apart; here is one.
const COORDINATOR_EPOCH: i32 = 0;

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndMarker {
    /// Commit, or abort.
    pub(crate) is_commit: bool,
    /// When that was decided: after the transaction began, and before the id's next one does. So the marker's timestamp
    /// tells which transaction it ended.
    pub(crate) decided_ms: i64,
}

/// Appends the marker that commits or aborts the producer's transaction in a partition. The caller waits for the
/// disk.
///
/// # Errors
/// A storage error.
pub(crate) fn append_marker(
    log: &PartitionLog,
    producer: ProducerIdentity,
    end: EndMarker,
) -> Result<Appended, ErrorCode> {
    let (kind, marker) = if end.is_commit { (COMMIT, Marker::Commit) } else { (ABORT, Marker::Abort) };
    let mut builder = BatchBuilder::new(end.decided_ms)
        .producer(producer.id, producer.epoch, NO_SEQUENCE)
        .transactional(true);
    builder.push(&record(kind));
    let batch = builder.build().map_err(|_| ErrorCode::UnknownServerError)?;
    let header = BatchHeader::parse(&batch).map_err(|_| ErrorCode::UnknownServerError)?;
    log.append_marker(header, &batch, marker, COORDINATOR_EPOCH)
}

/// Whether the key of a control record is a marker's: true for a commit, none for other control records.
pub(crate) fn read_marker(key: &[u8]) -> Option<bool> {
    let (_version, rest) = key.split_first_chunk::<2>()?;
    match i16::from_be_bytes(*rest.first_chunk::<2>()?) {
        ABORT => Some(false),
        COMMIT => Some(true),
        _ => None,
    }
}

fn record(kind: i16) -> NewRecord {
    let mut key = BytesMut::with_capacity(4);
    key.put_i16(MARKER_VERSION);
    key.put_i16(kind);
    let mut value = BytesMut::with_capacity(6);
    value.put_i16(MARKER_VERSION);
    value.put_i32(COORDINATOR_EPOCH);
    NewRecord { key: Some(key.freeze()), value: Some(Bytes::from(value)), headers: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_have_the_bytes_of_the_protocol() {
        let commit = record(COMMIT);
        assert_eq!(commit.key.as_deref(), Some(&b"\0\0\0\x01"[..]));
        assert_eq!(commit.value.as_deref(), Some(&b"\0\0\0\0\0\0"[..]));
        assert_eq!(read_marker(b"\0\0\0\x01"), Some(true));
        assert_eq!(read_marker(b"\0\0\0\0"), Some(false));
        assert_eq!(read_marker(b"\0\0\0\x05"), None);
        assert_eq!(read_marker(b"\0"), None);
    }
}
