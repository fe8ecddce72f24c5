//! Checks every batch of a data directory.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::log::{Segment, scan};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Segments that were read.
    pub segments: usize,
    /// Batches whose length and checksum are right.
    pub batches: u64,
    /// Bytes of those batches.
    pub bytes: u64,
    /// Files with a fault: where it is and what.
    pub faults: Vec<(PathBuf, String)>,
}

/// Reads all segments of all partitions: lengths, checksums and the order of offsets. It changes nothing; the
/// server should be stopped, else the end of an active segment may look cut off.
///
/// # Errors
/// [`Error::Storage`] if a file cannot be read; what is wrong inside files is in the report.
pub fn verify_data_dir(data_dir: &Path) -> Result<VerifyReport, Error> {
    let mut report = VerifyReport::default();
    for partition in sorted_entries(data_dir)?.into_iter().filter(|path| path.is_dir()) {
        let mut next_offset = 0;
        for path in sorted_entries(&partition)? {
            if path.extension().is_some_and(|suffix| suffix == "log") {
                verify_segment(&path, &mut next_offset, &mut report)?;
            }
        }
    }
    Ok(report)
}

fn sorted_entries(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(directory).map_err(Error::storage("list", directory))?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(Error::storage("list", directory))?;
    paths.sort_unstable();
    Ok(paths)
}

fn verify_segment(path: &Path, next_offset: &mut i64, report: &mut VerifyReport) -> Result<(), Error> {
    let segment = Segment::open_to_read(path).map_err(Error::storage("open", path))?;
    report.segments += 1;
    let mut disorder = None;
    let end = scan(&segment, 0, true, |header, position, _| {
        if header.base_offset < *next_offset {
            disorder = Some(format!(
                "position {position}: offset {} is not after {}",
                header.base_offset,
                *next_offset - 1
            ));
            return ControlFlow::Break(());
        }
        *next_offset = header.next_offset();
        report.batches += 1;
        report.bytes += header.size_bytes() as u64;
        ControlFlow::Continue(())
    });
    let end = end.map_err(Error::storage("read", path))?;
    let fault = end.fault.map(|fault| format!("position {}: {fault}", end.position));
    if let Some(fault) = disorder.or(fault) {
        report.faults.push((path.to_owned(), fault));
    }
    Ok(())
}
