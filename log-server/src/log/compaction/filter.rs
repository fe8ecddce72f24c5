//! Which records of a batch stay.

use bytes::Bytes;

use super::aborted::AbortedBatches;
use super::latest_offsets::LatestOffsets;
use crate::error::Error;
use crate::log::partition_log::PartitionLog;
use crate::records::{BatchHeader, RebuiltBatch, Record, Records};

/// Goes through the batches of neighbouring segments in order.
pub(crate) struct Filter<'a> {
    log: &'a PartitionLog,
    latest: &'a LatestOffsets,
    now_ms: i64,
    delete_retention_ms: i64,
    aborted: AbortedBatches,
}

/// What becomes of a batch.
pub(crate) enum Kept {
    /// It stays as it is.
    Whole,
    /// This stays of it.
    Rebuilt(Bytes),
    Nothing,
}

impl<'a> Filter<'a> {
    pub(crate) fn new(
        log: &'a PartitionLog,
        latest: &'a LatestOffsets,
        now_ms: i64,
        delete_retention_ms: i64,
    ) -> Self {
        let segments = log.segment_list();
        let aborted = AbortedBatches::new(segments.iter().map(|segment| segment.as_ref()));
        Filter { log, latest, now_ms, delete_retention_ms, aborted }
    }

    /// Decides about one batch.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the records cannot be read: the segments then stay as they are.
    pub(crate) fn judge(&mut self, header: &BatchHeader, batch: &[u8]) -> Result<Kept, Error> {
        let is_aborted = self.aborted.visit(header);
        let damaged = |fault: &dyn std::fmt::Display| Error::Damaged {
            path: self.log.directory().to_owned(),
            reason: format!("batch at offset {}: {fault}", header.base_offset),
        };
        let records = Records::read(*header, batch).map_err(|fault| damaged(&fault))?;
        let records = records.iter().collect::<Result<Vec<_>, _>>().map_err(|fault| damaged(&fault))?;
        let expired = header.delete_horizon().is_some_and(|horizon| horizon < self.now_ms);
        let is_mortal = |record: &Record<'_>| header.is_control() || record.value.is_none();
        let kept: Vec<&Record<'_>> = records
            .iter()
            .filter(|record| !is_aborted && self.stays(header, record) && !(expired && is_mortal(record)))
            .collect();
        let horizon = (header.delete_horizon().is_none() && kept.iter().any(|record| is_mortal(record)))
            .then(|| self.now_ms.saturating_add(self.delete_retention_ms));
        if kept.len() == records.len() && horizon.is_none() {
            return Ok(Kept::Whole);
        }
        let has_producer = header.producer_id >= 0;
        if kept.is_empty()
            && !(has_producer && self.log.is_newest_of_producer(header.producer_id, header.last_offset()))
        {
            return Ok(Kept::Nothing);
        }
        let rebuilt = RebuiltBatch { header, records: &kept, delete_horizon: horizon };
        Ok(Kept::Rebuilt(rebuilt.build().map_err(|fault| damaged(&fault))?))
    }

    fn stays(&self, header: &BatchHeader, record: &Record<'_>) -> bool {
        if header.is_control() {
            return true;
        }
        // A record without key cannot be asked for by key: it has no place in a compacted topic.
        record.key.is_some_and(|key| !self.latest.is_replaced(key, record.offset))
    }
}
