//! The 61 bytes before a batch's records.

use super::compression::Compression;

/// Bytes of a batch before its records.
pub(crate) const BATCH_HEADER_BYTES: usize = 61;
/// Bytes of a batch that its own length field does not count: base offset and length.
pub(crate) const LOG_OVERHEAD_BYTES: usize = 12;
/// The only batch format that is stored.
pub(crate) const MAX_MAGIC: i8 = 2;
/// The producer id of records without one.
pub(crate) const NO_PRODUCER_ID: i64 = -1;
/// The sequence number of records without a producer id.
pub(crate) const NO_SEQUENCE: i32 = -1;

const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
/// The checksum covers everything from here on.
const CRC_COVERS_FROM: usize = 21;

const COMPRESSION_MASK: i16 = 0b111;
const LOG_APPEND_TIME_BIT: i16 = 1 << 3;
const TRANSACTIONAL_BIT: i16 = 1 << 4;
const CONTROL_BIT: i16 = 1 << 5;
const DELETE_HORIZON_BIT: i16 = 1 << 6;

/// Why bytes are not a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BatchError {
    /// There are fewer bytes than a header takes, or than the header says.
    #[error("batch is cut short")]
    Truncated,
    /// The length field cannot be.
    #[error("batch length {0} is impossible")]
    Length(i32),
    /// The format is not version 2.
    #[error("batch has magic {0}, only 2 is supported")]
    Magic(i8),
    /// The batch is not the one that was looked for there.
    #[error("batch is not the one that the index has at its position")]
    Position,
    /// The checksum is wrong.
    #[error("batch has checksum {actual:#010x}, its header says {expected:#010x}")]
    Checksum { expected: u32, actual: u32 },
}

/// A batch's header, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) base_offset: i64,
    /// What follows the length field, in bytes.
    pub(crate) length: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) crc: u32,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    /// The timestamp that the records' deltas are added to; the delete horizon if that bit is set.
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`; the records need not be there.
    ///
    /// # Errors
    /// [`BatchError`] if bytes are missing, the magic is not 2 or the length is below that of a header.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if bytes.len() <= MAGIC_AT {
            return Err(BatchError::Truncated);
        }
        let magic = bytes[MAGIC_AT] as i8;
        let length = i32_at(bytes, 8);
        if magic != MAX_MAGIC {
            return Err(BatchError::Magic(magic));
        }
        if length < (BATCH_HEADER_BYTES - LOG_OVERHEAD_BYTES) as i32 {
            return Err(BatchError::Length(length));
        }
        if bytes.len() < BATCH_HEADER_BYTES {
            return Err(BatchError::Truncated);
        }
        Ok(BatchHeader {
            base_offset: i64_at(bytes, 0),
            length,
            leader_epoch: i32_at(bytes, 12),
            crc: i32_at(bytes, CRC_AT) as u32,
            attributes: i16_at(bytes, 21),
            last_offset_delta: i32_at(bytes, 23),
            base_timestamp: i64_at(bytes, 27),
            max_timestamp: i64_at(bytes, 35),
            producer_id: i64_at(bytes, 43),
            producer_epoch: i16_at(bytes, 51),
            base_sequence: i32_at(bytes, 53),
            record_count: i32_at(bytes, 57),
        })
    }

    /// Reads the header of the batch at the front of `bytes`, which must be there wholly, and checks the checksum.
    ///
    /// # Errors
    /// [`BatchError`] as from [`BatchHeader::parse`], or if the checksum is wrong.
    pub(crate) fn parse_checked(bytes: &[u8]) -> Result<Self, BatchError> {
        let header = Self::parse(bytes)?;
        let batch = bytes.get(..header.size_bytes()).ok_or(BatchError::Truncated)?;
        let actual = crc32c::crc32c(&batch[CRC_COVERS_FROM..]);
        if actual != header.crc {
            return Err(BatchError::Checksum { expected: header.crc, actual });
        }
        Ok(header)
    }

    /// The whole batch in bytes, header included.
    pub(crate) fn size_bytes(&self) -> usize {
        LOG_OVERHEAD_BYTES + self.length as usize
    }

    /// The offset of the last record, or of where it was before compaction.
    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// The offset after this batch.
    pub(crate) fn next_offset(&self) -> i64 {
        self.last_offset() + 1
    }

    /// The sequence number of the last record.
    pub(crate) fn last_sequence(&self) -> i32 {
        if self.producer_id == NO_PRODUCER_ID {
            return NO_SEQUENCE;
        }
        next_sequence(self.base_sequence, self.last_offset_delta)
    }

    /// How the records are compressed; `None` for an unknown codec.
    pub(crate) fn compression(&self) -> Option<Compression> {
        Compression::from_id(self.attributes & COMPRESSION_MASK)
    }

    /// Whether the timestamps are those of the append, not of the producer.
    pub(crate) fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME_BIT != 0
    }

    /// Whether the batch belongs to a transaction.
    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Whether the batch is a marker of the server and not data.
    pub(crate) fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// The time from which tombstones and markers of this batch may be dropped, if it has been set.
    pub(crate) fn delete_horizon(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON_BIT != 0).then_some(self.base_timestamp)
    }

    /// Writes the header into the first 61 bytes of `batch`, with the checksum of what stands behind it.
    pub(crate) fn write(&self, batch: &mut [u8]) {
        batch[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        batch[8..12].copy_from_slice(&self.length.to_be_bytes());
        batch[12..16].copy_from_slice(&self.leader_epoch.to_be_bytes());
        batch[MAGIC_AT] = MAX_MAGIC as u8;
        batch[21..23].copy_from_slice(&self.attributes.to_be_bytes());
        batch[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        batch[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        batch[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        batch[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        batch[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        batch[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        batch[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        let crc = crc32c::crc32c(&batch[CRC_COVERS_FROM..]);
        batch[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    }

    /// The attribute bits for a batch that is written by the server.
    pub(crate) fn attributes_of(transactional: bool, control: bool) -> i16 {
        let mut attributes = 0;
        if transactional {
            attributes |= TRANSACTIONAL_BIT;
        }
        if control {
            attributes |= CONTROL_BIT;
        }
        attributes
    }

    /// This header with another codec.
    pub(crate) fn with_compression(mut self, codec: Compression) -> Self {
        self.attributes = (self.attributes & !COMPRESSION_MASK) | codec.id();
        self
    }

    /// This header with the server's clock as the time of all records.
    pub(crate) fn with_log_append_time(mut self, now_ms: i64) -> Self {
        self.attributes |= LOG_APPEND_TIME_BIT;
        self.max_timestamp = now_ms;
        self
    }

    /// This header with the delete horizon in the place of the base timestamp.
    pub(crate) fn with_delete_horizon(mut self, horizon_ms: i64) -> Self {
        self.attributes |= DELETE_HORIZON_BIT;
        self.base_timestamp = horizon_ms;
        self
    }
}

/// The sequence number `steps` after `sequence`; after the largest one comes 0.
pub(crate) fn next_sequence(sequence: i32, steps: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(steps);
    (sum % (i64::from(i32::MAX) + 1)) as i32
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(array_at(bytes, at))
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(array_at(bytes, at))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(array_at(bytes, at))
}
