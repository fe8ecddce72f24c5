//! Writes segments anew and puts the result in their place, so that a crash leaves the old or the new.
//!
//! The new file is `<base>.log.cleaned` while it is written, which the next start removes, and `<base>.log.swap`
//! from when it is complete and on the disk: from then on the old files are removed, and the next start would go
//! on with that.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::filter::{Filter, Kept};
use crate::disk::Disk;
use crate::error::Error;
use crate::log::partition_log::PartitionLog;
use crate::log::scan::scan;
use crate::log::segment::{AppendError, Segment, file_path};
use crate::records::BatchHeader;

impl PartitionLog {
    /// Replaces the segments by one with what the filter keeps of them. Returns its size.
    ///
    /// # Errors
    /// [`Error::Storage`], or [`Error::Damaged`] if records cannot be read; the segments then stay.
    pub(super) fn rewrite(
        &self,
        group: &[Arc<Segment>],
        mut filter: Filter<'_>,
        index_interval_bytes: usize,
    ) -> Result<u64, Error> {
        let base_offset = group[0].base_offset;
        let cleaned_path = file_path(self.directory(), base_offset, "log.cleaned");
        let disk = &self.options.disk;
        let cleaned = Segment::create_as(disk, self.directory(), base_offset, &cleaned_path)
            .map_err(Error::storage("create", &cleaned_path))?;
        for segment in group {
            let mut fault = None;
            let scanned = scan(segment, 0, true, |header, _, batch| {
                match keep(&cleaned, header, batch, &mut filter, index_interval_bytes) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        fault = Some(error);
                        ControlFlow::Break(())
                    }
                }
            });
            let end = scanned.map_err(Error::storage("read", segment.path("log")))?;
            let unsound = end.fault.map(|fault| Error::Damaged {
                path: segment.path("log"),
                reason: format!("position {}: {fault}", end.position),
            });
            if let Some(error) = fault.or(unsound) {
                let _ = disk.remove_file(&cleaned_path);
                return Err(error);
            }
        }
        cleaned.indexes_mut().aborted =
            group.iter().flat_map(|segment| segment.indexes().aborted.clone()).collect();
        let size = cleaned.size_bytes();
        self.replace(group, cleaned, &cleaned_path)?;
        Ok(size)
    }

    fn replace(&self, group: &[Arc<Segment>], cleaned: Segment, cleaned_path: &Path) -> Result<(), Error> {
        let disk = &self.options.disk;
        let base_offset = cleaned.base_offset;
        cleaned.sync().map_err(Error::storage("sync", cleaned_path))?;
        let cleaned = Arc::new(cleaned);
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let at = segments.partition_point(|segment| segment.base_offset < base_offset);
        let unchanged = segments[at..].iter().zip(group).filter(|(now, then)| Arc::ptr_eq(now, then)).count();
        if unchanged < group.len() {
            // Retention or DeleteRecords removed some meanwhile.
            let _ = disk.remove_file(cleaned_path);
            return Ok(());
        }
        let swap_path = file_path(self.directory(), base_offset, "log.swap");
        disk.rename(cleaned_path, &swap_path).map_err(Error::storage("rename", cleaned_path))?;
        sync_directory(disk, self.directory())?;
        for segment in group {
            segment.delete_but_snapshot().map_err(Error::storage("remove", segment.path("log")))?;
        }
        finish_swap(disk, &swap_path, &cleaned.path("log"))?;
        cleaned.store_indexes().map_err(Error::storage("write", cleaned.path("index")))?;
        cleaned.release_indexes().map_err(Error::storage("read", cleaned.path("index")))?;
        cleaned.set_verified();
        let mut list = segments.as_ref().clone();
        list.splice(at..at + group.len(), [cleaned]);
        *segments = Arc::new(list);
        Ok(())
    }
}

fn keep(
    cleaned: &Segment,
    header: &BatchHeader,
    batch: &[u8],
    filter: &mut Filter<'_>,
    index_interval_bytes: usize,
) -> Result<(), Error> {
    let rebuilt;
    let bytes = match filter.judge(header, batch)? {
        Kept::Nothing => return Ok(()),
        Kept::Whole => batch,
        Kept::Rebuilt(batch) => {
            rebuilt = batch;
            &rebuilt
        }
    };
    let position = cleaned.append(bytes, &[]).map_err(|error| {
        let (AppendError::Refused(error) | AppendError::Torn(error)) = error;
        Error::storage("write", cleaned.path("log.cleaned"))(error)
    })?;
    let header = BatchHeader::parse(bytes)
        .map_err(|fault| Error::Damaged { path: cleaned.path("log.cleaned"), reason: fault.to_string() })?;
    cleaned.index_batch(&header, position, index_interval_bytes);
    Ok(())
}

/// Goes on with a replacement that a crash interrupted: removes the segments that `swap_path` replaces, as far as
/// they are still there, and gives it its name.
///
/// # Errors
/// [`Error::Storage`].
pub(crate) fn resume_swap(
    disk: &Arc<dyn Disk>,
    directory: &Path,
    swap_path: &Path,
    base_offset: i64,
) -> Result<(), Error> {
    let swap = Segment::open_as(disk, directory, base_offset, swap_path)
        .map_err(Error::storage("open", swap_path))?;
    let mut end_offset = base_offset + 1;
    scan(&swap, 0, true, |header, _, _| {
        end_offset = header.next_offset();
        ControlFlow::Continue(())
    })
    .map_err(Error::storage("read", swap_path))?;
    for path in disk.list(directory).map_err(Error::storage("list", directory))? {
        let base: Option<i64> =
            path.file_name().and_then(|name| name.to_str()?.strip_suffix(".log")?.parse().ok());
        if base.is_some_and(|base| (base_offset..end_offset).contains(&base)) {
            disk.remove_file(&path).map_err(Error::storage("remove", &path))?;
        }
    }
    for suffix in ["index", "timeindex"] {
        // Of a segment that is replaced; they are built anew.
        let _ = disk.remove_file(&file_path(directory, base_offset, suffix));
    }
    finish_swap(disk, swap_path, &file_path(directory, base_offset, "log"))
}

fn finish_swap(disk: &Arc<dyn Disk>, swap_path: &Path, log_path: &Path) -> Result<(), Error> {
    disk.rename(swap_path, log_path).map_err(Error::storage("rename", swap_path))?;
    match log_path.parent() {
        Some(directory) => sync_directory(disk, directory),
        None => Ok(()),
    }
}

fn sync_directory(disk: &Arc<dyn Disk>, directory: &Path) -> Result<(), Error> {
    disk.sync_directory(directory).map_err(Error::storage("sync", directory))
}
