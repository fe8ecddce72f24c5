//! The codecs of batches: gzip, snappy in Xerial's frame, LZ4 frame, zstd.

use std::borrow::Cow;
use std::io::Read;

/// A codec, by its number in the batch's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// Why records cannot be decompressed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompressionError {
    #[error("cannot decompress: {0}")]
    Codec(#[from] std::io::Error),
    #[error("cannot decompress snappy: {0}")]
    Snappy(#[from] snap::Error),
    #[error("decompressed records are larger than the limit of {0} bytes")]
    TooLarge(usize),
}

/// What snappy data starts with if it is in the frame that the Java library of Xerial writes.
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
/// Magic, version and lowest compatible version.
const XERIAL_HEADER_BYTES: usize = 16;
/// How much of the input one block of the frame holds.
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;

impl Compression {
    /// The codec of a number; `None` if there is no such codec.
    pub(crate) fn from_id(id: i16) -> Option<Self> {
        Some(match id {
            0 => Compression::None,
            1 => Compression::Gzip,
            2 => Compression::Snappy,
            3 => Compression::Lz4,
            4 => Compression::Zstd,
            _ => return None,
        })
    }

    /// The number of the codec in a batch's attributes.
    pub(crate) fn id(self) -> i16 {
        self as i16
    }

    /// The codec that a topic's `compression.type` names; `None` for `producer` and unknown names.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "uncompressed" | "none" => Compression::None,
            "gzip" => Compression::Gzip,
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4,
            "zstd" => Compression::Zstd,
            _ => return None,
        })
    }

    /// Decompresses the records of a batch, to at most `limit_bytes`.
    ///
    /// # Errors
    /// [`CompressionError`] if the data is damaged or larger than the limit.
    pub(crate) fn decompress(
        self,
        data: &[u8],
        limit_bytes: usize,
    ) -> Result<Cow<'_, [u8]>, CompressionError> {
        Ok(Cow::Owned(match self {
            Compression::None => return Ok(Cow::Borrowed(data)),
            Compression::Gzip => read_limited(flate2::read::MultiGzDecoder::new(data), limit_bytes)?,
            Compression::Lz4 => read_limited(lz4_flex::frame::FrameDecoder::new(data), limit_bytes)?,
            Compression::Zstd => read_limited(zstd::stream::read::Decoder::with_buffer(data)?, limit_bytes)?,
            Compression::Snappy => decompress_snappy(data, limit_bytes)?,
        }))
    }

    /// Compresses the records of a batch.
    ///
    /// # Errors
    /// [`CompressionError`] if the codec fails.
    pub(crate) fn compress(self, data: &[u8]) -> Result<Cow<'_, [u8]>, CompressionError> {
        Ok(Cow::Owned(match self {
            Compression::None => return Ok(Cow::Borrowed(data)),
            Compression::Gzip => {
                let mut out = Vec::new();
                flate2::read::GzEncoder::new(data, flate2::Compression::default()).read_to_end(&mut out)?;
                out
            }
            Compression::Lz4 => {
                let info = lz4_flex::frame::FrameInfo::new()
                    .block_mode(lz4_flex::frame::BlockMode::Independent)
                    .block_size(lz4_flex::frame::BlockSize::Max64KB);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                std::io::Write::write_all(&mut encoder, data)?;
                encoder.finish().map_err(|error| CompressionError::Codec(error.into()))?
            }
            Compression::Zstd => zstd::stream::encode_all(data, zstd::DEFAULT_COMPRESSION_LEVEL)?,
            Compression::Snappy => compress_snappy(data)?,
        }))
    }
}

fn read_limited(reader: impl Read, limit_bytes: usize) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    reader.take(limit_bytes as u64 + 1).read_to_end(&mut out)?;
    if out.len() > limit_bytes {
        return Err(CompressionError::TooLarge(limit_bytes));
    }
    Ok(out)
}

/// Xerial's frame is a header and then blocks, each with its length; some clients send a bare block instead.
fn decompress_snappy(data: &[u8], limit_bytes: usize) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    if !data.starts_with(XERIAL_MAGIC) {
        append_snappy_block(data, &mut out, limit_bytes)?;
        return Ok(out);
    }
    let cut_short = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let mut rest = data.get(XERIAL_HEADER_BYTES..).ok_or_else(cut_short)?;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(cut_short)?;
        let (block, after) =
            after.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(cut_short)?;
        append_snappy_block(block, &mut out, limit_bytes)?;
        rest = after;
    }
    Ok(out)
}

fn append_snappy_block(block: &[u8], out: &mut Vec<u8>, limit_bytes: usize) -> Result<(), CompressionError> {
    let start = out.len();
    let length = snap::raw::decompress_len(block)?;
    if length > limit_bytes.saturating_sub(start) {
        return Err(CompressionError::TooLarge(limit_bytes));
    }
    out.resize(start + length, 0);
    snap::raw::Decoder::new().decompress(block, &mut out[start..])?;
    Ok(())
}

fn compress_snappy(data: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::with_capacity(data.len() / 2 + XERIAL_HEADER_BYTES);
    out.extend_from_slice(XERIAL_MAGIC);
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    let mut encoder = snap::raw::Encoder::new();
    for block in data.chunks(XERIAL_BLOCK_BYTES) {
        let compressed = encoder.compress_vec(block)?;
        out.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
        out.extend_from_slice(&compressed);
    }
    Ok(out)
}
