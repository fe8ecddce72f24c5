//! Fields of the non-flexible encoding: big-endian integers, strings with a 16-bit and bytes with a 32-bit length.

use bytes::{BufMut, Bytes, BytesMut};

/// Longest string that a 16-bit length can tell. API handlers refuse longer ones before they get here.
const MAX_STRING_BYTES: usize = i16::MAX as usize;

/// A record of an internal topic that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// The bytes end within a field, or a length is negative.
    #[error("internal record is cut short or has an impossible length")]
    Malformed,
    /// Text that is not UTF-8.
    #[error("internal record holds text that is not UTF-8")]
    NotUtf8,
    /// A version from another release.
    #[error(
        "{kind} record has version {version}, which this server cannot read: start the release that wrote it"
    )]
    Version {
        /// What the record is about.
        kind: &'static str,
        /// Its version.
        version: i16,
    },
}

/// Reads fields one after another, never past the end.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Begins at the first byte.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(RecordError::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        self.take(N)?.try_into().map_err(|_| RecordError::Malformed)
    }

    /// One byte.
    pub(crate) fn i8(&mut self) -> Result<i8, RecordError> {
        self.array().map(i8::from_be_bytes)
    }

    /// Two bytes.
    pub(crate) fn i16(&mut self) -> Result<i16, RecordError> {
        self.array().map(i16::from_be_bytes)
    }

    /// Four bytes.
    pub(crate) fn i32(&mut self) -> Result<i32, RecordError> {
        self.array().map(i32::from_be_bytes)
    }

    /// Eight bytes.
    pub(crate) fn i64(&mut self) -> Result<i64, RecordError> {
        self.array().map(i64::from_be_bytes)
    }

    /// A string that must be there.
    pub(crate) fn string(&mut self) -> Result<String, RecordError> {
        self.nullable_string()?.ok_or(RecordError::Malformed)
    }

    /// A string, or none for the length -1.
    pub(crate) fn nullable_string(&mut self) -> Result<Option<String>, RecordError> {
        let length = self.i16()?;
        if length == -1 {
            return Ok(None);
        }
        let bytes = self.take(usize::try_from(length).map_err(|_| RecordError::Malformed)?)?;
        let text = std::str::from_utf8(bytes).map_err(|_| RecordError::NotUtf8)?;
        Ok(Some(text.to_owned()))
    }

    /// Bytes with their length before them.
    pub(crate) fn bytes(&mut self) -> Result<Bytes, RecordError> {
        let length = usize::try_from(self.i32()?).map_err(|_| RecordError::Malformed)?;
        self.take(length).map(Bytes::copy_from_slice)
    }
}

/// Writes a string; one beyond the format's limit is cut at a character, which keeps the record readable.
pub(crate) fn put_string(out: &mut BytesMut, text: &str) {
    let mut end = text.len().min(MAX_STRING_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    out.put_i16(i16::try_from(end).unwrap_or(i16::MAX));
    out.put_slice(&text.as_bytes()[..end]);
}

/// Writes a string or the length -1.
pub(crate) fn put_nullable_string(out: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => put_string(out, text),
        None => out.put_i16(-1),
    }
}

/// Writes bytes with their length before them.
pub(crate) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
    out.put_slice(bytes);
}
