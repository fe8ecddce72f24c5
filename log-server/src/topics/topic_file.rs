//! `topics/<name>.properties`: a topic's id, its number of partitions and its configuration, in a readable file.
//!
//! A topic exists from the moment its file is on the disk, and is gone when the file is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::disk::Disk;
use crate::error::Error;

/// What a topic's file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicFile {
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
    pub(crate) configs: BTreeMap<String, String>,
}

/// The directory of the topics' files.
pub(crate) fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("topics")
}

impl TopicFile {
    /// Writes the file; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) fn write(&self, disk: &dyn Disk, data_dir: &Path, name: &str) -> Result<(), Error> {
        let mut text = format!("topic.id={}\npartitions={}\n", self.id, self.partitions);
        for (name, value) in &self.configs {
            text.push_str(&format!("config.{name}={value}\n"));
        }
        let path = path(data_dir, name);
        disk.replace_durably(&path, text.as_bytes()).map_err(Error::storage("write", &path))
    }

    /// Removes a topic's file.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) fn remove(disk: &dyn Disk, data_dir: &Path, name: &str) -> Result<(), Error> {
        let path = path(data_dir, name);
        disk.remove_file(&path)
            .and_then(|()| disk.sync_directory(&directory(data_dir)))
            .map_err(Error::storage("remove", path))
    }

    /// Reads all files of the directory: topics by name.
    ///
    /// # Errors
    /// [`Error::Storage`] or [`Error::Damaged`].
    pub(crate) fn read_all(disk: &dyn Disk, data_dir: &Path) -> Result<BTreeMap<String, TopicFile>, Error> {
        let directory = directory(data_dir);
        disk.create_dir_durably(&directory).map_err(Error::storage("create", &directory))?;
        let mut topics = BTreeMap::new();
        for path in disk.list(&directory).map_err(Error::storage("list", &directory))? {
            let Some(file_name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let Some(name) = file_name.strip_suffix(SUFFIX) else { continue };
            let text = disk.read_text(&path).map_err(Error::storage("read", &path))?;
            let file = text.as_deref().and_then(parse).ok_or_else(|| Error::Damaged {
                path: path.clone(),
                reason: "it lacks topic.id or partitions".to_owned(),
            })?;
            topics.insert(name.to_owned(), file);
        }
        Ok(topics)
    }
}

const SUFFIX: &str = ".properties";

fn path(data_dir: &Path, name: &str) -> PathBuf {
    directory(data_dir).join(format!("{name}{SUFFIX}"))
}

fn parse(text: &str) -> Option<TopicFile> {
    let (mut id, mut partitions, mut configs) = (None, None, BTreeMap::new());
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        match (key, key.strip_prefix("config.")) {
            ("topic.id", _) => id = value.parse().ok(),
            ("partitions", _) => partitions = value.parse().ok(),
            (_, Some(name)) => drop(configs.insert(name.to_owned(), value.to_owned())),
            _ => {}
        }
    }
    Some(TopicFile { id: id?, partitions: partitions?, configs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::OsDisk;

    #[test]
    fn what_is_written_is_read() {
        let data_dir = tempfile::tempdir().unwrap();
        assert!(TopicFile::read_all(&OsDisk, data_dir.path()).unwrap().is_empty());
        let configs = BTreeMap::from([("cleanup.policy".to_owned(), "compact,delete".to_owned())]);
        let file = TopicFile { id: Uuid::new_v4(), partitions: 3, configs };
        file.write(&OsDisk, data_dir.path(), "a.b").unwrap();
        let topics = TopicFile::read_all(&OsDisk, data_dir.path()).unwrap();
        assert_eq!(topics, BTreeMap::from([("a.b".to_owned(), file)]));
        TopicFile::remove(&OsDisk, data_dir.path(), "a.b").unwrap();
        assert!(TopicFile::read_all(&OsDisk, data_dir.path()).unwrap().is_empty());
    }
}
