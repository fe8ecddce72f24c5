//! Frames: a big-endian `i32` length, then that many bytes.

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of a frame's length prefix.
const LENGTH_BYTES: usize = 4;

/// Why a connection's bytes cannot be read on: the connection must be closed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// The length prefix is negative.
    #[error("frame length {0} is negative")]
    Negative(i32),
    /// The length prefix is above the limit of the server.
    #[error("frame of {length} bytes is above the limit of {limit} bytes (socket.request.max.bytes)")]
    TooLong { length: usize, limit: usize },
}

/// Takes the first whole frame, without its length prefix, from `buffer`; `None` while bytes are missing.
///
/// The frame shares the buffer's memory. Room for the rest of a started frame is reserved at once, so that a
/// large frame grows the buffer only one time; a length above `limit_bytes` reserves nothing.
///
/// # Errors
/// [`FrameError`] if the length is negative or above `limit_bytes`.
pub(crate) fn take_frame(buffer: &mut BytesMut, limit_bytes: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(prefix) = buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = i32::from_be_bytes(*prefix);
    let length = usize::try_from(length).map_err(|_| FrameError::Negative(length))?;
    if length > limit_bytes {
        return Err(FrameError::TooLong { length, limit: limit_bytes });
    }
    let missing = (LENGTH_BYTES + length).saturating_sub(buffer.len());
    if missing > 0 {
        // A sender may announce much and send nothing: memory follows the bytes that have come, doubling.
        buffer.reserve(missing.min(buffer.len().max(MIN_RESERVE_BYTES)));
        return Ok(None);
    }
    buffer.advance(LENGTH_BYTES);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// What is reserved at least when a frame is not yet whole.
const MIN_RESERVE_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_a_whole_frame() {
        let mut buffer = BytesMut::from(&[0, 0, 0, 3, 1, 2][..]);
        assert_eq!(take_frame(&mut buffer, 10), Ok(None));
        buffer.extend_from_slice(&[3, 9]);
        assert_eq!(take_frame(&mut buffer, 10), Ok(Some(Bytes::from_static(&[1, 2, 3]))));
        assert_eq!(buffer.as_ref(), &[9]);
    }

    #[test]
    fn refuses_bad_lengths_before_it_reserves() {
        let mut buffer = BytesMut::from(&[0xff, 0xff, 0xff, 0xff][..]);
        assert_eq!(take_frame(&mut buffer, 10), Err(FrameError::Negative(-1)));
        let mut buffer = BytesMut::from(&[0x7f, 0xff, 0xff, 0xff][..]);
        assert!(matches!(take_frame(&mut buffer, 10), Err(FrameError::TooLong { .. })));
        assert!(buffer.capacity() < 1024);
    }
}
