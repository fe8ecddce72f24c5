//! Opening a partition's directory: trust what was closed cleanly, scan what was not.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compaction::resume_swap;
use super::leader_epochs::LeaderEpochs;
use super::partition_log::{LogOptions, PartitionLog, Recovered};
use super::producer_snapshot;
use super::producer_state::{Marker, ProducerStates};
use super::scan::scan;
use super::segment::{Segment, file_path};
use crate::disk::Disk;
use crate::error::Error;
use crate::records::{BATCH_HEADER_BYTES, BatchHeader, Records};
use crate::topics::TopicConfig;

/// How the server stopped the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenMode {
    /// Cleanly: files and indexes are complete.
    Clean,
    /// Not cleanly: everything from the recovery point on must be checked.
    Unclean { recovery_point: i64 },
}

impl PartitionLog {
    /// Opens the log in `directory`, which is made if it does not exist.
    ///
    /// After an unclean stop batches are read from the recovery point on; at the first one that is not sound the
    /// log is cut, indexes and producers are rebuilt, and a new leader epoch begins.
    ///
    /// # Errors
    /// [`Error::Storage`] or [`Error::Damaged`].
    pub(crate) fn open(
        topic: Arc<str>,
        partition: i32,
        directory: PathBuf,
        config: Arc<TopicConfig>,
        options: LogOptions,
        (mode, log_start): (OpenMode, i64),
    ) -> Result<Arc<Self>, Error> {
        let disk = &options.disk;
        disk.create_dir_all(&directory).map_err(Error::storage("create", &directory))?;
        let bases = segment_bases(disk, &directory)?;
        let now_ms = options.clock.wall_ms();
        let recovery = Recovery { disk, directory: &directory, config: &config, now_ms };
        let recovered = if bases.is_empty() {
            recovery.new_log(log_start)?
        } else {
            recovery.existing_log(&bases, mode, log_start)?
        };
        Ok(Arc::new(PartitionLog::from_recovered(topic, partition, directory, config, options, recovered)))
    }
}

/// The base offsets of the segments in a directory, rising. Leftovers of unfinished work are removed.
fn segment_bases(disk: &Arc<dyn Disk>, directory: &Path) -> Result<Vec<i64>, Error> {
    finish_replacements(disk, directory)?;
    let mut bases = Vec::new();
    for path in disk.list(directory).map_err(Error::storage("list", directory))? {
        let suffix = path.extension().and_then(|suffix| suffix.to_str());
        match suffix {
            Some("log") => {
                let stem = path.file_stem().and_then(|stem| stem.to_str());
                let base = stem.and_then(|stem| stem.parse().ok()).ok_or_else(|| Error::Damaged {
                    path: path.clone(),
                    reason: "a segment's name must be its first offset".to_owned(),
                })?;
                bases.push(base);
            }
            Some("tmp" | "deleted" | "cleaned") => {
                disk.remove_file(&path).map_err(Error::storage("remove", &path))?;
            }
            _ => {}
        }
    }
    bases.sort_unstable();
    Ok(bases)
}

/// Goes on with replacements of compacted segments that a crash interrupted.
fn finish_replacements(disk: &Arc<dyn Disk>, directory: &Path) -> Result<(), Error> {
    let paths = disk.list(directory).map_err(Error::storage("list", directory))?;
    let swaps: Vec<PathBuf> =
        paths.into_iter().filter(|path| path.extension().is_some_and(|suffix| suffix == "swap")).collect();
    for path in swaps {
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(base) = name.and_then(|name| name.strip_suffix(".log.swap")?.parse().ok()) {
            resume_swap(disk, directory, &path, base)?;
        }
    }
    Ok(())
}

/// How much of a segment was taken for granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    /// Its indexes.
    Trusted,
    /// Nothing, but all of it is sound.
    Rebuilt,
    /// Nothing, and its end was not sound.
    Cut,
}

struct Recovery<'a> {
    disk: &'a Arc<dyn Disk>,
    directory: &'a Path,
    config: &'a TopicConfig,
    now_ms: i64,
}

impl Recovery<'_> {
    fn new_log(&self, log_start: i64) -> Result<Recovered, Error> {
        let active = Segment::create(self.disk, self.directory, log_start)
            .map_err(self.fault("create a segment in"))?;
        let active = Arc::new(active);
        self.disk.sync_directory(self.directory).map_err(self.fault("sync"))?;
        Ok(Recovered {
            segments: vec![Arc::clone(&active)],
            active,
            next_offset: log_start,
            log_start,
            producers: ProducerStates::default(),
            epochs: LeaderEpochs::open(self.disk, self.directory, log_start)?,
        })
    }

    fn existing_log(&self, bases: &[i64], mode: OpenMode, log_start: i64) -> Result<Recovered, Error> {
        let mut segments: Vec<Arc<Segment>> = Vec::with_capacity(bases.len());
        let mut rebuilt = Vec::new();
        for (at, base) in bases.iter().enumerate() {
            let last = at + 1 == bases.len();
            let end_limit = bases.get(at + 1).copied();
            let segment = Segment::open(self.disk, self.directory, *base);
            let segment = Arc::new(segment.map_err(self.fault("open a segment of"))?);
            let suspect = match mode {
                OpenMode::Clean => false,
                OpenMode::Unclean { recovery_point } => end_limit.is_none_or(|end| end > recovery_point),
            };
            let opened = self.open_segment(&segment, suspect, last)?;
            if opened != Opened::Trusted {
                rebuilt.push(Arc::clone(&segment));
            }
            segments.push(segment);
            if opened == Opened::Cut && !last {
                self.remove_segments(&bases[at + 1..])?;
                break;
            }
        }
        let Some(active) = segments.last().cloned() else { return self.new_log(log_start) };
        let rebuilt_from = rebuilt.first().map(|segment| segment.base_offset);
        let (producers, next_offset) = self.replay_producers(&segments, rebuilt_from)?;
        // Not before: the replay has found their aborted transactions.
        for segment in rebuilt.iter().filter(|segment| !Arc::ptr_eq(segment, &active)) {
            segment.store_indexes().map_err(self.fault("write the indexes of"))?;
            segment.release_indexes().map_err(self.fault("read the indexes of"))?;
        }
        let log_start = log_start.clamp(segments[0].base_offset, next_offset);
        let mut epochs = LeaderEpochs::open(self.disk, self.directory, log_start)?;
        if mode != OpenMode::Clean {
            epochs.begin_next(next_offset)?;
        }
        Ok(Recovered { segments, active, next_offset, log_start, producers, epochs })
    }

    /// Loads the segment's indexes, or checks its batches and rebuilds them.
    fn open_segment(&self, segment: &Segment, suspect: bool, last: bool) -> Result<Opened, Error> {
        if !suspect {
            if segment.load_indexes(last).is_ok() && (!last || self.ends_soundly(segment)?) {
                return Ok(Opened::Trusted);
            }
            tracing::warn!(
                path = %segment.path("index").display(),
                "index is missing or damaged, or does not fit the segment: rebuilding it"
            );
        }
        let cut = self.rebuild_indexes(segment)?;
        // It was written by a server that did not live to sync it.
        segment.sync().map_err(self.fault("sync a segment of"))?;
        Ok(if cut { Opened::Cut } else { Opened::Rebuilt })
    }

    /// Whether the batches after the last index entry are sound and end where the file does, and the indexes say
    /// nothing of what is not there. What was closed cleanly ends so, unless somebody has changed the file.
    fn ends_soundly(&self, segment: &Segment) -> Result<bool, Error> {
        let position = segment.floor_position(i64::MAX).map_err(self.fault("search a segment of"))?;
        let mut end_offset = segment.base_offset;
        let end = scan(segment, position, true, |header, _, _| {
            end_offset = header.next_offset();
            ControlFlow::Continue(())
        });
        let end = end.map_err(self.fault("read a segment of"))?;
        let newest_time = segment.indexes().max_timestamp_offset;
        Ok(end.fault.is_none() && end.position == segment.size_bytes() && newest_time < end_offset)
    }

    /// Checks all batches of the segment, cuts it at the first one that is not sound, and builds the offset and
    /// time index anew. True if it was cut.
    fn rebuild_indexes(&self, segment: &Segment) -> Result<bool, Error> {
        segment.reset_indexes();
        let mut next_offset = segment.base_offset;
        let end = scan(segment, 0, true, |header, position, _| {
            let too_far = header.last_offset() - segment.base_offset > i64::from(i32::MAX);
            if header.base_offset < next_offset || header.last_offset_delta < 0 || too_far {
                return ControlFlow::Break(());
            }
            next_offset = header.next_offset();
            segment.index_batch(header, position, self.config.index_interval_bytes);
            ControlFlow::Continue(())
        });
        let end = end.map_err(self.fault("read a segment of"))?;
        segment.set_verified();
        let size = segment.size_bytes();
        if end.position == size {
            return Ok(false);
        }
        let reason = end.fault.map_or("its offset cannot be there".to_owned(), |fault| fault.to_string());
        tracing::warn!(
            path = %segment.path("log").display(), position = end.position, cut_bytes = size - end.position,
            next_offset, %reason, "cutting the log at an unsound batch"
        );
        segment.truncate(end.position).map_err(self.fault("cut a segment of"))?;
        Ok(true)
    }

    fn remove_segments(&self, bases: &[i64]) -> Result<(), Error> {
        for base in bases {
            let path = file_path(self.directory, *base, "log");
            tracing::warn!(path = %path.display(), "removing a segment behind an unsound batch");
            let segment =
                Segment::open(self.disk, self.directory, *base).map_err(Error::storage("open", &path))?;
            segment.delete().map_err(Error::storage("remove", &path))?;
        }
        Ok(())
    }

    /// Builds the producers from a snapshot and the batches after it; also finds the end of the log and fills the
    /// aborted transactions of the segments from `rebuilt_from` on.
    fn replay_producers(
        &self,
        segments: &[Arc<Segment>],
        rebuilt_from: Option<i64>,
    ) -> Result<(ProducerStates, i64), Error> {
        let log_end = self.end_offset(segments)?;
        let (mut producers, from) = self.newest_snapshot(segments, rebuilt_from, log_end)?;
        let mut next_offset = log_end.max(from).max(segments[0].base_offset);
        for (at, segment) in segments.iter().enumerate() {
            if segments.get(at + 1).is_some_and(|next| next.base_offset <= from) {
                continue;
            }
            let position = segment.floor_position(from).map_err(self.fault("search a segment of"))?;
            let mut aborted = Vec::new();
            let scanned = scan(segment, position, false, |header, _, batch| {
                if header.base_offset >= from {
                    if header.is_control() {
                        aborted.extend(replay_marker(&mut producers, header, batch));
                    } else {
                        producers.appended(header, self.now_ms);
                    }
                }
                next_offset = next_offset.max(header.next_offset());
                ControlFlow::Continue(())
            });
            let end = scanned.map_err(self.fault("read a segment of"))?;
            if let Some(fault) = end.fault {
                tracing::error!(
                    path = %segment.path("log").display(), position = end.position, %fault,
                    "unsound batch: what its producers wrote from here on is not known"
                );
            }
            let known = &mut segment.indexes_mut().aborted;
            aborted.retain(|new| !known.contains(new));
            known.extend(aborted);
        }
        Ok((producers, next_offset))
    }

    /// The newest snapshot that can be read and is not behind `rebuilt_from`; those beyond the log's end and those
    /// between segments that are not used are removed. Without one the producers begin empty at the log's beginning.
    fn newest_snapshot(
        &self,
        segments: &[Arc<Segment>],
        rebuilt_from: Option<i64>,
        log_end: i64,
    ) -> Result<(ProducerStates, i64), Error> {
        let paths = self.disk.list(self.directory).map_err(self.fault("list"))?;
        let offset_of = |path: &PathBuf| {
            (path.extension()? == "snapshot").then_some(())?;
            path.file_stem()?.to_str()?.parse().ok()
        };
        let mut offsets: Vec<i64> = paths.iter().filter_map(offset_of).collect();
        offsets.sort_unstable();
        let limit = rebuilt_from.map_or(log_end, |rebuilt| rebuilt.min(log_end));
        let mut newest = None;
        for offset in offsets.into_iter().rev() {
            let mut of_no_use =
                offset > log_end || segments.iter().all(|segment| segment.base_offset != offset);
            if newest.is_none() && offset <= limit {
                let producers = producer_snapshot::read(self.disk.as_ref(), self.directory, offset);
                of_no_use = producers.is_none();
                newest = producers.map(|producers| (producers, offset));
            }
            if of_no_use {
                // One that stays is tried again at the next start.
                let _ = self.disk.remove_file(&producer_snapshot::path(self.directory, offset));
            }
        }
        Ok(newest.unwrap_or_default())
    }

    /// The offset after the last batch.
    fn end_offset(&self, segments: &[Arc<Segment>]) -> Result<i64, Error> {
        let Some(active) = segments.last() else { return Ok(0) };
        let mut end = active.base_offset;
        let position = active.floor_position(i64::MAX).map_err(self.fault("search a segment of"))?;
        scan(active, position, false, |header, _, _| {
            end = header.next_offset();
            ControlFlow::Continue(())
        })
        .map_err(self.fault("read a segment of"))?;
        Ok(end)
    }

    fn fault(&self, action: &'static str) -> impl FnOnce(io::Error) -> Error {
        Error::storage(action, self.directory)
    }
}

/// Applies a transaction marker that is read from the log.
fn replay_marker(
    producers: &mut ProducerStates,
    header: &BatchHeader,
    batch: &[u8],
) -> Option<super::AbortedTransaction> {
    let records = Records::read(*header, batch).ok()?;
    let record = records.iter().next()?.ok()?;
    let (marker, coordinator_epoch) = decode_marker(record.key?, record.value?)?;
    producers.marked(header, marker, coordinator_epoch)
}

/// Reads the key and value of a control record: version and type, version and coordinator epoch.
pub(super) fn decode_marker(key: &[u8], value: &[u8]) -> Option<(Marker, i32)> {
    let kind = i16::from_be_bytes([*key.get(2)?, *key.get(3)?]);
    let marker = match kind {
        0 => Marker::Abort,
        1 => Marker::Commit,
        _ => return None,
    };
    let epoch = i32::from_be_bytes([*value.get(2)?, *value.get(3)?, *value.get(4)?, *value.get(5)?]);
    Some((marker, epoch))
}

const _: () = assert!(BATCH_HEADER_BYTES == 61, "segments are written in batch format 2");
