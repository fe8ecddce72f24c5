//! A segment: one file of batches with its indexes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::index::{OffsetEntry, SparseIndex, TimeEntry};
use super::txn_index::{self, AbortedTransaction};
use crate::disk::{self, Disk, DiskFile, OsDisk};
use crate::records::BatchHeader;

/// How many of the newest batches have their exact position in memory, so that readers at the tail, where most
/// are, need no search.
const RECENT_BATCHES: usize = 64;

/// A file of batches, and what is needed to find some of them.
#[derive(Debug)]
pub(crate) struct Segment {
    /// The offset that its files are named by: none of its records is before.
    pub(crate) base_offset: i64,
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    file: Box<dyn DiskFile>,
    /// Bytes that are written; readers must not go beyond.
    size_bytes: AtomicU64,
    /// Where batches begin whose checksum was verified since the start: by recovery or when they were appended.
    verified_from: AtomicU64,
    indexes: RwLock<Indexes>,
}

/// Why a batch was not appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    /// The segment is as it was.
    #[error(transparent)]
    Refused(io::Error),
    /// Part of the batch is in the file and cannot be cut off: nothing may be written after it.
    #[error("{0}, and what was written of the batch cannot be cut off")]
    Torn(io::Error),
}

/// The parts of a segment that change with every append.
#[derive(Debug)]
pub(crate) struct Indexes {
    pub(crate) offsets: SparseIndex<OffsetEntry>,
    pub(crate) times: SparseIndex<TimeEntry>,
    pub(crate) aborted: Vec<AbortedTransaction>,
    /// The largest timestamp and the offset of the batch that has it; `i64::MIN` without batches.
    pub(crate) max_timestamp: i64,
    pub(crate) max_timestamp_offset: i64,
    /// The timestamp of the first batch, for rolling by time.
    pub(crate) first_timestamp: Option<i64>,
    bytes_since_entry: usize,
    /// First offset and position of the newest batches, oldest first.
    recent: std::collections::VecDeque<(i64, u64)>,
}

impl Indexes {
    fn empty() -> Self {
        Indexes {
            offsets: SparseIndex::Memory(Vec::new()),
            times: SparseIndex::Memory(Vec::new()),
            aborted: Vec::new(),
            max_timestamp: i64::MIN,
            max_timestamp_offset: -1,
            first_timestamp: None,
            bytes_since_entry: 0,
            recent: std::collections::VecDeque::new(),
        }
    }
}

/// The path of a segment's file.
pub(crate) fn file_path(directory: &Path, base_offset: i64, suffix: &str) -> PathBuf {
    directory.join(format!("{base_offset:020}.{suffix}"))
}

impl Segment {
    /// Makes a new, empty segment; leftovers of the same name are overwritten.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn create(disk: &Arc<dyn Disk>, directory: &Path, base_offset: i64) -> io::Result<Self> {
        Self::create_as(disk, directory, base_offset, &file_path(directory, base_offset, "log"))
    }

    /// As [`Segment::create`], in a file of another name, which the caller gives the right one later.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn create_as(
        disk: &Arc<dyn Disk>,
        directory: &Path,
        base_offset: i64,
        path: &Path,
    ) -> io::Result<Self> {
        let file = disk.create(path)?;
        Ok(Self::with_file(Arc::clone(disk), directory, base_offset, file, 0))
    }

    /// Opens a segment with empty indexes, for the caller to fill.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn open(disk: &Arc<dyn Disk>, directory: &Path, base_offset: i64) -> io::Result<Self> {
        Self::open_as(disk, directory, base_offset, &file_path(directory, base_offset, "log"))
    }

    /// As [`Segment::open`], from a file of another name.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn open_as(
        disk: &Arc<dyn Disk>,
        directory: &Path,
        base_offset: i64,
        path: &Path,
    ) -> io::Result<Self> {
        let file = disk.open(path)?;
        let size_bytes = file.size_bytes()?;
        Ok(Self::with_file(Arc::clone(disk), directory, base_offset, file, size_bytes))
    }

    /// Opens a segment's file by its path, only to be read.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn open_to_read(path: &Path) -> io::Result<Self> {
        let file = disk::open_to_read(path)?;
        let size_bytes = file.size_bytes()?;
        let directory = path.parent().unwrap_or(Path::new("."));
        Ok(Self::with_file(Arc::new(OsDisk), directory, 0, file, size_bytes))
    }

    fn with_file(
        disk: Arc<dyn Disk>,
        directory: &Path,
        base_offset: i64,
        file: Box<dyn DiskFile>,
        size_bytes: u64,
    ) -> Self {
        Segment {
            base_offset,
            disk,
            directory: directory.to_owned(),
            file,
            size_bytes: AtomicU64::new(size_bytes),
            verified_from: AtomicU64::new(size_bytes),
            indexes: RwLock::new(Indexes::empty()),
        }
    }

    /// Uses the index files of a segment that was closed cleanly; `growing` reads them into memory.
    ///
    /// # Errors
    /// Those of the file system; the indexes must then be rebuilt.
    pub(crate) fn load_indexes(&self, growing: bool) -> io::Result<()> {
        let (offsets_path, times_path) = (self.path("index"), self.path("timeindex"));
        let (offsets, times) = if growing {
            (
                SparseIndex::load(self.disk.as_ref(), &offsets_path)?,
                SparseIndex::load(self.disk.as_ref(), &times_path)?,
            )
        } else {
            (
                SparseIndex::open(self.disk.as_ref(), &offsets_path)?,
                SparseIndex::open(self.disk.as_ref(), &times_path)?,
            )
        };
        if offsets.last()?.is_some_and(|last: OffsetEntry| u64::from(last.position) >= self.size_bytes()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "index reaches beyond the segment"));
        }
        let newest: Option<TimeEntry> = times.last()?;
        let mut indexes = self.indexes_mut();
        if let Some(newest) = newest {
            indexes.max_timestamp = newest.timestamp;
            indexes.max_timestamp_offset = self.base_offset + i64::from(newest.relative_offset);
        }
        indexes.aborted = txn_index::read(self.disk.as_ref(), &self.path("txnindex"))?;
        indexes.offsets = offsets;
        indexes.times = times;
        Ok(())
    }

    /// The path of one of the segment's files.
    pub(crate) fn path(&self, suffix: &str) -> PathBuf {
        file_path(&self.directory, self.base_offset, suffix)
    }

    /// Bytes of batches.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Acquire)
    }

    /// Where batches begin whose checksum needs no check when they are read.
    pub(crate) fn verified_from(&self) -> u64 {
        self.verified_from.load(Ordering::Relaxed)
    }

    /// Takes note that all batches have been verified.
    pub(crate) fn set_verified(&self) {
        self.verified_from.store(0, Ordering::Relaxed);
    }

    pub(crate) fn indexes(&self) -> RwLockReadGuard<'_, Indexes> {
        self.indexes.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn indexes_mut(&self) -> RwLockWriteGuard<'_, Indexes> {
        self.indexes.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a batch at the end: its first bytes, changed by the server, and the rest as it came. Only the
    /// partition's writer calls this.
    ///
    /// # Errors
    /// Those of the file system; what was written of the batch is cut off again, unless that fails as well.
    pub(crate) fn append(&self, head: &[u8], rest: &[u8]) -> Result<u64, AppendError> {
        let position = self.size_bytes();
        if let Err(error) = self.file.append(head, rest) {
            return Err(match self.file.truncate(position) {
                Ok(()) => AppendError::Refused(error),
                Err(second) => {
                    tracing::error!(path = %self.path("log").display(), %second, "cannot cut off a partial write");
                    AppendError::Torn(error)
                }
            });
        }
        self.size_bytes.store(position + (head.len() + rest.len()) as u64, Ordering::Release);
        Ok(position)
    }

    /// Takes note of a batch at `position` in the indexes; `header` has its final offsets.
    pub(crate) fn index_batch(&self, header: &BatchHeader, position: u64, index_interval_bytes: usize) {
        let indexes = &mut *self.indexes_mut();
        if indexes.first_timestamp.is_none() {
            indexes.first_timestamp = Some(header.max_timestamp);
        }
        if header.max_timestamp > indexes.max_timestamp {
            indexes.max_timestamp = header.max_timestamp;
            indexes.max_timestamp_offset = header.last_offset();
        }
        if indexes.bytes_since_entry > index_interval_bytes {
            let relative_offset = (header.last_offset() - self.base_offset) as u32;
            indexes.offsets.push(OffsetEntry { relative_offset, position: position as u32 });
            self.push_time_entry(indexes);
            indexes.bytes_since_entry = 0;
        }
        indexes.bytes_since_entry += header.size_bytes();
        if indexes.recent.len() == RECENT_BATCHES {
            indexes.recent.pop_front();
        }
        indexes.recent.push_back((header.base_offset, position));
    }

    /// Adds the largest timestamp so far to the time index, if it is larger than the last entry's.
    fn push_time_entry(&self, indexes: &mut Indexes) {
        let SparseIndex::Memory(times) = &mut indexes.times else { return };
        let newest = indexes.max_timestamp;
        if newest >= 0 && times.last().is_none_or(|last| last.timestamp < newest) {
            let relative_offset = (indexes.max_timestamp_offset - self.base_offset) as u32;
            times.push(TimeEntry { timestamp: newest, relative_offset });
        }
    }

    /// A position at or before the batch that contains `offset`.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn floor_position(&self, offset: i64) -> io::Result<u64> {
        let indexes = self.indexes();
        let recent = &indexes.recent;
        if recent.front().is_some_and(|(first, _)| *first <= offset) {
            let at = recent.partition_point(|(first, _)| *first <= offset);
            return Ok(recent[at - 1].1);
        }
        let relative = offset - self.base_offset;
        let entry = indexes.offsets.last_where(|entry| i64::from(entry.relative_offset) <= relative)?;
        Ok(entry.map_or(0, |entry| u64::from(entry.position)))
    }

    /// Reads exactly `buffer.len()` bytes at `position`.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        self.file.read_at(buffer, position)
    }

    /// Forces the batches to the disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// Writes the indexes to their files and forces them to the disk. The segment can still grow.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn store_indexes(&self) -> io::Result<()> {
        let indexes = &mut *self.indexes_mut();
        self.push_time_entry(indexes);
        let disk = self.disk.as_ref();
        // The offset index comes last: where it is, the others are.
        txn_index::write(disk, &self.path("txnindex"), &indexes.aborted)?;
        indexes.times.store(disk, &self.path("timeindex"))?;
        indexes.offsets.store(disk, &self.path("index"))
    }

    /// Drops the indexes from memory, after [`Segment::store_indexes`] of a segment that will not grow any more.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn release_indexes(&self) -> io::Result<()> {
        let offsets = SparseIndex::open(self.disk.as_ref(), &self.path("index"))?;
        let times = SparseIndex::open(self.disk.as_ref(), &self.path("timeindex"))?;
        let indexes = &mut *self.indexes_mut();
        indexes.offsets = offsets;
        indexes.times = times;
        indexes.recent = std::collections::VecDeque::new();
        Ok(())
    }

    /// Cuts the file at `size_bytes`; the indexes must not reach beyond.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn truncate(&self, size_bytes: u64) -> io::Result<()> {
        self.file.truncate(size_bytes)?;
        self.file.sync()?;
        self.size_bytes.store(size_bytes, Ordering::Release);
        Ok(())
    }

    /// Empties the indexes, to be filled anew.
    pub(crate) fn reset_indexes(&self) {
        *self.indexes_mut() = Indexes::empty();
    }

    /// Removes the segment's files. Readers that have it open can finish.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn delete(&self) -> io::Result<()> {
        self.delete_but_snapshot()?;
        self.disk.remove_if_there(&self.path("snapshot"))
    }

    /// Removes the segment's files but the snapshot of the producers before it, which holds after compaction too.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn delete_but_snapshot(&self) -> io::Result<()> {
        ["log", "index", "timeindex", "txnindex"]
            .iter()
            .try_for_each(|suffix| self.disk.remove_if_there(&self.path(suffix)))
    }
}
