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
/// The frame shares the buffer's memory. While it is not whole there is room in the buffer to read on: at least
/// [`MIN_ROOM_BYTES`], more as more of it has come.
///
/// # Errors
/// [`FrameError`] if the length is negative or above `limit_bytes`.
pub(crate) fn take_frame(buffer: &mut BytesMut, limit_bytes: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(prefix) = buffer.first_chunk::<LENGTH_BYTES>() else {
        make_room(buffer, MIN_ROOM_BYTES);
        return Ok(None);
    };
    let length = i32::from_be_bytes(*prefix);
    let length = usize::try_from(length).map_err(|_| FrameError::Negative(length))?;
    if length > limit_bytes {
        return Err(FrameError::TooLong { length, limit: limit_bytes });
    }
    let missing = (LENGTH_BYTES + length).saturating_sub(buffer.len());
    if missing > 0 {
        // A sender may announce much and send nothing: memory follows the bytes that have come.
        make_room(buffer, missing.min(buffer.len().max(MIN_ROOM_BYTES)));
        return Ok(None);
    }
    buffer.advance(LENGTH_BYTES);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// What a connection reads at a time at least: room for usual requests in one go. Memory that is not written to
/// costs nothing.
const MIN_ROOM_BYTES: usize = 32 * 1024;

/// Leaves the buffer as it is while a quarter of the room is there: a new piece of memory for each small request
/// would cost more than a second read now and then.
fn make_room(buffer: &mut BytesMut, bytes: usize) {
    if buffer.capacity() - buffer.len() < bytes.min(MIN_ROOM_BYTES / 4) {
        buffer.reserve(bytes);
    }
}

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
        assert!(buffer.capacity() < 2 * MIN_ROOM_BYTES);
    }
}
