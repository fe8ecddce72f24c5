//! Producer ids: never given out twice, also over restarts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::Disk;
use crate::error::Error;

/// How many ids are reserved on the disk at a time; after a restart the rest of a block is skipped.
const BLOCK: i64 = 1000;

/// Gives out producer ids.
#[derive(Debug)]
pub(crate) struct ProducerIds {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    state: Mutex<Block>,
}

#[derive(Debug)]
struct Block {
    next: i64,
    /// The first id that is not reserved on the disk.
    end: i64,
}

impl ProducerIds {
    /// Continues after what earlier starts have reserved.
    ///
    /// # Errors
    /// [`Error::Storage`] or [`Error::Damaged`].
    pub(crate) fn open(disk: Arc<dyn Disk>, data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join("producer-ids");
        let next = match disk.read_text(&path).map_err(Error::storage("read", &path))? {
            Some(text) => text.trim().parse().map_err(|_| Error::Damaged {
                path: path.clone(),
                reason: "it is not the number of the next producer id".to_owned(),
            })?,
            None => 0,
        };
        Ok(ProducerIds { disk, path, state: Mutex::new(Block { next, end: next }) })
    }

    /// The next id. Blocks on the disk once in a thousand times.
    ///
    /// # Errors
    /// [`Error::Storage`] if a new block cannot be reserved.
    pub(crate) fn next(&self) -> Result<i64, Error> {
        let mut block = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if block.next == block.end {
            let end = block.end + BLOCK;
            self.disk
                .replace_durably(&self.path, end.to_string().as_bytes())
                .map_err(Error::storage("write", &self.path))?;
            block.end = end;
        }
        block.next += 1;
        Ok(block.next - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::OsDisk;

    #[test]
    fn ids_are_given_out_once() {
        let data_dir = tempfile::tempdir().unwrap();
        let mut last = -1;
        for _ in 0..3 {
            let ids = ProducerIds::open(Arc::new(OsDisk), data_dir.path()).unwrap();
            for _ in 0..1500 {
                let id = ids.next().unwrap();
                assert!(id > last);
                last = id;
            }
        }
    }
}
