//! Buffers that records are read into; they are used again, as fresh memory costs as much as the read itself.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// How many buffers are kept at most.
const MAX_KEPT: usize = 8;

/// The largest buffer that is kept; those of unusually large reads are given back.
const MAX_KEPT_BYTES: usize = 1280 * 1024;

/// Smaller buffers are not worth keeping.
const MIN_KEPT_BYTES: usize = 64 * 1024;

/// Buffers that are not in use; one pool for the process bounds the memory of all servers in it.
static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A buffer of a wanted length with undefined content (old records or zeros).
#[derive(Debug)]
pub(crate) struct ReadBuffer {
    memory: Vec<u8>,
    length: usize,
}

impl ReadBuffer {
    /// A buffer of `length` bytes.
    pub(crate) fn new(length: usize) -> Self {
        let kept = match length {
            MIN_KEPT_BYTES..=MAX_KEPT_BYTES => KEPT.lock().unwrap_or_else(PoisonError::into_inner).pop(),
            _ => None,
        };
        let mut memory = kept.unwrap_or_default();
        if memory.is_empty() {
            // Zeroed by the operating system, without touching it here.
            memory = vec![0; length];
        } else if memory.len() < length {
            memory.resize(length, 0);
        }
        ReadBuffer { memory, length }
    }

    /// The buffer as shared bytes; it returns to the pool when the last of them is gone.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for ReadBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.length]
    }
}

impl AsMut<[u8]> for ReadBuffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.memory[..self.length]
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        if (MIN_KEPT_BYTES..=MAX_KEPT_BYTES).contains(&self.memory.len()) {
            let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < MAX_KEPT {
                kept.push(std::mem::take(&mut self.memory));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_buffer_has_the_new_length() {
        for length in [MIN_KEPT_BYTES, 1, MAX_KEPT_BYTES, MIN_KEPT_BYTES + 1, 0, MAX_KEPT_BYTES + 1] {
            let mut buffer = ReadBuffer::new(length);
            buffer.as_mut().fill(7);
            assert_eq!(buffer.freeze(), vec![7; length]);
        }
    }
}
