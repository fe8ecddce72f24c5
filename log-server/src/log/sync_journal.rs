//! The sync journal: what several logs have just appended, written once more into one file, so that one sync serves all.
//!
//! A sync costs the same for one log as for ten in one file. The logs themselves are synced later, many appends at a
//! time, when a journal file is full; then it is removed. After a power cut the journal is played back before the logs
//! are opened: what a segment has lost of an entry is put where it was. Entries are physical (a segment, a position and
//! bytes), so playing them back twice, or those of a file that should be gone, changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use uuid::Uuid;

use super::partition_log::{PartitionLog, Watermarks, lock};
use super::segment::{Segment, file_path};
use crate::disk::{Disk, DiskFile};
use crate::error::Error;

/// How large a journal file may grow before the logs are synced.
const MAX_JOURNAL_BYTES: u64 = 16 * 1024 * 1024;

/// Larger rounds are not written twice: there the bytes cost more than the syncs.
pub(super) const MAX_ROUND_BYTES: u64 = 1024 * 1024;

/// What journal files are called, before their number.
const PREFIX: &str = "sync-journal-";

/// Marks an entry.
const MAGIC: u32 = 0x4c53_4a31;

/// Magic, checksum, length of the bytes, topic id, partition, segment, position.
const HEADER_BYTES: usize = 4 + 4 + 4 + 16 + 4 + 8 + 8;

/// Where the checksum ends, and what it covers begins.
const CHECKED_FROM: usize = 8;

/// What a log has appended since it was synced.
#[derive(Debug)]
pub(super) struct Unsynced {
    pub(super) log: Arc<PartitionLog>,
    /// The watermarks once it is durable.
    pub(super) marks: Watermarks,
    pub(super) segment: Arc<Segment>,
    /// The bytes of the segment's file.
    pub(super) from: u64,
    pub(super) to: u64,
}

/// The journal of one server.
#[derive(Debug)]
pub(crate) struct SyncJournal {
    disk: Arc<dyn Disk>,
    data_dir: PathBuf,
    max_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<JournalFile>,
    last_number: u64,
    /// A write or sync failed: logs are synced one by one until the next start.
    is_broken: bool,
    buffer: Vec<u8>,
}

/// A journal file, and the segments that must be synced before it can go.
#[derive(Debug)]
pub(super) struct JournalFile {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    size_bytes: u64,
    /// By place in memory.
    segments: HashMap<usize, (Arc<PartitionLog>, Arc<Segment>)>,
}

impl SyncJournal {
    /// A journal in the data directory; its first file is made when it is needed.
    pub(crate) fn new(disk: Arc<dyn Disk>, data_dir: &Path) -> Self {
        Self::with_limit(disk, data_dir, MAX_JOURNAL_BYTES)
    }

    /// As [`SyncJournal::new`], with files of another size.
    pub(crate) fn with_limit(disk: Arc<dyn Disk>, data_dir: &Path, max_bytes: u64) -> Self {
        SyncJournal { disk, data_dir: data_dir.to_owned(), max_bytes, state: Mutex::default() }
    }

    /// Makes the logs' appends durable with one sync; true if that is done. A file that has become full comes with it:
    /// see [`JournalFile::settle`].
    pub(super) fn commit(&self, round: &[Unsynced]) -> (bool, Option<JournalFile>) {
        let mut state = lock(&self.state);
        if state.is_broken {
            return (false, None);
        }
        let mut full = None;
        let written = self.write(&mut state, round, &mut full);
        if let Err(error) = &written {
            tracing::error!(
                path = %self.data_dir.display(), %error,
                "cannot write the sync journal: logs are synced one by one until the next start"
            );
            state.is_broken = true;
        }
        (written.is_ok(), full)
    }

    fn write(&self, state: &mut State, round: &[Unsynced], full: &mut Option<JournalFile>) -> io::Result<()> {
        let State { file, last_number, buffer, .. } = state;
        buffer.clear();
        for part in round {
            put_entry(buffer, part)?;
        }
        if file.as_ref().is_some_and(|file| file.size_bytes + buffer.len() as u64 > self.max_bytes) {
            *full = file.take();
        }
        let file = match file {
            Some(file) => file,
            none => {
                *last_number += 1;
                none.insert(self.create(*last_number)?)
            }
        };
        for part in round {
            let place = Arc::as_ptr(&part.segment) as usize;
            file.segments.entry(place).or_insert_with(|| (Arc::clone(&part.log), Arc::clone(&part.segment)));
        }
        file.file.append(buffer, &[])?;
        file.file.sync()?;
        file.size_bytes += buffer.len() as u64;
        Ok(())
    }

    /// The disk that it is on.
    pub(super) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    fn create(&self, number: u64) -> io::Result<JournalFile> {
        let path = self.data_dir.join(format!("{PREFIX}{number:012}"));
        let file = self.disk.create(&path)?;
        self.disk.sync_directory(&self.data_dir)?;
        Ok(JournalFile { path, file, size_bytes: 0, segments: HashMap::new() })
    }
}

impl JournalFile {
    /// Syncs the segments that the file speaks of, and removes it. A segment that cannot be synced stops its partition,
    /// and the file stays for the next start.
    pub(super) fn settle(self, disk: &dyn Disk) {
        let mut is_settled = true;
        for (log, segment) in self.segments.values() {
            if let Err(error) = segment.sync() {
                let _ = log.storage_error("sync", &error);
                log.fail();
                is_settled = false;
            }
        }
        // Should a power cut bring it back, it changes nothing.
        if is_settled && let Err(error) = disk.remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a sync journal");
        }
    }
}

fn put_entry(out: &mut Vec<u8>, part: &Unsynced) -> io::Result<()> {
    let start = out.len();
    let length = u32::try_from(part.to - part.from).map_err(io::Error::other)?;
    out.extend_from_slice(&MAGIC.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(part.log.topic_id().as_bytes());
    out.extend_from_slice(&part.log.partition().to_be_bytes());
    out.extend_from_slice(&part.segment.base_offset.to_be_bytes());
    out.extend_from_slice(&part.from.to_be_bytes());
    let bytes_from = out.len();
    out.resize(bytes_from + length as usize, 0);
    part.segment.read_at(&mut out[bytes_from..], part.from)?;
    let checksum = crc32c::crc32c(&out[start + CHECKED_FROM..]);
    out[start + 4..start + CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
    Ok(())
}

/// An entry as it is read back.
struct Entry<'a> {
    topic_id: Uuid,
    partition: i32,
    base_offset: i64,
    position: u64,
    bytes: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The first entry of the bytes and what is behind it; none if it is not whole and sound.
    fn parse(all: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (magic, rest) = all.split_first_chunk()?;
        let (checksum, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (topic_id, rest) = rest.split_first_chunk()?;
        let (partition, rest) = rest.split_first_chunk()?;
        let (base_offset, rest) = rest.split_first_chunk()?;
        let (position, rest) = rest.split_first_chunk()?;
        let (bytes, behind) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let checked = all.get(CHECKED_FROM..HEADER_BYTES + bytes.len())?;
        let is_sound =
            u32::from_be_bytes(*magic) == MAGIC && u32::from_be_bytes(*checksum) == crc32c::crc32c(checked);
        let entry = Entry {
            topic_id: Uuid::from_bytes(*topic_id),
            partition: i32::from_be_bytes(*partition),
            base_offset: i64::from_be_bytes(*base_offset),
            position: u64::from_be_bytes(*position),
            bytes,
        };
        is_sound.then_some((entry, behind))
    }
}

/// Plays the journal of a server back that has stopped uncleanly, before its logs are opened. `topics` are the names by
/// id. The logs' recovery syncs what is put back; [`remove`] the journal afterwards.
///
/// # Errors
/// [`Error::Storage`].
pub(crate) fn play_back(
    disk: &dyn Disk,
    data_dir: &Path,
    topics: &BTreeMap<Uuid, &str>,
) -> Result<(), Error> {
    for path in files(disk, data_dir)? {
        let content = disk.read(&path).map_err(Error::storage("read", &path))?;
        let mut rest = &content[..];
        let (mut entries, mut restored_bytes) = (0_u64, 0);
        while let Some((entry, behind)) = Entry::parse(rest) {
            rest = behind;
            entries += 1;
            let Some(topic) = topics.get(&entry.topic_id) else { continue };
            let directory = data_dir.join(format!("{topic}-{}", entry.partition));
            if restore(disk, &directory, &entry).map_err(Error::storage("restore", &directory))? {
                restored_bytes += entry.bytes.len();
            }
        }
        tracing::info!(path = %path.display(), entries, restored_bytes, "played the sync journal back");
    }
    Ok(())
}

/// Removes the journal of an earlier life, durably, before anything is written.
///
/// # Errors
/// [`Error::Storage`].
pub(crate) fn remove(disk: &dyn Disk, data_dir: &Path) -> Result<(), Error> {
    let paths = files(disk, data_dir)?;
    for path in &paths {
        disk.remove_file(path).map_err(Error::storage("remove", path))?;
    }
    if paths.is_empty() {
        return Ok(());
    }
    disk.sync_directory(data_dir).map_err(Error::storage("sync", data_dir))
}

/// The journal's files, oldest first.
fn files(disk: &dyn Disk, data_dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_journal = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX))
    };
    let mut paths = disk.list(data_dir).map_err(Error::storage("list", data_dir))?;
    paths.retain(is_journal);
    paths.sort_unstable();
    Ok(paths)
}

/// Puts an entry's bytes where they were, if they are not there; true if they were not. Only the last segment of a
/// partition can have lost anything: a segment is synced before there is a next one, and may have been compacted since.
fn restore(disk: &dyn Disk, directory: &Path, entry: &Entry<'_>) -> io::Result<bool> {
    let path = file_path(directory, entry.base_offset, "log");
    if !disk.exists(&path) || !is_last_segment(disk, directory, &path)? {
        return Ok(false);
    }
    let file = disk.open(&path)?;
    let size_bytes = file.size_bytes()?;
    if size_bytes < entry.position {
        tracing::error!(
            path = %path.display(), size_bytes, position = entry.position,
            "the segment ends before what the sync journal has of it"
        );
        return Ok(false);
    }
    let length = entry.bytes.len().min((size_bytes - entry.position) as usize);
    let mut present = vec![0; length];
    file.read_at(&mut present, entry.position)?;
    if present == entry.bytes {
        return Ok(false);
    }
    file.truncate(entry.position)?;
    file.append(entry.bytes, &[])?;
    Ok(true)
}

fn is_last_segment(disk: &dyn Disk, directory: &Path, path: &Path) -> io::Result<bool> {
    let is_later =
        |other: &PathBuf| other.extension().is_some_and(|end| end == "log") && other.as_path() > path;
    Ok(!disk.list(directory)?.iter().any(is_later))
}
