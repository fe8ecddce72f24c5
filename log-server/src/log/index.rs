//! Sparse indexes: sorted entries of fixed size, in memory while the segment grows, in a file when it is closed.

use std::io;
use std::path::Path;

use crate::disk::{Disk, DiskFile};

/// An entry of an index file; all numbers are big-endian.
pub(crate) trait IndexEntry: Copy {
    /// Bytes of an entry.
    const BYTES: usize;
    fn put(&self, out: &mut Vec<u8>);
    /// `bytes` has [`IndexEntry::BYTES`] bytes.
    fn get(bytes: &[u8]) -> Self;
}

/// `.index`: the last offset of a batch, relative to the segment's base, and where the batch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub(crate) relative_offset: u32,
    pub(crate) position: u32,
}

impl IndexEntry for OffsetEntry {
    const BYTES: usize = 8;

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn get(bytes: &[u8]) -> Self {
        OffsetEntry { relative_offset: u32_at(bytes, 0), position: u32_at(bytes, 4) }
    }
}

/// `.timeindex`: the largest timestamp so far and the relative offset of the batch that brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: i64,
    pub(crate) relative_offset: u32,
}

impl IndexEntry for TimeEntry {
    const BYTES: usize = 12;

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn get(bytes: &[u8]) -> Self {
        let timestamp = (i64::from(u32_at(bytes, 0)) << 32) | i64::from(u32_at(bytes, 4));
        TimeEntry { timestamp, relative_offset: u32_at(bytes, 8) }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The entries of one index.
#[derive(Debug)]
pub(crate) enum SparseIndex<E> {
    /// All of them, of a segment that still grows.
    Memory(Vec<E>),
    /// They are read from the file when looked up.
    File { file: Box<dyn DiskFile>, entries: usize },
}

impl<E: IndexEntry> SparseIndex<E> {
    /// Opens the index of a closed segment.
    ///
    /// # Errors
    /// Those of the file system; `InvalidData` if the file's size is no multiple of an entry's.
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let file = disk.open(path)?;
        let bytes = usize::try_from(file.size_bytes()?).map_err(io::Error::other)?;
        if bytes % E::BYTES != 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "index file has part of an entry"));
        }
        Ok(SparseIndex::File { file, entries: bytes / E::BYTES })
    }

    /// Reads the index of a segment that is to grow on.
    ///
    /// # Errors
    /// As [`SparseIndex::open`].
    pub(crate) fn load(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let bytes = disk.read(path)?;
        if bytes.len() % E::BYTES != 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "index file has part of an entry"));
        }
        Ok(SparseIndex::Memory(bytes.chunks_exact(E::BYTES).map(E::get).collect()))
    }

    /// Replaces the file at `path` by the entries, and forces them to the disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn store(&self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        let SparseIndex::Memory(entries) = self else { return Ok(()) };
        let mut bytes = Vec::with_capacity(entries.len() * E::BYTES);
        entries.iter().for_each(|entry| entry.put(&mut bytes));
        disk.replace(path, &bytes)
    }

    pub(crate) fn push(&mut self, entry: E) {
        if let SparseIndex::Memory(entries) = self {
            entries.push(entry);
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            SparseIndex::Memory(entries) => entries.len(),
            SparseIndex::File { entries, .. } => *entries,
        }
    }

    /// The last entry.
    pub(crate) fn last(&self) -> io::Result<Option<E>> {
        self.len().checked_sub(1).map(|at| self.get(at)).transpose()
    }

    /// The last entry for which `holds` is true, where it is true for a first part of the entries only.
    pub(crate) fn last_where(&self, holds: impl Fn(&E) -> bool) -> io::Result<Option<E>> {
        let (mut low, mut high) = (0, self.len());
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.get(middle)?;
            if holds(&entry) {
                found = Some(entry);
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(found)
    }

    fn get(&self, at: usize) -> io::Result<E> {
        match self {
            SparseIndex::Memory(entries) => Ok(entries[at]),
            SparseIndex::File { file, .. } => {
                let mut bytes = [0; 16];
                let bytes = &mut bytes[..E::BYTES];
                file.read_at(bytes, (at * E::BYTES) as u64)?;
                Ok(E::get(bytes))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::OsDisk;

    #[test]
    fn file_and_memory_find_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0.timeindex");
        let mut index = SparseIndex::Memory(Vec::new());
        for number in 0..100u32 {
            index.push(TimeEntry { timestamp: i64::from(number) * 10 - 50, relative_offset: number });
        }
        index.store(&OsDisk, &path).unwrap();
        for file in [
            SparseIndex::<TimeEntry>::open(&OsDisk, &path).unwrap(),
            SparseIndex::load(&OsDisk, &path).unwrap(),
        ] {
            for wanted in [-100, -50, -1, 0, 5, 10, 939, 940, 5000] {
                let holds = |entry: &TimeEntry| entry.timestamp <= wanted;
                assert_eq!(file.last_where(holds).unwrap(), index.last_where(holds).unwrap());
            }
            assert_eq!(file.last().unwrap().unwrap().relative_offset, 99);
        }
    }

    #[test]
    fn part_of_an_entry_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0.index");
        std::fs::write(&path, [0; 12]).unwrap();
        assert!(SparseIndex::<OffsetEntry>::open(&OsDisk, &path).is_err());
        assert!(SparseIndex::<OffsetEntry>::load(&OsDisk, &path).is_err());
    }
}
