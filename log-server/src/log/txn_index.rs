//! `.txnindex`: the aborted transactions of a segment, which readers of committed records need to skip.

use std::io;
use std::path::Path;

use crate::disk::Disk;

/// Bytes of an entry: version, producer id, first and last offset, last stable offset.
const ENTRY_BYTES: usize = 34;

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AbortedTransaction {
    pub(crate) producer_id: i64,
    /// The first offset of its records.
    pub(crate) first_offset: i64,
    /// The offset of its abort marker.
    pub(crate) last_offset: i64,
    /// The last stable offset after the marker.
    pub(crate) last_stable_offset: i64,
}

impl AbortedTransaction {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&0i16.to_be_bytes());
        for number in [self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }

    fn get(bytes: &[u8]) -> Self {
        let number = |at: usize| {
            let mut array = [0; 8];
            array.copy_from_slice(&bytes[at..at + 8]);
            i64::from_be_bytes(array)
        };
        AbortedTransaction {
            producer_id: number(2),
            first_offset: number(10),
            last_offset: number(18),
            last_stable_offset: number(26),
        }
    }
}

/// Reads the file; none if it does not exist.
///
/// # Errors
/// Those of the file system; `InvalidData` if the file has part of an entry.
pub(crate) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<AbortedTransaction>> {
    let bytes = match disk.read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    if bytes.len() % ENTRY_BYTES != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "transaction index has part of an entry"));
    }
    Ok(bytes.chunks_exact(ENTRY_BYTES).map(AbortedTransaction::get).collect())
}

/// Replaces the file; without entries it is removed.
///
/// # Errors
/// Those of the file system.
pub(crate) fn write(disk: &dyn Disk, path: &Path, entries: &[AbortedTransaction]) -> io::Result<()> {
    if entries.is_empty() {
        return disk.remove_if_there(path);
    }
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES);
    entries.iter().for_each(|entry| entry.put(&mut bytes));
    disk.replace(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::OsDisk;

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0.txnindex");
        assert_eq!(read(&OsDisk, &path).unwrap(), []);
        let entry =
            AbortedTransaction { producer_id: 7, first_offset: 10, last_offset: 20, last_stable_offset: 21 };
        write(&OsDisk, &path, &[entry, entry]).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 68);
        assert_eq!(read(&OsDisk, &path).unwrap(), [entry, entry]);
        write(&OsDisk, &path, &[]).unwrap();
        assert!(!path.exists());
    }
}
