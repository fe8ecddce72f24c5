//! An encoded answer, in pieces.

use bytes::{Bytes, BytesMut};

use crate::memory::MemoryPart;

/// Length prefix, header and body of an answer, to be written one chunk after the other.
#[derive(Debug, Default)]
pub(crate) struct AnswerFrame {
    chunks: Vec<Bytes>,
    /// What the answer has taken from the memory that all connections share.
    memory: Option<MemoryPart>,
}

impl AnswerFrame {
    /// A frame of one piece, length prefix included.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        AnswerFrame { chunks: vec![bytes], memory: None }
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
        AnswerFrame { chunks, memory: None }
    }

    /// Keeps the memory taken until the answer is sent.
    pub(crate) fn holding(mut self, memory: Option<MemoryPart>) -> Self {
        self.memory = memory;
        self
    }

    /// The pieces, in order, and the memory to be held until they are sent.
    pub(crate) fn into_parts(self) -> (Vec<Bytes>, Option<MemoryPart>) {
        (self.chunks, self.memory)
    }

    /// All in one piece.
    #[cfg(test)]
    pub(crate) fn to_bytes(&self) -> Bytes {
        Bytes::from(self.chunks.concat())
    }
}
