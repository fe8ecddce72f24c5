//! Loading much at once: sorted into files that RocksDB takes over as they are, past log, memtable and flush.

use std::path::{Path, PathBuf};

use rocksdb::{IngestExternalFileOptions, Options, SstFileWriter};
use streams_core::state::{KeyspaceId, WriteBatch, WriteOp};

/// Files that wait to be taken over.
const FOLDER: &str = "load";
/// A keyspace with less than this is written as usual: each file costs a few milliseconds.
const FILE_BYTES_MIN: usize = 1 << 20;

/// A keyspace's latest write of each key, sorted.
pub(super) struct Run<'a> {
    pub(super) keyspace: KeyspaceId,
    pub(super) ops: Vec<WriteOp<'a>>,
}

/// Sorts a batch by keyspace and key; of each key the last write stays.
pub(super) fn runs(batch: &WriteBatch) -> Vec<Run<'_>> {
    let mut ops: Vec<(KeyspaceId, WriteOp<'_>)> = batch.iter().collect();
    ops.sort_by(|(one, one_op), (other, other_op)| (one.0, key_of(one_op)).cmp(&(other.0, key_of(other_op))));
    let mut runs: Vec<Run<'_>> = Vec::new();
    for (keyspace, op) in ops {
        match runs.last_mut().filter(|run| run.keyspace == keyspace) {
            None => runs.push(Run { keyspace, ops: vec![op] }),
            Some(run) => match run.ops.last_mut().filter(|last| key_of(last) == key_of(&op)) {
                Some(last) => *last = op,
                None => run.ops.push(op),
            },
        }
    }
    runs
}

impl Run<'_> {
    /// Whether it is worth a file.
    pub(super) fn is_large(&self) -> bool {
        let bytes = |op: &WriteOp<'_>| match op {
            WriteOp::Put(key, value) => key.len() + value.len(),
            WriteOp::Delete(key) => key.len(),
        };
        self.ops.iter().map(bytes).sum::<usize>() >= FILE_BYTES_MIN
    }

    /// Writes it to a file in the folder for that below a database's directory.
    pub(super) fn write(&self, options: &Options, folder: &LoadFolder) -> Result<PathBuf, rocksdb::Error> {
        let path = folder.0.join(format!("{}.sst", self.keyspace.0));
        let mut writer = SstFileWriter::create(options);
        writer.open(&path)?;
        for op in &self.ops {
            match op {
                WriteOp::Put(key, value) => writer.put(key, value)?,
                WriteOp::Delete(key) => writer.delete(key)?,
            }
        }
        writer.finish()?;
        Ok(path)
    }
}

/// How a file becomes part of a database: it is moved.
pub(super) fn take_over() -> IngestExternalFileOptions {
    let mut options = IngestExternalFileOptions::default();
    options.set_move_files(true);
    options
}

/// The folder in which files wait, gone with this value. What a killed process has left there is gone before.
pub(super) struct LoadFolder(PathBuf);

impl LoadFolder {
    pub(super) fn new(database: &Path) -> std::io::Result<Self> {
        let folder = LoadFolder(database.join(FOLDER));
        folder.clear();
        std::fs::create_dir_all(&folder.0)?;
        Ok(folder)
    }

    fn clear(&self) {
        // If it cannot be emptied, it cannot be filled either, which is told then.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

impl Drop for LoadFolder {
    fn drop(&mut self) {
        self.clear();
    }
}

fn key_of<'a>(op: &WriteOp<'a>) -> &'a [u8] {
    match op {
        WriteOp::Put(key, _) | WriteOp::Delete(key) => key,
    }
}
