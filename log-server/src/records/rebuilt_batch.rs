//! A batch without some of its records.

use bytes::{BufMut, Bytes, BytesMut};

use super::batch_header::{BATCH_HEADER_BYTES, BatchHeader, LOG_OVERHEAD_BYTES};
use super::compression::{Compression, CompressionError};
use super::record::Record;
use super::varint::put_varlong;

/// What is left of a batch: offsets, times, producer and codec stay as they were.
#[derive(Debug)]
pub(crate) struct RebuiltBatch<'a> {
    pub(crate) header: &'a BatchHeader,
    /// In order; none leaves a batch without records, which keeps the producer's sequence.
    pub(crate) records: &'a [&'a Record<'a>],
    /// Set as the time from which tombstones and markers may go.
    pub(crate) delete_horizon: Option<i64>,
}

impl RebuiltBatch<'_> {
    /// The batch's bytes.
    ///
    /// # Errors
    /// [`CompressionError`] if the codec fails.
    pub(crate) fn build(&self) -> Result<Bytes, CompressionError> {
        let mut header = *self.header;
        if let Some(horizon) = self.delete_horizon {
            header = header.with_delete_horizon(horizon);
        }
        let mut payload = BytesMut::new();
        for record in self.records {
            record.put(&mut payload, header.base_timestamp);
        }
        let codec = if self.records.is_empty() {
            Compression::None
        } else {
            header.compression().unwrap_or(Compression::None)
        };
        let compressed = codec.compress(&payload)?;
        header = header.with_compression(codec);
        header.record_count = self.records.len() as i32;
        header.length = (BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES + compressed.len()) as i32;
        let newest = self.records.iter().map(|record| record.timestamp).max();
        if !header.is_log_append_time() {
            header.max_timestamp = newest.unwrap_or(header.max_timestamp);
        }
        let mut batch = BytesMut::zeroed(BATCH_HEADER_BYTES);
        batch.extend_from_slice(&compressed);
        header.write(&mut batch);
        Ok(batch.freeze())
    }
}

impl Record<'_> {
    /// Writes the record with its own offset delta and its time relative to `base_timestamp`.
    fn put(&self, out: &mut BytesMut, base_timestamp: i64) {
        let mut body = BytesMut::with_capacity(self.raw.len() + 16);
        body.put_u8(0);
        put_varlong(&mut body, self.timestamp.wrapping_sub(base_timestamp));
        put_varlong(&mut body, i64::from(self.offset_delta));
        self.put_content(&mut body);
        put_varlong(out, body.len() as i64);
        out.extend_from_slice(&body);
    }
}
