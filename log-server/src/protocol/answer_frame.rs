//! An encoded answer, in pieces.

use bytes::{Bytes, BytesMut};

/// Length prefix, header and body of an answer, to be written one chunk after the other.
#[derive(Debug, Default)]
pub(crate) struct AnswerFrame {
    chunks: Vec<Bytes>,
}

impl AnswerFrame {
    /// A frame of one piece, length prefix included.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        AnswerFrame { chunks: vec![bytes] }
    }

    /// A frame of several pieces; the first four bytes, which are room for it, are set to the length.
    pub(crate) fn with_length(mut chunks: Vec<Bytes>) -> Self {
        let length: usize = chunks.iter().map(Bytes::len).sum();
        if let Some(first) = chunks.first_mut() {
            // The pieces were frozen a moment ago and have one owner, so this copies nothing.
            let mut bytes = BytesMut::from(std::mem::take(first));
            bytes[..4].copy_from_slice(&(length as u32 - 4).to_be_bytes());
            *first = bytes.freeze();
        }
        AnswerFrame { chunks }
    }

    /// The pieces, in order.
    pub(crate) fn into_chunks(self) -> Vec<Bytes> {
        self.chunks
    }

    /// All in one piece.
    #[cfg(test)]
    pub(crate) fn to_bytes(&self) -> Bytes {
        Bytes::from(self.chunks.concat())
    }
}
