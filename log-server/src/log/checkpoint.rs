//! Small text files that say where a log begins or up to where it is known to be sound.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The only version of Kafka's checkpoint files.
const VERSION: &str = "0";

/// A checkpoint file of Kafka: version, number of lines, then `topic partition offset` lines.
#[derive(Debug)]
pub(crate) struct OffsetCheckpoint {
    path: PathBuf,
}

impl OffsetCheckpoint {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        OffsetCheckpoint { path: path.into() }
    }

    /// The offsets by topic and partition; none if there is no file.
    ///
    /// # Errors
    /// [`Error::Storage`] or [`Error::Damaged`].
    pub(crate) fn read(&self) -> Result<BTreeMap<(String, i32), i64>, Error> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(Error::storage("read", &self.path)(error)),
        };
        parse(&text).map_err(|reason| Error::Damaged { path: self.path.clone(), reason })
    }

    /// Replaces the file's content; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) fn write(&self, offsets: &BTreeMap<(String, i32), i64>) -> Result<(), Error> {
        let mut text = format!("{VERSION}\n{}\n", offsets.len());
        for ((topic, partition), offset) in offsets {
            text.push_str(&format!("{topic} {partition} {offset}\n"));
        }
        write_file_atomically(&self.path, text.as_bytes())
    }
}

fn parse(text: &str) -> Result<BTreeMap<(String, i32), i64>, String> {
    let mut lines = text.lines();
    if lines.next() != Some(VERSION) {
        return Err("it does not begin with version 0".to_owned());
    }
    let count: usize =
        lines.next().and_then(|line| line.parse().ok()).ok_or("it lacks the number of lines")?;
    let mut offsets = BTreeMap::new();
    for line in lines.take(count) {
        let mut words = line.split_whitespace();
        let entry = (|| {
            let topic = words.next()?.to_owned();
            Some(((topic, words.next()?.parse().ok()?), words.next()?.parse().ok()?))
        })();
        let (partition, offset) =
            entry.ok_or_else(|| format!("line {line:?} is not `topic partition offset`"))?;
        offsets.insert(partition, offset);
    }
    if offsets.len() != count {
        return Err(format!("it should have {count} lines and has {}", offsets.len()));
    }
    Ok(offsets)
}

/// Writes a file so that after a crash either the old or the new content is there, whole.
///
/// # Errors
/// [`Error::Storage`].
pub(crate) fn write_file_atomically(path: &Path, content: &[u8]) -> Result<(), Error> {
    let temporary = path.with_extension("tmp");
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        sync_parent(path)
    };
    write().map_err(Error::storage("write", path))
}

/// Makes creations, renames and removals in the directory of `path` durable.
fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let checkpoint = OffsetCheckpoint::new(directory.path().join("recovery-point-offset-checkpoint"));
        assert!(checkpoint.read().unwrap().is_empty());
        let offsets = BTreeMap::from([(("a".to_owned(), 0), 5), (("b-c".to_owned(), 12), 1 << 40)]);
        checkpoint.write(&offsets).unwrap();
        assert_eq!(checkpoint.read().unwrap(), offsets);
    }

    #[test]
    fn a_cut_file_is_reported() {
        assert!(parse("0\n2\na 0 5\n").is_err());
        assert!(parse("1\n0\n").is_err());
        assert!(parse("0\n1\na 0\n").is_err());
    }
}
