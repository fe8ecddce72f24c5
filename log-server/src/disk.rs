//! What the server asks of a file system, so that a simulation can stand in for the real one.
//!
//! The logs, their recovery and everything else below the data directory reach files only through [`Disk`]. A test
//! hands them a simulated disk, which loses at a power cut what real ones lose. There is one virtual call per batch or read, beside
//! which the operating system's own work is a thousand times as long.

mod operating_system;
#[cfg(test)]
pub(crate) mod simulated;

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) use operating_system::{OsDisk, open_to_read};

/// A file system, as far as the server uses it.
///
/// Names (of files made, renamed or removed) are durable when their directory has been synced, content when the file
/// has.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Makes an empty file; one of the same name is emptied.
    ///
    /// # Errors
    /// Those of the file system, as from all of these.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file to read it and to append to it.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// A file's whole content.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The paths of what is in a directory.
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;

    /// Whether there is something of that name.
    fn exists(&self, path: &Path) -> bool;

    /// Gives a file or directory another name; a file of that name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory with all that is in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory and those above it, as far as they do not exist.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// An open file. Appends come from one writer at a time; reads may come from anywhere meanwhile.
pub(crate) trait DiskFile: Debug + Send + Sync {
    /// Writes both parts at the end, in one call if the operating system takes all. After an error the file may have
    /// a part of them.
    ///
    /// # Errors
    /// Those of the file system, as from all of these.
    fn append(&self, head: &[u8], rest: &[u8]) -> io::Result<()>;

    /// Fills `buffer` from `position` on.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()>;

    /// Makes the content durable, the size included.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file; the next append goes there.
    fn truncate(&self, size_bytes: u64) -> io::Result<()>;

    /// How long the file is.
    fn size_bytes(&self) -> io::Result<u64>;
}

impl dyn Disk + '_ {
    /// Writes a file so that after a crash either the old or the new content is there, whole; which of both is sure
    /// only when the directory has been synced.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let temporary = path.with_extension("tmp");
        let file = self.create(&temporary)?;
        file.append(content, &[])?;
        file.sync()?;
        self.rename(&temporary, path)
    }

    /// As [`replace`](Self::replace), and durable when this returns.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn replace_durably(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.replace(path, content)?;
        path.parent().map_or(Ok(()), |parent| self.sync_directory(parent))
    }

    /// Makes a directory and those above it, as far as they do not exist; they are there for good when this returns.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn create_dir_durably(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if self.exists(path) {
            return Ok(());
        }
        let Some(parent) = parent else { return self.create_dir_all(path) };
        self.create_dir_durably(parent)?;
        self.create_dir_all(path)?;
        self.sync_directory(parent)
    }

    /// The text of a file; `None` if there is no such file.
    ///
    /// # Errors
    /// Those of the file system, and `InvalidData` if it is not UTF-8.
    pub(crate) fn read_text(&self, path: &Path) -> io::Result<Option<String>> {
        match self.read(path) {
            Ok(bytes) => String::from_utf8(bytes)
                .map(Some)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a file, if there is one.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn remove_if_there(&self, path: &Path) -> io::Result<()> {
        match self.remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
