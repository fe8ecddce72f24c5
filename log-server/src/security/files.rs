//! The directory `security/` below the data directory, in which users and access control lists are kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::Error;

/// The files of the directory. It is made when something is first written; only the server's own account may look
/// inside.
#[derive(Debug, Clone)]
pub(crate) struct SecurityFiles {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
}

impl SecurityFiles {
    /// The directory below `data_dir`, on that disk.
    pub(crate) fn new(disk: Arc<dyn Disk>, data_dir: &Path) -> Self {
        SecurityFiles { disk, directory: data_dir.join("security") }
    }

    /// Where a file is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Reads a file; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, Error> {
        let path = self.path(name);
        self.disk.read_text(&path).map_err(Error::storage("read", path))
    }

    /// Replaces a file; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let directory = &self.directory;
        if !self.disk.exists(directory) {
            self.disk.create_dir_durably(directory).map_err(Error::storage("create", directory))?;
            restrict(directory)?;
        }
        let path = self.path(name);
        self.disk.replace_durably(&path, text.as_bytes()).map_err(Error::storage("write", path))
    }
}

/// Lets nobody else look into a directory.
fn restrict(directory: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        match std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700)) {
            // A simulated disk is not the operating system's.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            set => set.map_err(Error::storage("restrict", directory))?,
        }
    }
    Ok(())
}
