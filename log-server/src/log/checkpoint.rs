//! Small text files that say where a log begins or up to where it is known to be sound.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::Error;

/// The only version of Kafka's checkpoint files.
const VERSION: &str = "0";

/// A checkpoint file of Kafka: version, number of lines, then `topic partition offset` lines.
#[derive(Debug)]
pub(crate) struct OffsetCheckpoint {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl OffsetCheckpoint {
    pub(crate) fn new(disk: Arc<dyn Disk>, path: impl Into<PathBuf>) -> Self {
        OffsetCheckpoint { disk, path: path.into() }
    }

    /// The offsets by topic and partition; none if there is no file.
    ///
    /// # Errors
    /// [`Error::Storage`] or [`Error::Damaged`].
    pub(crate) fn read(&self) -> Result<BTreeMap<(String, i32), i64>, Error> {
        let text = self.disk.read_text(&self.path).map_err(Error::storage("read", &self.path))?;
        let Some(text) = text else { return Ok(BTreeMap::new()) };
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
        self.disk.replace_durably(&self.path, text.as_bytes()).map_err(Error::storage("write", &self.path))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::OsDisk;

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let checkpoint = OffsetCheckpoint::new(
            Arc::new(OsDisk),
            directory.path().join("recovery-point-offset-checkpoint"),
        );
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
