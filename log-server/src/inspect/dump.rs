//! Prints the batches and records of a segment.

use std::io::Write;
use std::path::Path;

use crate::error::Error;
use crate::records::{BatchHeader, Record, Records};

/// How much of a key or value is printed.
const MAX_SHOWN_BYTES: usize = 60;

/// Prints each batch of a `.log` file, and with `records` each record, to `out`. It stops at the first batch that
/// is not sound, which it names.
///
/// # Errors
/// [`Error::Storage`] if the file cannot be read or `out` not be written, [`Error::Damaged`] if a batch is not sound.
pub fn dump_segment(path: &Path, records: bool, out: &mut impl Write) -> Result<(), Error> {
    let bytes = std::fs::read(path).map_err(Error::storage("read", path))?;
    let mut position = 0;
    while position < bytes.len() {
        let damaged = |fault: &dyn std::fmt::Display| Error::Damaged {
            path: path.to_owned(),
            reason: format!("position {position}: {fault}"),
        };
        let header = BatchHeader::parse_checked(&bytes[position..]).map_err(|fault| damaged(&fault))?;
        print_batch(&header, position, out).map_err(Error::storage("print", path))?;
        if records {
            let batch = Records::read(header, &bytes[position..]).map_err(|fault| damaged(&fault))?;
            for record in batch.iter() {
                let record = record.map_err(|fault| damaged(&fault))?;
                print_record(&record, out).map_err(Error::storage("print", path))?;
            }
        }
        position += header.size_bytes();
    }
    Ok(())
}

fn print_batch(header: &BatchHeader, position: usize, out: &mut impl Write) -> std::io::Result<()> {
    write!(
        out,
        "batch offsets={}..={} records={} position={position} bytes={} epoch={} time={} codec={:?}",
        header.base_offset,
        header.last_offset(),
        header.record_count,
        header.size_bytes(),
        header.leader_epoch,
        header.max_timestamp,
        header.compression(),
    )?;
    if header.producer_id >= 0 {
        write!(
            out,
            " producer={} producer-epoch={} sequence={}",
            header.producer_id, header.producer_epoch, header.base_sequence
        )?;
    }
    if header.is_transactional() {
        write!(out, " transactional")?;
    }
    if header.is_control() {
        write!(out, " control")?;
    }
    writeln!(out)
}

fn print_record(record: &Record<'_>, out: &mut impl Write) -> std::io::Result<()> {
    let shown = |bytes: Option<&[u8]>| match bytes {
        None => "null".to_owned(),
        Some(bytes) if bytes.len() > MAX_SHOWN_BYTES => {
            format!("\"{}\"… ({} bytes)", bytes[..MAX_SHOWN_BYTES].escape_ascii(), bytes.len())
        }
        Some(bytes) => format!("\"{}\"", bytes.escape_ascii()),
    };
    let (key, value) = (shown(record.key), shown(record.value));
    writeln!(out, "  record offset={} time={} key={key} value={value}", record.offset, record.timestamp)
}
