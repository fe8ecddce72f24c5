//! Record batches as brokers send them (magic 2, KIP-98; Kafka's `DefaultRecordBatch` and `DefaultRecord`).

use std::sync::Arc;

use bytes::Bytes;

use super::compression::Decompressor;
use super::message::{BatchBytes, FetchedMessage, Span};

/// Length of what comes before the records.
const HEADER_BYTES: usize = 61;
/// Length of offset and length, which the length does not count.
const PREFIX_BYTES: usize = 12;
const MAGIC: u8 = 2;
/// The checksum covers what lies behind it.
const CHECKED_FROM: usize = 21;
/// Least length of a record; a batch cannot hold more of them than its bytes allow.
const RECORD_MIN_BYTES: usize = 7;

const CODEC_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

/// One batch, its header read and its records still as they came.
#[derive(Debug)]
pub(super) struct RecordBatch {
    pub(super) base_offset: i64,
    /// The offset of the last record, also where compaction has taken it away.
    pub(super) last_offset: i64,
    pub(super) producer_id: i64,
    leader_epoch: i32,
    attributes: i16,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    count: usize,
    records: Bytes,
}

/// Why a batch cannot be read.
pub(super) type Unreadable = String;

impl RecordBatch {
    /// Takes the first batch off `bytes`; none where the rest is less than a batch, which is how a broker cuts off its
    /// answer.
    ///
    /// # Errors
    /// When the batch is of an older format, or damaged.
    pub(super) fn take(bytes: &mut Bytes, check_crc: bool) -> Result<Option<Self>, Unreadable> {
        if bytes.len() < HEADER_BYTES {
            return Ok(None);
        }
        let header = &bytes[..HEADER_BYTES];
        let length = i32::from_be_bytes(field(header, 8));
        let magic = header[16];
        if magic != MAGIC {
            return Err(format!(
                "its message format is version {magic}, and only {MAGIC} is read: rewrite the topic with a newer broker"
            ));
        }
        let Some(end) = usize::try_from(length).ok().map(|length| length + PREFIX_BYTES) else {
            return Err(format!("its length is {length}"));
        };
        if end < HEADER_BYTES {
            return Err(format!("its length of {length} bytes is less than that of its header"));
        }
        if end > bytes.len() {
            return Ok(None);
        }
        let crc = u32::from_be_bytes(field(header, 17));
        if check_crc && crc32c::crc32c(&bytes[CHECKED_FROM..end]) != crc {
            return Err("its checksum is wrong".to_owned());
        }
        let base_offset = i64::from_be_bytes(field(header, 0));
        let count = i32::from_be_bytes(field(header, 57));
        let batch = RecordBatch {
            base_offset,
            last_offset: base_offset.saturating_add(i64::from(i32::from_be_bytes(field(header, 23)))),
            producer_id: i64::from_be_bytes(field(header, 43)),
            leader_epoch: i32::from_be_bytes(field(header, 12)),
            attributes: i16::from_be_bytes(field(header, 21)),
            base_timestamp_ms: i64::from_be_bytes(field(header, 27)),
            max_timestamp_ms: i64::from_be_bytes(field(header, 35)),
            count: usize::try_from(count).unwrap_or(0),
            records: bytes.slice(HEADER_BYTES..end),
        };
        let _ = bytes.split_to(end);
        Ok(Some(batch))
    }

    /// Whether it holds a transaction's marker instead of records.
    pub(super) fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether it belongs to a transaction.
    pub(super) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether it is the marker of an aborted transaction.
    pub(super) fn is_abort(&self) -> bool {
        // The record's key is a version and a type, two bytes each; type 0 aborts.
        let mut reader = Reader::new(&self.records);
        let key = reader.record().and_then(|record| record.key.of(&self.records));
        self.is_control() && key.is_some_and(|key| key.get(2..4) == Some(&[0, 0]))
    }

    /// Appends its records from `from` on; answers how many bytes they hold on to.
    ///
    /// # Errors
    /// When the records cannot be decompressed or read; those before stay appended.
    pub(super) fn read(
        self,
        from: i64,
        decompressor: &mut Decompressor,
        into: &mut Vec<FetchedMessage>,
    ) -> Result<usize, Unreadable> {
        let bytes = decompressor
            .decompress(self.attributes & CODEC_MASK, &self.records)
            .map_err(|error| format!("it cannot be decompressed: {error}"))?;
        let held = bytes.len();
        let batch = Arc::new(BatchBytes { bytes, leader_epoch: self.leader_epoch });
        let append_time = (self.attributes & LOG_APPEND_TIME != 0).then_some(self.max_timestamp_ms);
        into.reserve(self.count.min(held / RECORD_MIN_BYTES));
        let mut reader = Reader::new(&batch.bytes);
        for number in 0..self.count {
            let Some(record) = reader.record() else {
                return Err(format!("its record {number} of {} is cut short", self.count));
            };
            let offset = self.base_offset + i64::from(record.offset_delta);
            if offset < from {
                continue;
            }
            into.push(FetchedMessage {
                batch: Arc::clone(&batch),
                offset,
                timestamp_ms: append_time
                    .unwrap_or_else(|| self.base_timestamp_ms.saturating_add(record.timestamp_delta_ms)),
                key: record.key,
                value: record.value,
                headers: record.headers,
            });
        }
        Ok(held)
    }
}

fn field<const N: usize>(header: &[u8], start: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&header[start..start + N]);
    field
}

/// A record as it lies in its batch.
#[derive(Debug)]
pub(super) struct RawRecord {
    timestamp_delta_ms: i64,
    offset_delta: i32,
    key: Span,
    value: Span,
    headers: Span,
}

/// Reads numbers and spans from the front of bytes.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next record.
    fn record(&mut self) -> Option<RawRecord> {
        let length = usize::try_from(self.varint()?).ok()?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        self.at += 1; // Attributes, of which there are none.
        let timestamp_delta_ms = self.varlong()?;
        let offset_delta = self.varint()?;
        let key = self.span()?;
        let value = self.span()?;
        let headers = Span::new(self.at, end.checked_sub(self.at)?);
        self.at = end;
        Some(RawRecord { timestamp_delta_ms, offset_delta, key, value, headers })
    }

    /// A length and as many bytes; a negative length is null.
    pub(super) fn span(&mut self) -> Option<Span> {
        let length = self.varint()?;
        let Ok(length) = usize::try_from(length) else { return Some(Span::NULL) };
        let start = self.at;
        self.at = start.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        Some(Span::new(start, length))
    }

    /// A zig-zag number of up to 32 bits.
    #[inline]
    pub(super) fn varint(&mut self) -> Option<i32> {
        // Lengths and deltas mostly fit into one byte.
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Some(i32::from(byte >> 1) ^ -i32::from(byte & 1))
            }
            _ => i32::try_from(self.varlong()?).ok(),
        }
    }

    /// A zig-zag number of up to 64 bits.
    #[inline]
    fn varlong(&mut self) -> Option<i64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        None
    }
}

#[cfg(test)]
pub(super) mod tests;
