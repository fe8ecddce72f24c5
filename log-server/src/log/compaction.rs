//! Compaction: of records with the same key in closed segments only the latest stays.
//!
//! As in Apache Kafka's log cleaner: the keys of the part that has not been compacted yet (dirty) are gathered with
//! their latest offsets, then all segments up to there are written anew without the records that a later one
//! replaces. Offsets stay. Tombstones and transaction markers get a delete horizon the first time and go after it.
//! Records of aborted transactions go at once, open ones are not touched.

mod aborted;
mod filter;
mod latest_offsets;
mod rewrite;

pub(crate) use self::rewrite::resume_swap;

use std::ops::ControlFlow;
use std::sync::Arc;

use self::aborted::AbortedBatches;
use self::filter::Filter;
use self::latest_offsets::LatestOffsets;
use super::partition_log::{PartitionLog, lock};
use super::scan::scan;
use super::segment::Segment;
use crate::error::Error;
use crate::records::Records;

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// Everything before is compacted now.
    pub(crate) clean_until: i64,
    pub(crate) bytes_before: u64,
    pub(crate) bytes_after: u64,
}

impl PartitionLog {
    /// Compacts the log if its topic asks for it and enough of it is dirty. `clean_until` is where the last
    /// compaction ended. Blocks on the disk, for long; one compaction of a log at a time.
    ///
    /// # Errors
    /// [`Error::Storage`]; the log is then as it was.
    pub(crate) fn compact(&self, clean_until: i64, now_ms: i64) -> Result<Option<Compacted>, Error> {
        let config = self.config();
        if !config.compact || self.watermarks().failed {
            return Ok(None);
        }
        let segments = self.cleanable_segments(now_ms);
        let dirty_from = segments.partition_point(|segment| segment.base_offset < clean_until);
        let bytes =
            |segments: &[Arc<Segment>]| segments.iter().map(|segment| segment.size_bytes()).sum::<u64>();
        let (all_bytes, dirty_bytes) = (bytes(&segments), bytes(&segments[dirty_from..]));
        if dirty_bytes == 0 {
            return Ok(None);
        }
        let oldest_dirty = segments[dirty_from].indexes().max_timestamp;
        let overdue = now_ms.saturating_sub(oldest_dirty) > config.max_compaction_lag_ms;
        if !overdue && (dirty_bytes as f64) < config.min_cleanable_dirty_ratio * all_bytes as f64 {
            return Ok(None);
        }
        let (latest, end) = self.gather(&segments[dirty_from..])?;
        let covered = segments.partition_point(|segment| segment.base_offset < end);
        let mut bytes_after = 0;
        for group in groups(&segments[..covered], config.segment_bytes) {
            let filter = Filter::new(self, &latest, now_ms, config.delete_retention_ms);
            bytes_after += self.rewrite(group, filter, config.index_interval_bytes)?;
        }
        let bytes_before = bytes(&segments[..covered]);
        Ok(Some(Compacted { clean_until: end, bytes_before, bytes_after }))
    }

    /// Closed segments whose records are all visible to readers of committed records, and old enough.
    fn cleanable_segments(&self, now_ms: i64) -> Vec<Arc<Segment>> {
        let segments = self.segment_list();
        let stable = self.watermarks().last_stable;
        let lag_ms = self.config().min_compaction_lag_ms;
        let is_cleanable = |pair: &&[Arc<Segment>]| {
            let old_enough = lag_ms == 0 || pair[0].indexes().max_timestamp.saturating_add(lag_ms) < now_ms;
            pair[1].base_offset <= stable && old_enough
        };
        segments.windows(2).take_while(is_cleanable).map(|pair| Arc::clone(&pair[0])).collect()
    }

    /// The latest offset of each key in the segments, and the offset up to which they were gathered: the end of
    /// the segments unless there are too many keys.
    fn gather(&self, segments: &[Arc<Segment>]) -> Result<(LatestOffsets, i64), Error> {
        let mut latest = LatestOffsets::new();
        let all = self.segment_list();
        let mut aborted = AbortedBatches::new(all.iter().map(|segment| segment.as_ref()));
        let mut end = segments.first().map_or(0, |segment| segment.base_offset);
        for segment in segments {
            let before = end;
            let scanned = scan(segment, 0, false, |header, _, batch| {
                let is_aborted = aborted.visit(header);
                if !header.is_control() && !is_aborted {
                    let Ok(records) = Records::read(*header, batch) else { return ControlFlow::Break(()) };
                    for record in records.iter().map_while(Result::ok) {
                        if let Some(key) = record.key {
                            latest.note(key, record.offset);
                        }
                    }
                }
                end = header.next_offset();
                if latest.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            scanned.map_err(Error::storage("read", segment.path("log")))?;
            if latest.is_full() && before > segments[0].base_offset {
                // A part of a segment is not cleaned: its keys only make others look older, which is right.
                return Ok((latest, before));
            }
        }
        Ok((latest, end))
    }

    /// Whether this is the newest batch of its producer: it stays, if need be without records, so that the
    /// producer's sequence is known also when the producers are read from the log.
    fn is_newest_of_producer(&self, producer_id: i64, last_offset: i64) -> bool {
        let durable_end = self.watermarks().high;
        lock(&self.writer).producers.is_newest(producer_id, last_offset, durable_end)
    }
}

/// Neighbours that together are no larger than one segment may be.
fn groups(segments: &[Arc<Segment>], segment_bytes: u64) -> Vec<&[Arc<Segment>]> {
    let mut groups = Vec::new();
    let mut from = 0;
    let mut bytes = 0;
    for (at, segment) in segments.iter().enumerate() {
        let size = segment.size_bytes();
        let too_far = segment.base_offset - segments[from].base_offset > i64::from(i32::MAX) / 2;
        if at > from && (bytes + size > segment_bytes || too_far) {
            groups.push(&segments[from..at]);
            from = at;
            bytes = 0;
        }
        bytes += size;
    }
    groups.push(&segments[from..]);
    groups.retain(|group| !group.is_empty());
    groups
}

#[cfg(test)]
mod tests;
