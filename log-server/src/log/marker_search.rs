//! Looking for the marker that ended a transaction, after a stop that may have lost the coordinator's word.

use std::ops::ControlFlow;

use super::partition_log::PartitionLog;
use super::producer_state::Marker;
use super::recovery::decode_marker;
use super::scan::scan;
use super::segment::Segment;
use crate::records::{BatchHeader, Records};

/// A marker in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FoundMarker {
    /// The producer's epoch that it names.
    pub(crate) epoch: i16,
    /// Commit, or abort.
    pub(crate) is_commit: bool,
    /// Its timestamp: when the coordinator decided.
    pub(crate) decided_ms: i64,
}

impl PartitionLog {
    /// The producer's first marker whose timestamp is `since_ms` or later. The index by time says from where on there
    /// can be one, so that only the log's end is read. Blocks on the disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn find_marker(
        &self,
        producer_id: i64,
        since_ms: i64,
    ) -> std::io::Result<Option<FoundMarker>> {
        for segment in self.segment_list().iter() {
            if segment.indexes().max_timestamp < since_ms {
                continue;
            }
            if let Some(found) = find_in_segment(segment, producer_id, since_ms)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn find_in_segment(
    segment: &Segment,
    producer_id: i64,
    since_ms: i64,
) -> std::io::Result<Option<FoundMarker>> {
    let earlier = segment.indexes().times.last_where(|entry| entry.timestamp < since_ms)?;
    let from = earlier.map_or(0, |entry| i64::from(entry.relative_offset)) + segment.base_offset;
    let position = segment.floor_position(from)?;
    let mut found = None;
    scan(segment, position, false, |header, _, batch| {
        let may_be = header.is_control() && header.producer_id == producer_id;
        if may_be && header.max_timestamp >= since_ms {
            found = read(header, batch);
        }
        if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

fn read(header: &BatchHeader, batch: &[u8]) -> Option<FoundMarker> {
    let records = Records::read(*header, batch).ok()?;
    let record = records.iter().next()?.ok()?;
    let (marker, _) = decode_marker(record.key?, record.value?)?;
    let is_commit = marker == Marker::Commit;
    Some(FoundMarker { epoch: header.producer_epoch, is_commit, decided_ms: header.max_timestamp })
}
