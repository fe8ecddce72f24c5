//! `security/scram.toml`: the credentials of users that were administered while the server ran.
//!
//! It holds salts and keys, from which no password can be had back; whoever reads it can still try passwords, so only
//! the server's own account may.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::files::SecurityFiles;
use super::scram::{ScramCredential, ScramMechanism};
use crate::error::Error;

const NAME: &str = "scram.toml";

/// Credentials by user and mechanism.
pub(crate) type Credentials = BTreeMap<(String, ScramMechanism), ScramCredential>;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    credential: Vec<Entry>,
}

/// Field names and encoding are those of Kafka's own text form of a credential.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    user: String,
    mechanism: String,
    iterations: u32,
    salt: String,
    stored_key: String,
    server_key: String,
}

/// Reads all credentials; none if there is no file.
///
/// # Errors
/// [`Error::Storage`] or [`Error::Damaged`].
pub(super) fn read(files: &SecurityFiles) -> Result<Credentials, Error> {
    let Some(text) = files.read(NAME)? else { return Ok(Credentials::new()) };
    let damaged = |reason: String| Error::Damaged { path: files.path(NAME), reason };
    let content: Content = toml::from_str(&text).map_err(|fault| damaged(fault.message().to_owned()))?;
    let entries = content.credential.into_iter().map(|entry| {
        let user = entry.user.clone();
        decode(entry).ok_or_else(|| damaged(format!("the credential of user {user} cannot be read")))
    });
    entries.collect()
}

/// Replaces the file; it is on the disk when this returns.
///
/// # Errors
/// [`Error::Storage`] or [`Error::Damaged`].
pub(super) fn write(files: &SecurityFiles, credentials: &Credentials) -> Result<(), Error> {
    let entries = credentials.iter().map(|((user, mechanism), credential)| Entry {
        user: user.clone(),
        mechanism: mechanism.name().to_owned(),
        iterations: credential.iterations,
        salt: STANDARD.encode(&credential.salt),
        stored_key: STANDARD.encode(&credential.stored_key),
        server_key: STANDARD.encode(&credential.server_key),
    });
    let text = toml::to_string(&Content { credential: entries.collect() })
        .map_err(|fault| Error::Damaged { path: files.path(NAME), reason: fault.to_string() })?;
    files.write(NAME, &text)
}

fn decode(entry: Entry) -> Option<((String, ScramMechanism), ScramCredential)> {
    let credential = ScramCredential {
        salt: STANDARD.decode(entry.salt).ok()?,
        iterations: entry.iterations,
        stored_key: STANDARD.decode(entry.stored_key).ok()?,
        server_key: STANDARD.decode(entry.server_key).ok()?,
    };
    Some(((entry.user, ScramMechanism::from_name(&entry.mechanism)?), credential))
}
