//! Deleting old segments: by age, by size, and below the log's start.

use std::sync::Arc;

use super::partition_log::{PartitionLog, lock};
use super::segment::Segment;
use crate::error::Error;

impl PartitionLog {
    /// Which offset the log may start at according to the topic's retention; `None` if nothing is too old.
    ///
    /// If all of the active segment is too old it is rolled first, as only closed segments are deleted.
    ///
    /// # Errors
    /// [`Error::Storage`] if a new segment cannot be made.
    pub(crate) fn retention_start(&self, now_ms: i64) -> Result<Option<i64>, Error> {
        let config = self.config();
        if !config.delete {
            return Ok(None);
        }
        let mut writer = lock(&self.writer);
        let is_old = |segment: &Segment| {
            let newest = segment.indexes().max_timestamp;
            newest >= 0 && config.retention_ms.is_some_and(|keep| newest.saturating_add(keep) < now_ms)
        };
        let active = &writer.active;
        let visible = self.watermarks().high == writer.next_offset;
        if active.size_bytes() > 0
            && visible
            && is_old(active)
            && self.segment_list().iter().all(|old| is_old(old))
        {
            self.roll(&mut writer)?;
        }
        drop(writer);
        let segments = self.segment_list();
        let mut excess = match config.retention_bytes {
            Some(keep) => self.size_bytes().saturating_sub(keep),
            None => 0,
        };
        let high = self.watermarks().high;
        let mut start = None;
        for pair in segments.windows(2) {
            let too_large = excess > 0 && excess >= pair[0].size_bytes();
            if !(is_old(&pair[0]) || too_large) || pair[1].base_offset > high {
                break;
            }
            excess = excess.saturating_sub(pair[0].size_bytes());
            start = Some(pair[1].base_offset);
        }
        Ok(start)
    }

    /// Removes the segments whose records all lie before the log's start. The start must be on the disk already:
    /// otherwise a crash would leave a log that begins later than it should.
    ///
    /// # Errors
    /// [`Error::Storage`] if files cannot be removed.
    pub(crate) fn delete_before_start(&self) -> Result<usize, Error> {
        let log_start = self.watermarks().log_start;
        let removed: Vec<Arc<Segment>> = {
            let mut segments = self.segments.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            let keep_from = segments.windows(2).take_while(|pair| pair[1].base_offset <= log_start).count();
            if keep_from == 0 {
                return Ok(0);
            }
            let removed = segments[..keep_from].to_vec();
            *segments = Arc::new(segments[keep_from..].to_vec());
            removed
        };
        for segment in &removed {
            segment.delete().map_err(Error::storage("remove", segment.path("log")))?;
        }
        Ok(removed.len())
    }

    /// Forgets producers that have not written for `expiration_ms`.
    pub(crate) fn expire_producers(&self, now_ms: i64, expiration_ms: i64) {
        lock(&self.writer).producers.expire(now_ms.saturating_sub(expiration_ms));
    }
}
