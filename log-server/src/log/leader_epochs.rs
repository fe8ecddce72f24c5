//! `leader-epoch-checkpoint`: from which offset on each leader epoch wrote.
//!
//! The epoch rises when a log was found unclean: then records that a reader has already seen may be gone and
//! others stand at their offsets, which the reader notices by the epoch (KIP-101, KIP-320).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::Error;

/// The epochs of one partition, by rising epoch and start offset; there is always one.
#[derive(Debug)]
pub(crate) struct LeaderEpochs {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    entries: Vec<(i32, i64)>,
}

impl LeaderEpochs {
    /// Reads the checkpoint of a partition directory; without one, epoch 0 has written everything from `start_offset`
    /// on. It is written when another epoch begins: a new partition costs no sync for it.
    ///
    /// # Errors
    /// [`Error::Storage`] or [`Error::Damaged`].
    pub(crate) fn open(disk: &Arc<dyn Disk>, directory: &Path, start_offset: i64) -> Result<Self, Error> {
        let path = directory.join("leader-epoch-checkpoint");
        let entries = match disk.read_text(&path).map_err(Error::storage("read", &path))? {
            Some(text) => parse(&text).ok_or_else(|| Error::Damaged {
                path: path.clone(),
                reason: "it is not a list of `epoch offset` lines".to_owned(),
            })?,
            None => Vec::new(),
        };
        let mut epochs = LeaderEpochs { disk: Arc::clone(disk), path, entries };
        if epochs.entries.is_empty() {
            epochs.entries.push((0, start_offset));
        }
        Ok(epochs)
    }

    /// The epoch that writes now.
    pub(crate) fn current(&self) -> i32 {
        self.entries.last().map_or(0, |(epoch, _)| *epoch)
    }

    /// Begins the next epoch at `end_offset`, the end of what was found in the log.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) fn begin_next(&mut self, end_offset: i64) -> Result<(), Error> {
        let next = self.current() + 1;
        self.entries.retain(|(_, start)| *start < end_offset);
        self.entries.push((next, end_offset));
        self.write()
    }

    /// The last epoch not above `epoch`, and the offset at which it ended; `None` if there is no such epoch.
    pub(crate) fn end_of(&self, epoch: i32, log_end: i64) -> Option<(i32, i64)> {
        let at = self.entries.partition_point(|(known, _)| *known <= epoch).checked_sub(1)?;
        let end = self.entries.get(at + 1).map_or(log_end, |(_, start)| *start);
        Some((self.entries[at].0, end))
    }

    /// The epoch that wrote `offset`.
    pub(crate) fn epoch_of(&self, offset: i64) -> i32 {
        let at = self.entries.partition_point(|(_, start)| *start <= offset).saturating_sub(1);
        self.entries.get(at).map_or(0, |(epoch, _)| *epoch)
    }

    fn write(&self) -> Result<(), Error> {
        let mut text = format!("0\n{}\n", self.entries.len());
        for (epoch, start) in &self.entries {
            text.push_str(&format!("{epoch} {start}\n"));
        }
        self.disk.replace_durably(&self.path, text.as_bytes()).map_err(Error::storage("write", &self.path))
    }
}

fn parse(text: &str) -> Option<Vec<(i32, i64)>> {
    let mut lines = text.lines();
    (lines.next()? == "0").then_some(())?;
    let count: usize = lines.next()?.parse().ok()?;
    let entries: Option<Vec<_>> = lines
        .map(|line| {
            let (epoch, start) = line.split_once(' ')?;
            Some((epoch.parse().ok()?, start.parse().ok()?))
        })
        .collect();
    entries.filter(|entries| entries.len() == count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::OsDisk;

    fn open(directory: &Path) -> LeaderEpochs {
        LeaderEpochs::open(&(Arc::new(OsDisk) as Arc<dyn Disk>), directory, 0).unwrap()
    }

    #[test]
    fn epochs_survive_and_know_their_ends() {
        let directory = tempfile::tempdir().unwrap();
        let mut epochs = open(directory.path());
        assert_eq!(epochs.current(), 0);
        epochs.begin_next(10).unwrap();
        epochs.begin_next(30).unwrap();
        let epochs = open(directory.path());
        assert_eq!(epochs.current(), 2);
        assert_eq!(epochs.end_of(0, 40), Some((0, 10)));
        assert_eq!(epochs.end_of(1, 40), Some((1, 30)));
        assert_eq!(epochs.end_of(9, 40), Some((2, 40)));
        assert_eq!(epochs.end_of(-1, 40), None);
        assert_eq!([0, 9, 10, 29, 30].map(|offset| epochs.epoch_of(offset)), [0, 0, 1, 1, 2]);
    }

    #[test]
    fn an_epoch_without_records_leaves_no_trace() {
        let directory = tempfile::tempdir().unwrap();
        let mut epochs = open(directory.path());
        epochs.begin_next(0).unwrap();
        epochs.begin_next(0).unwrap();
        assert_eq!((epochs.current(), epochs.epoch_of(0)), (2, 2));
        assert_eq!(epochs.entries.len(), 1);
    }
}
