//! A fetched record: where its parts lie within the bytes of its batch.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::record_batch::Reader;
use crate::record::{FetchedRecord, Headers};
use crate::time::Timestamp;

/// The records' part of a batch, decompressed.
#[derive(Debug)]
pub(super) struct BatchBytes {
    pub(super) bytes: Bytes,
    pub(super) leader_epoch: i32,
}

/// A place within the bytes of a batch, or null.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    pub(super) const NULL: Span = Span { start: 0, len: u32::MAX };

    /// The place between two indexes of a batch, which is smaller than 2 GiB.
    pub(super) fn new(start: usize, len: usize) -> Self {
        Span { start: start as u32, len: len as u32 }
    }

    /// The bytes at this place; none for null.
    pub(super) fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        if self.len == u32::MAX {
            return None;
        }
        let start = self.start as usize;
        bytes.get(start..start + self.len as usize)
    }
}

/// A fetched record. Its bytes are those of the broker's answer, shared with the other records of its batch, until the
/// last of them is dropped.
#[derive(Clone)]
pub struct FetchedMessage {
    pub(super) batch: Arc<BatchBytes>,
    pub(super) offset: i64,
    pub(super) timestamp_ms: i64,
    pub(super) key: Span,
    pub(super) value: Span,
    /// The number of headers and what follows it.
    pub(super) headers: Span,
}

impl FetchedRecord for FetchedMessage {
    fn key(&self) -> Option<&[u8]> {
        self.key.of(&self.batch.bytes)
    }

    fn value(&self) -> Option<&[u8]> {
        self.value.of(&self.batch.bytes)
    }

    fn offset(&self) -> i64 {
        self.offset
    }

    fn leader_epoch(&self) -> i32 {
        self.batch.leader_epoch
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp::from_millis(self.timestamp_ms)
    }

    fn headers(&self) -> Headers {
        match self.headers.of(&self.batch.bytes) {
            // No headers: the rule.
            None | Some([] | [0]) => Headers::new(),
            Some(bytes) => read_headers(bytes),
        }
    }
}

impl fmt::Debug for FetchedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchedMessage").field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// The headers, as far as they can be read: their layout is not checked when a record is fetched.
fn read_headers(bytes: &[u8]) -> Headers {
    let mut reader = Reader::new(bytes);
    let count = reader.varint().unwrap_or(0);
    let mut headers = Headers::new();
    for _ in 0..count {
        let Some((name, value)) = read_header(&mut reader) else { break };
        headers.add(name, value);
    }
    headers
}

fn read_header(reader: &mut Reader<'_>) -> Option<(Arc<str>, Option<Bytes>)> {
    let name = reader.span()?.of(reader.bytes())?;
    let value = reader.span()?.of(reader.bytes());
    Some((String::from_utf8_lossy(name).into(), value.map(Bytes::copy_from_slice)))
}
