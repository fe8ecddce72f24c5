//! The codecs of batches: gzip, snappy in Xerial's frame, LZ4 frame, zstd.

use std::io::{self, Read};

use bytes::Bytes;

/// What the records of one batch may grow to, so that a few kilobytes cannot fill the memory.
const DECOMPRESSED_MAX_BYTES: usize = 256 << 20;
/// What snappy data starts with in the frame that the Java library of Xerial writes: magic, then two versions.
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = 16;

/// Decompresses batches; keeps the room that this takes.
#[derive(Debug, Default)]
pub(super) struct Decompressor {
    room: Vec<u8>,
}

impl Decompressor {
    /// The records of a batch that were compressed by the codec of this number (`attributes & 7`).
    ///
    /// # Errors
    /// When there is no such codec, the data is damaged, or it is larger than the limit.
    pub(super) fn decompress(&mut self, codec: i16, data: &Bytes) -> io::Result<Bytes> {
        self.room.clear();
        match codec {
            0 => return Ok(data.clone()),
            1 => read_limited(flate2::read::MultiGzDecoder::new(&data[..]), &mut self.room)?,
            2 => read_snappy(data, &mut self.room)?,
            3 => read_limited(lz4_flex::frame::FrameDecoder::new(&data[..]), &mut self.room)?,
            4 => read_limited(zstd::stream::read::Decoder::with_buffer(&data[..])?, &mut self.room)?,
            other => return Err(invalid(format!("no codec has number {other}"))),
        }
        Ok(Bytes::copy_from_slice(&self.room))
    }
}

fn read_limited(reader: impl Read, out: &mut Vec<u8>) -> io::Result<()> {
    let limit = DECOMPRESSED_MAX_BYTES;
    reader.take(limit as u64 + 1).read_to_end(out)?;
    if out.len() > limit { Err(too_large()) } else { Ok(()) }
}

/// Xerial's frame is a header and then blocks, each with its length; some clients send a bare block instead.
fn read_snappy(data: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    if !data.starts_with(XERIAL_MAGIC) {
        return read_snappy_block(data, out);
    }
    let cut_short = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let mut rest = data.get(XERIAL_HEADER_BYTES..).ok_or_else(cut_short)?;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(cut_short)?;
        let (block, after) =
            after.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(cut_short)?;
        read_snappy_block(block, out)?;
        rest = after;
    }
    Ok(())
}

fn read_snappy_block(block: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let start = out.len();
    let length = snap::raw::decompress_len(block).map_err(|error| invalid(error.to_string()))?;
    if length > DECOMPRESSED_MAX_BYTES.saturating_sub(start) {
        return Err(too_large());
    }
    out.resize(start + length, 0);
    let decompressed = snap::raw::Decoder::new().decompress(block, &mut out[start..]);
    decompressed.map(drop).map_err(|error| invalid(error.to_string()))
}

fn too_large() -> io::Error {
    invalid(format!("its records are larger than {DECOMPRESSED_MAX_BYTES} bytes"))
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
