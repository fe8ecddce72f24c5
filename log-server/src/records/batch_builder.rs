//! Batches that the server itself writes: internal topics, transaction markers, compacted segments.

use bytes::{BufMut, Bytes, BytesMut};

use super::batch_header::{BATCH_HEADER_BYTES, BatchHeader, LOG_OVERHEAD_BYTES, NO_PRODUCER_ID, NO_SEQUENCE};
use super::compression::{Compression, CompressionError};
use super::varint::put_varlong;

/// A record to be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NewRecord {
    /// `None` for a record without key.
    pub(crate) key: Option<Bytes>,
    /// `None` for a tombstone.
    pub(crate) value: Option<Bytes>,
    /// Pairs of key and value, in order.
    pub(crate) headers: Vec<(Bytes, Option<Bytes>)>,
}

/// Collects records for one batch.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    header: BatchHeader,
    payload: BytesMut,
    compression: Compression,
}

impl BatchBuilder {
    /// A batch of plain records, all of one time.
    pub(crate) fn new(timestamp_ms: i64) -> Self {
        let header = BatchHeader {
            base_offset: 0,
            length: 0,
            leader_epoch: -1,
            crc: 0,
            attributes: 0,
            last_offset_delta: -1,
            base_timestamp: timestamp_ms,
            max_timestamp: timestamp_ms,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: -1,
            base_sequence: NO_SEQUENCE,
            record_count: 0,
        };
        BatchBuilder { header, payload: BytesMut::new(), compression: Compression::None }
    }

    /// Compresses the records with `compression`.
    #[cfg(test)]
    pub(crate) fn compressed(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Makes the batch that of a producer, whose first record has sequence number `base_sequence`.
    pub(crate) fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    /// Makes the batch part of a transaction, or the marker of its end (`control`).
    pub(crate) fn transactional(mut self, control: bool) -> Self {
        self.header.attributes = BatchHeader::attributes_of(true, control);
        self
    }

    /// Adds a record at the batch's time.
    pub(crate) fn push(&mut self, record: &NewRecord) {
        self.push_at(record, self.header.base_timestamp);
    }

    /// Adds a record with its own time.
    pub(crate) fn push_at(&mut self, record: &NewRecord, timestamp_ms: i64) {
        let mut body = BytesMut::new();
        body.put_u8(0);
        put_varlong(&mut body, timestamp_ms - self.header.base_timestamp);
        put_varlong(&mut body, i64::from(self.header.last_offset_delta) + 1);
        put_nullable(&mut body, record.key.as_deref());
        put_nullable(&mut body, record.value.as_deref());
        put_varlong(&mut body, record.headers.len() as i64);
        for (key, value) in &record.headers {
            put_nullable(&mut body, Some(key));
            put_nullable(&mut body, value.as_deref());
        }
        put_varlong(&mut self.payload, body.len() as i64);
        self.payload.extend_from_slice(&body);
        self.header.last_offset_delta += 1;
        self.header.record_count += 1;
        self.header.max_timestamp = self.header.max_timestamp.max(timestamp_ms);
    }

    /// The finished batch; base offset and leader epoch are for the log to fill in.
    ///
    /// # Errors
    /// [`CompressionError`] if the codec fails.
    pub(crate) fn build(self) -> Result<Bytes, CompressionError> {
        let BatchBuilder { mut header, payload, compression } = self;
        header.attributes |= compression.id();
        let records = compression.compress(&payload)?;
        header.length = (BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES + records.len()) as i32;
        let mut batch = BytesMut::zeroed(BATCH_HEADER_BYTES);
        batch.extend_from_slice(&records);
        header.write(&mut batch);
        Ok(batch.freeze())
    }
}

fn put_nullable(out: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varlong(out, -1),
        Some(bytes) => {
            put_varlong(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}
