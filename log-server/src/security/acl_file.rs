//! `security/acls.toml`: the entries, in a readable file.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::acl::AclBinding;
use super::files::SecurityFiles;
use crate::error::Error;

const NAME: &str = "acls.toml";

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    acl: BTreeSet<AclBinding>,
}

/// Reads all entries; none if there is no file.
///
/// # Errors
/// [`Error::Storage`] or [`Error::Damaged`].
pub(super) fn read(files: &SecurityFiles) -> Result<BTreeSet<AclBinding>, Error> {
    let Some(text) = files.read(NAME)? else { return Ok(BTreeSet::new()) };
    let content: Content = toml::from_str(&text).map_err(|fault| damaged(files, fault.message()))?;
    Ok(content.acl)
}

/// Replaces the file; it is on the disk when this returns.
///
/// # Errors
/// [`Error::Storage`] or [`Error::Damaged`].
pub(super) fn write(files: &SecurityFiles, entries: &BTreeSet<AclBinding>) -> Result<(), Error> {
    let text = toml::to_string(&Content { acl: entries.clone() });
    files.write(NAME, &text.map_err(|fault| damaged(files, &fault.to_string()))?)
}

fn damaged(files: &SecurityFiles, reason: &str) -> Error {
    Error::Damaged { path: files.path(NAME), reason: reason.to_owned() }
}
