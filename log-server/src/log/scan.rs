//! Goes through a segment's batches in order.

use std::io;
use std::ops::ControlFlow;

use super::segment::Segment;
use crate::records::{BATCH_HEADER_BYTES, BatchError, BatchHeader};

/// How much is read at a time.
const CHUNK_BYTES: usize = 1024 * 1024;

/// How a scan ended.
#[derive(Debug)]
pub(crate) struct ScanEnd {
    /// The end of the last sound batch that was visited.
    pub(crate) position: u64,
    /// Why the bytes there are not a sound batch; `None` at the end of the segment or if the visitor stopped.
    pub(crate) fault: Option<BatchError>,
}

/// Visits the batches from `position`, each with its header, its position and its bytes, until the end of the
/// segment, a faulty batch or the visitor's word. With `verify` the checksums are verified.
///
/// # Errors
/// Those of the file system.
pub(crate) fn scan(
    segment: &Segment,
    position: u64,
    verify: bool,
    mut visit: impl FnMut(&BatchHeader, u64, &[u8]) -> ControlFlow<()>,
) -> io::Result<ScanEnd> {
    let size = segment.size_bytes();
    let mut position = position;
    let mut buffer: Vec<u8> = Vec::new();
    let mut start = 0;
    loop {
        if position >= size {
            return Ok(ScanEnd { position, fault: None });
        }
        let left = size - position;
        if !fill(segment, &mut buffer, &mut start, position, BATCH_HEADER_BYTES as u64, left)? {
            return Ok(ScanEnd { position, fault: Some(BatchError::Truncated) });
        }
        let header = match BatchHeader::parse(&buffer[start..]) {
            Ok(header) => header,
            Err(fault) => return Ok(ScanEnd { position, fault: Some(fault) }),
        };
        let bytes = header.size_bytes();
        if !fill(segment, &mut buffer, &mut start, position, bytes as u64, left)? {
            return Ok(ScanEnd { position, fault: Some(BatchError::Truncated) });
        }
        let batch = &buffer[start..start + bytes];
        if verify && let Err(fault) = BatchHeader::parse_checked(batch) {
            return Ok(ScanEnd { position, fault: Some(fault) });
        }
        if visit(&header, position, batch).is_break() {
            return Ok(ScanEnd { position, fault: None });
        }
        start += bytes;
        position += bytes as u64;
    }
}

/// Makes `buffer[start..]` begin at `position` and have `wanted` bytes; false if the segment has fewer left.
fn fill(
    segment: &Segment,
    buffer: &mut Vec<u8>,
    start: &mut usize,
    position: u64,
    wanted: u64,
    left: u64,
) -> io::Result<bool> {
    if wanted > left {
        return Ok(false);
    }
    let have = buffer.len() - *start;
    if have as u64 >= wanted {
        return Ok(true);
    }
    buffer.drain(..*start);
    *start = 0;
    let target = left.min(wanted.max(CHUNK_BYTES as u64)) as usize;
    buffer.resize(target, 0);
    segment.read_at(&mut buffer[have..], position + have as u64)?;
    Ok(true)
}
