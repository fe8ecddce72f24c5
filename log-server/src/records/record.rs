//! Records within a batch.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use super::batch_header::{BATCH_HEADER_BYTES, BatchHeader, LOG_OVERHEAD_BYTES};
use super::compression::{Compression, CompressionError};
use super::varint::{put_varlong, read_varint, read_varlong};

/// Why a batch's records cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("batch has an unknown codec")]
    UnknownCodec,
    #[error(transparent)]
    Compression(#[from] CompressionError),
    #[error("record {index} of {count} is malformed")]
    Malformed { index: i32, count: i32 },
    #[error("{0} bytes are left after the last record")]
    Trailing(usize),
}

/// The records of one batch, decompressed if need be.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    header: BatchHeader,
    payload: Cow<'a, [u8]>,
}

/// A record, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) offset: i64,
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    /// How many headers there are, and their bytes.
    header_count: i32,
    headers: &'a [u8],
    /// The record as it stands in the payload, its length prefix included.
    pub(crate) raw: &'a [u8],
}

/// A header of a record; keys may occur more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
}

/// How large a batch's records may become when they are decompressed.
const MAX_DECOMPRESSED_BYTES: usize = 256 * 1024 * 1024;

impl<'a> Records<'a> {
    /// The records of `batch`, which must be whole: its checksum is not looked at.
    ///
    /// # Errors
    /// [`RecordError`] if the codec is unknown or the data cannot be decompressed.
    pub(crate) fn read(header: BatchHeader, batch: &'a [u8]) -> Result<Self, RecordError> {
        let codec = header.compression().ok_or(RecordError::UnknownCodec)?;
        let payload = batch.get(BATCH_HEADER_BYTES..header.size_bytes()).unwrap_or_default();
        Ok(Records { header, payload: decompress(codec, payload)? })
    }

    /// The batch with its records in another codec; offsets, times and producer stay.
    ///
    /// # Errors
    /// [`CompressionError`] if the codec fails.
    pub(crate) fn recompressed(&self, codec: Compression) -> Result<(BatchHeader, Bytes), CompressionError> {
        let payload = codec.compress(&self.payload)?;
        let mut header = self.header.with_compression(codec);
        header.length = (BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES + payload.len()) as i32;
        let mut batch = BytesMut::zeroed(BATCH_HEADER_BYTES);
        batch.extend_from_slice(&payload);
        header.write(&mut batch);
        Ok((header, batch.freeze()))
    }

    /// Goes through the records; an error ends it.
    pub(crate) fn iter(&self) -> RecordIter<'_> {
        RecordIter { header: self.header, rest: &self.payload, index: 0 }
    }
}

fn decompress(codec: Compression, payload: &[u8]) -> Result<Cow<'_, [u8]>, CompressionError> {
    codec.decompress(payload, MAX_DECOMPRESSED_BYTES)
}

/// Goes through the records of a batch.
#[derive(Debug)]
pub(crate) struct RecordIter<'a> {
    header: BatchHeader,
    rest: &'a [u8],
    index: i32,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let count = self.header.record_count;
        if self.index >= count {
            let left = std::mem::take(&mut self.rest).len();
            return (left > 0).then_some(Err(RecordError::Trailing(left)));
        }
        let index = self.index;
        self.index += 1;
        let record = read_record(&self.header, &mut self.rest);
        if record.is_none() {
            self.index = count;
            self.rest = &[];
        }
        Some(record.ok_or(RecordError::Malformed { index, count }))
    }
}

fn read_record<'a>(header: &BatchHeader, rest: &mut &'a [u8]) -> Option<Record<'a>> {
    let whole = *rest;
    let length = usize::try_from(read_varint(rest)?).ok()?;
    let (mut body, after) = rest.split_at_checked(length)?;
    let raw = &whole[..whole.len() - after.len()];
    *rest = after;
    // The record's own attributes are unused.
    let (_, fields) = body.split_first()?;
    body = fields;
    let timestamp_delta = read_varlong(&mut body)?;
    let offset_delta = read_varint(&mut body)?;
    let key = read_nullable(&mut body)?;
    let value = read_nullable(&mut body)?;
    let header_count = read_varint(&mut body)?;
    let headers = body;
    let mut unread = HeaderIter { left: header_count, rest: headers };
    if header_count < 0 || unread.by_ref().count() != header_count as usize || !unread.rest.is_empty() {
        return None;
    }
    let timestamp = if header.is_log_append_time() {
        header.max_timestamp
    } else {
        header.base_timestamp.wrapping_add(timestamp_delta)
    };
    let offset = header.base_offset.wrapping_add(i64::from(offset_delta));
    Some(Record { offset, offset_delta, timestamp, key, value, header_count, headers, raw })
}

fn read_nullable<'a>(body: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match read_varint(body)? {
        -1 => Some(None),
        length => {
            let (bytes, rest) = body.split_at_checked(usize::try_from(length).ok()?)?;
            *body = rest;
            Some(Some(bytes))
        }
    }
}

impl<'a> Record<'a> {
    /// Writes what comes after times and offsets: key, value, headers.
    pub(super) fn put_content(&self, out: &mut BytesMut) {
        for bytes in [self.key, self.value] {
            put_varlong(out, bytes.map_or(-1, |bytes| bytes.len() as i64));
            out.extend_from_slice(bytes.unwrap_or_default());
        }
        put_varlong(out, i64::from(self.header_count));
        out.extend_from_slice(self.headers);
    }

    /// The record's headers, in order.
    #[cfg(test)]
    pub(crate) fn headers(&self) -> HeaderIter<'a> {
        HeaderIter { left: self.header_count, rest: self.headers }
    }
}

/// Goes through the headers of a record.
#[derive(Debug)]
pub(crate) struct HeaderIter<'a> {
    left: i32,
    rest: &'a [u8],
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        if self.left <= 0 {
            return None;
        }
        let key = read_nullable(&mut self.rest)??;
        let value = read_nullable(&mut self.rest)?;
        self.left -= 1;
        Some(Header { key, value })
    }
}
