//! Reading a log: by offset for consumers, by time for those who look for an offset.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use super::partition_log::{PartitionLog, Watermarks};
use super::read_buffer::ReadBuffer;
use super::scan::scan;
use super::segment::Segment;
use super::txn_index::AbortedTransaction;
use crate::protocol::ErrorCode;
use crate::records::{BATCH_HEADER_BYTES, BatchError, BatchHeader, Records};

/// Which records a reader wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Everything before the high watermark.
    ReadUncommitted,
    /// Everything before the first open transaction, with a list of the aborted ones.
    ReadCommitted,
}

/// What a read found.
#[derive(Debug, Clone)]
pub(crate) struct FetchedRecords {
    /// Whole batches; the first one contains the offset or is the next one after it.
    pub(crate) records: Bytes,
    pub(crate) watermarks: Watermarks,
    /// Aborted transactions that overlap the records, for readers of committed records.
    pub(crate) aborted: Vec<AbortedTransaction>,
}

/// Which offset is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimestampQuery {
    /// The first record whose time is at or after this one.
    At(i64),
    /// The record with the largest time.
    Max,
}

/// How far before the end of the active segment reads are taken to be in the page cache, as they have just been
/// written.
const HOT_TAIL_BYTES: u64 = 16 * 1024 * 1024;

/// What is read beyond the wanted bytes, because a search in the sparse index ends a little before the offset.
const SEARCH_SLACK_BYTES: u64 = 8 * 1024;

impl PartitionLog {
    /// About how many bytes a reader at `offset` has before it; not 0 if there is a record.
    ///
    /// # Errors
    /// Offset out of range.
    pub(crate) fn readable_bytes(&self, offset: i64, isolation: Isolation) -> Result<u64, ErrorCode> {
        let marks = self.watermarks();
        if offset < marks.log_start || offset > marks.high {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        if offset >= limit(&marks, isolation) {
            return Ok(0);
        }
        let segments = self.segment_list();
        let first = segments.partition_point(|segment| segment.base_offset <= offset).saturating_sub(1);
        let mut bytes = 0;
        for segment in
            segments[first..].iter().take_while(|segment| segment.base_offset <= marks.high_segment)
        {
            let end = if segment.base_offset == marks.high_segment {
                marks.high_position
            } else {
                segment.size_bytes()
            };
            let from = segment.floor_position(offset).unwrap_or(0);
            bytes += if segment.base_offset > offset { end } else { end.saturating_sub(from) };
        }
        Ok(bytes.max(1))
    }

    /// Whether a read at `offset` is surely served from memory, so that it may be done on an async thread.
    pub(crate) fn is_hot(&self, offset: i64) -> bool {
        let segments = self.segment_list();
        let Some(active) = segments.last() else { return true };
        let position = active.floor_position(offset).unwrap_or(0);
        offset >= active.base_offset
            && active.size_bytes() - position.min(active.size_bytes()) <= HOT_TAIL_BYTES
    }

    /// Reads whole batches from `offset` on: up to `max_bytes` of them, but at least one if `at_least_one`.
    ///
    /// # Errors
    /// Offset out of range, a batch whose checksum is wrong, or a storage error.
    pub(crate) fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        isolation: Isolation,
        at_least_one: bool,
    ) -> Result<FetchedRecords, ErrorCode> {
        // Before the watermarks: they must not be older than the segments, which compaction may replace meanwhile.
        let segments = self.segment_list();
        let marks = self.watermarks();
        if offset < marks.log_start || offset > marks.high {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let limit = limit(&marks, isolation);
        let mut fetched = FetchedRecords { records: Bytes::new(), watermarks: marks, aborted: Vec::new() };
        if offset >= limit {
            return Ok(fetched);
        }
        let first = segments.partition_point(|segment| segment.base_offset <= offset).saturating_sub(1);
        for segment in &segments[first..] {
            let read = BatchRead { segment, offset, limit, marks, max_bytes, at_least_one };
            let found = read.run().map_err(|fault| self.read_fault(segment, offset, &fault))?;
            if let Some((records, end_offset)) = found {
                fetched.records = records;
                if isolation == Isolation::ReadCommitted {
                    fetched.aborted = aborted_between(&segments[first..], offset, end_offset);
                }
                break;
            }
        }
        Ok(fetched)
    }

    /// Finds a record by time: its timestamp and its offset.
    ///
    /// # Errors
    /// A storage error, or records that cannot be decompressed.
    pub(crate) fn find_by_time(
        &self,
        query: TimestampQuery,
        isolation: Isolation,
    ) -> Result<Option<(i64, i64)>, ErrorCode> {
        let marks = self.watermarks();
        let limit = limit(&marks, isolation);
        let segments = self.segment_list();
        let wanted = match query {
            TimestampQuery::At(timestamp) => timestamp,
            TimestampQuery::Max => {
                let newest = segments.iter().map(|segment| segment.indexes().max_timestamp).max();
                newest.unwrap_or(i64::MIN)
            }
        };
        for segment in segments.iter() {
            if segment.indexes().max_timestamp < wanted || wanted == i64::MIN {
                continue;
            }
            let found = find_in_segment(segment, wanted, marks.log_start, limit);
            if let Some(found) = found.map_err(|fault| self.read_fault(segment, marks.log_start, &fault))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn read_fault(&self, segment: &Segment, offset: i64, fault: &ReadFault) -> ErrorCode {
        let path = segment.path("log");
        tracing::error!(
            topic = %self.topic(), partition = self.partition(), offset, path = %path.display(), %fault,
            "cannot read the log"
        );
        match fault {
            ReadFault::Io(_) => ErrorCode::KafkaStorageError,
            ReadFault::Unsound(_) | ReadFault::Records(_) => ErrorCode::CorruptMessage,
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ReadFault {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Unsound(#[from] BatchError),
    #[error(transparent)]
    Records(#[from] crate::records::RecordError),
}

fn limit(marks: &Watermarks, isolation: Isolation) -> i64 {
    match isolation {
        Isolation::ReadUncommitted => marks.high,
        Isolation::ReadCommitted => marks.last_stable,
    }
}

/// A read in one segment.
struct BatchRead<'a> {
    segment: &'a Arc<Segment>,
    offset: i64,
    /// Batches from here on must not be seen.
    limit: i64,
    marks: Watermarks,
    max_bytes: usize,
    at_least_one: bool,
}

/// Which part of a buffer is to be answered.
struct Found {
    from: usize,
    to: usize,
    /// The offset after the batches; `None` if the buffer ended before the first of them did.
    end_offset: Option<i64>,
    /// How long the buffer must be to see more.
    needed: usize,
}

impl BatchRead<'_> {
    /// The batches and the offset after them; `None` if the segment has none from the offset on.
    fn run(&self) -> Result<Option<(Bytes, i64)>, ReadFault> {
        let position = self.segment.floor_position(self.offset)?;
        let found = if position > 0 && position >= self.segment.size_bytes() {
            Err(BatchError::Position.into())
        } else {
            self.run_from(position)
        };
        match found {
            Err(ReadFault::Unsound(fault)) if position > 0 => {
                // Is it the batches that are damaged, or the index that led there?
                tracing::warn!(path = %self.segment.path("index").display(), %fault, "the index may be damaged");
                self.run_from(self.walk()?)
            }
            read => read,
        }
    }

    /// Where the batch with the offset begins, found without the index.
    fn walk(&self) -> Result<u64, ReadFault> {
        let end = scan(self.segment, 0, false, |header, _, _| {
            if header.last_offset() >= self.offset {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        end.fault.map_or(Ok(end.position), |fault| Err(fault.into()))
    }

    fn run_from(&self, position: u64) -> Result<Option<(Bytes, i64)>, ReadFault> {
        let left = self.segment.size_bytes().saturating_sub(position);
        let mut length = left.min(self.max_bytes as u64 + SEARCH_SLACK_BYTES);
        loop {
            let mut buffer = ReadBuffer::new(length as usize);
            self.segment.read_at(buffer.as_mut(), position)?;
            let found = self.select(buffer.as_ref(), position)?;
            if let Some(end_offset) = found.end_offset {
                return Ok(Some((buffer.freeze().slice(found.from..found.to), end_offset)));
            }
            if length == left {
                let cut_short = (found.to as u64) < length;
                return if cut_short { Err(BatchError::Truncated.into()) } else { Ok(None) };
            }
            length = (length + SEARCH_SLACK_BYTES).max(found.needed as u64).min(left);
        }
    }

    /// Whether a batch before the high watermark says that it is behind it.
    fn is_impossible(&self, header: &BatchHeader, position: u64) -> bool {
        let is_visible =
            self.segment.base_offset < self.marks.high_segment || position < self.marks.high_position;
        is_visible && header.last_offset() >= self.marks.high
    }

    /// Walks the batches in the buffer and picks those to answer with. The index must not have led behind the offset.
    fn select(&self, buffer: &[u8], position: u64) -> Result<Found, ReadFault> {
        let mut found = Found { from: 0, to: 0, end_offset: None, needed: 0 };
        let unverified = position < self.segment.verified_from();
        let mut next_offset = self.segment.base_offset;
        while buffer.len() - found.to >= BATCH_HEADER_BYTES {
            let header = match BatchHeader::parse(&buffer[found.to..]) {
                Ok(header) => header,
                // What is sound before it is answered first.
                Err(_) if found.end_offset.is_some() => break,
                Err(fault) => return Err(fault.into()),
            };
            let by_index = position > 0 && found.to == 0;
            if by_index && header.base_offset > self.offset
                || header.base_offset < next_offset
                || self.is_impossible(&header, position + found.to as u64)
            {
                if found.end_offset.is_some() {
                    break;
                }
                return Err(BatchError::Position.into());
            }
            next_offset = header.next_offset();
            let end = found.to + header.size_bytes();
            if header.base_offset >= self.limit {
                found.end_offset = found.end_offset.or(Some(self.limit));
                break;
            }
            let wanted = header.last_offset() >= self.offset;
            let is_first = found.end_offset.is_none();
            if wanted && end - found.from > self.max_bytes && !(is_first && self.at_least_one) {
                found.end_offset = found.end_offset.or(Some(header.base_offset));
                break;
            }
            if end > buffer.len() {
                found.needed = end;
                break;
            }
            if unverified
                && wanted
                && let Err(fault) = BatchHeader::parse_checked(&buffer[found.to..end])
            {
                if is_first {
                    return Err(fault.into());
                }
                break;
            }
            found.to = end;
            if wanted {
                found.end_offset = Some(header.next_offset());
            } else {
                found.from = end;
            }
        }
        Ok(found)
    }
}

/// Aborted transactions with records in the range, by first offset.
fn aborted_between(segments: &[Arc<Segment>], from: i64, to: i64) -> Vec<AbortedTransaction> {
    let mut aborted: Vec<AbortedTransaction> = Vec::new();
    for segment in segments {
        let indexes = segment.indexes();
        aborted.extend(indexes.aborted.iter().filter(|txn| txn.last_offset >= from && txn.first_offset < to));
        if indexes.aborted.iter().any(|txn| txn.last_stable_offset >= to) {
            break;
        }
    }
    aborted.sort_unstable_by_key(|txn| txn.first_offset);
    aborted
}

/// The first record of the segment within the bounds whose time is at or after `wanted`.
fn find_in_segment(
    segment: &Segment,
    wanted: i64,
    log_start: i64,
    limit: i64,
) -> Result<Option<(i64, i64)>, ReadFault> {
    let earlier = segment.indexes().times.last_where(|entry| entry.timestamp <= wanted)?;
    let from = earlier.map_or(0, |entry| i64::from(entry.relative_offset)) + segment.base_offset;
    let position = segment.floor_position(from.max(log_start))?;
    let mut found = Ok(None);
    scan(segment, position, false, |header, _, batch| {
        if header.base_offset >= limit {
            return ControlFlow::Break(());
        }
        if header.max_timestamp < wanted || header.last_offset() < log_start || header.is_control() {
            return ControlFlow::Continue(());
        }
        found = find_in_batch(header, batch, wanted, log_start);
        match found {
            Ok(None) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    })?;
    found
}

fn find_in_batch(
    header: &BatchHeader,
    batch: &[u8],
    wanted: i64,
    log_start: i64,
) -> Result<Option<(i64, i64)>, ReadFault> {
    let records = Records::read(*header, batch)?;
    for record in records.iter() {
        let record = record?;
        if record.timestamp >= wanted && record.offset >= log_start {
            return Ok(Some((record.timestamp, record.offset)));
        }
    }
    Ok(None)
}
