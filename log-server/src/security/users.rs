//! The users of a server: those of the configuration, and those that were administered while it ran.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError, RwLock};

use super::files::SecurityFiles;
use super::scram::{MIN_ITERATIONS, ScramCredential, ScramMechanism};
use super::user_file::{self, Credentials};
use crate::error::Error;
use crate::protocol::ErrorCode;

/// The most users that can be added while the server runs.
const MAX_USERS: usize = 100_000;

/// All users. Passwords are nowhere: of each there is a SCRAM credential, by which PLAIN is checked as well.
#[derive(Debug)]
pub(crate) struct Users {
    files: SecurityFiles,
    /// The users of the configuration; they cannot be changed at run time.
    configured: Credentials,
    administered: RwLock<Credentials>,
    /// Held while users change: changes come one after the other.
    changes: Mutex<()>,
    /// Makes up salts for users that do not exist, so that nobody learns which do.
    decoy_key: [u8; 32],
}

/// A change to one credential of a user.
#[derive(Debug, Clone)]
pub(crate) enum CredentialChange {
    Set(ScramCredential),
    Delete,
}

impl Users {
    /// Derives the credentials of the configured users (`passwords` by name) and reads those of the data directory.
    ///
    /// # Errors
    /// [`Error::Storage`] or [`Error::Damaged`].
    pub(crate) fn open(files: SecurityFiles, passwords: &BTreeMap<String, String>) -> Result<Self, Error> {
        let administered = RwLock::new(user_file::read(&files)?);
        let both = |(user, password): (&String, &String)| {
            ScramMechanism::ALL.map(|mechanism| {
                ((user.clone(), mechanism), ScramCredential::of_password(mechanism, password))
            })
        };
        let configured = passwords.iter().flat_map(both).collect();
        Ok(Users { files, configured, administered, changes: Mutex::new(()), decoy_key: rand::random() })
    }

    /// Whether nobody could log in.
    pub(crate) fn is_empty(&self) -> bool {
        self.configured.is_empty()
            && self.administered.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether this is the user's password. Takes as long for a user that does not exist.
    pub(crate) fn has_password(&self, user: &str, password: &str) -> bool {
        let known = ScramMechanism::ALL
            .into_iter()
            .find_map(|mechanism| Some((mechanism, self.credential(user, mechanism)?)));
        let exists = known.is_some();
        let (mechanism, credential) =
            known.unwrap_or_else(|| (ScramMechanism::Sha256, self.decoy(user, ScramMechanism::Sha256)));
        credential.is_of(mechanism, password) && exists
    }

    /// The user's credential, or one that no password fits.
    pub(crate) fn credential_or_decoy(&self, user: &str, mechanism: ScramMechanism) -> ScramCredential {
        self.credential(user, mechanism).unwrap_or_else(|| self.decoy(user, mechanism))
    }

    /// The mechanisms and rounds of the credentials of each user.
    pub(crate) fn describe(&self) -> BTreeMap<String, Vec<(ScramMechanism, u32)>> {
        let administered = self.administered.read().unwrap_or_else(PoisonError::into_inner);
        let mut users: BTreeMap<String, BTreeMap<ScramMechanism, u32>> = BTreeMap::new();
        for ((user, mechanism), credential) in administered.iter().chain(&self.configured) {
            users.entry(user.clone()).or_default().insert(*mechanism, credential.iterations);
        }
        users.into_iter().map(|(user, infos)| (user, infos.into_iter().collect())).collect()
    }

    /// Changes credentials and says for each user whether that could be done. Users of which one change is refused stay
    /// as they are. It is on the disk when this returns. Blocks on the disk.
    pub(crate) fn change(
        &self,
        changes: Vec<(String, ScramMechanism, CredentialChange)>,
    ) -> BTreeMap<String, Result<(), (ErrorCode, String)>> {
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut credentials = self.administered.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut outcomes: BTreeMap<String, Result<(), (ErrorCode, String)>> = BTreeMap::new();
        for (user, mechanism, change) in &changes {
            let refusal = self.refusal(&credentials, user, *mechanism, change);
            let outcome = outcomes.entry(user.clone()).or_insert(Ok(()));
            if let (Ok(()), Some(refusal)) = (&outcome, refusal) {
                *outcome = Err(refusal);
            }
        }
        for (user, mechanism, change) in changes.into_iter().filter(|(user, ..)| outcomes[user].is_ok()) {
            match change {
                CredentialChange::Set(credential) => credentials.insert((user, mechanism), credential),
                CredentialChange::Delete => credentials.remove(&(user, mechanism)),
            };
        }
        match user_file::write(&self.files, &credentials) {
            Ok(()) => *self.administered.write().unwrap_or_else(PoisonError::into_inner) = credentials,
            Err(error) => {
                tracing::error!(%error, "cannot store users");
                for outcome in outcomes.values_mut().filter(|outcome| outcome.is_ok()) {
                    *outcome = Err((ErrorCode::KafkaStorageError, error.to_string()));
                }
            }
        }
        outcomes
    }

    fn refusal(
        &self,
        credentials: &Credentials,
        user: &str,
        mechanism: ScramMechanism,
        change: &CredentialChange,
    ) -> Option<(ErrorCode, String)> {
        let place = (user.to_owned(), mechanism);
        if self.configured.contains_key(&place) {
            let reason = format!("User {user} is set in the server's configuration; change it there.");
            return Some((ErrorCode::UnacceptableCredential, reason));
        }
        let names: BTreeSet<&String> = credentials.keys().map(|(name, _)| name).collect();
        match change {
            CredentialChange::Delete if !credentials.contains_key(&place) => Some((
                ErrorCode::ResourceNotFound,
                "Attempt to delete a user credential that does not exist".to_owned(),
            )),
            CredentialChange::Set(_) if names.len() >= MAX_USERS && !names.contains(&place.0) => {
                Some((ErrorCode::PolicyViolation, format!("The server keeps at most {MAX_USERS} users.")))
            }
            _ => None,
        }
    }

    fn credential(&self, user: &str, mechanism: ScramMechanism) -> Option<ScramCredential> {
        let place = (user.to_owned(), mechanism);
        let configured = self.configured.get(&place).cloned();
        configured
            .or_else(|| self.administered.read().unwrap_or_else(PoisonError::into_inner).get(&place).cloned())
    }

    /// The same salt whenever it is asked for, as a real user has; the keys fit no password.
    fn decoy(&self, user: &str, mechanism: ScramMechanism) -> ScramCredential {
        let mut salt = mechanism.sign(&self.decoy_key, user.as_bytes());
        salt.truncate(24);
        let keys = || (0..mechanism.hash_bytes()).map(|_| rand::random()).collect();
        ScramCredential { salt, iterations: MIN_ITERATIONS, stored_key: keys(), server_key: keys() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administered_users_outlive_the_process_and_no_password_is_on_the_disk() {
        let data_dir = tempfile::tempdir().unwrap();
        let files = SecurityFiles::new(std::sync::Arc::new(crate::disk::OsDisk), data_dir.path());
        let configured = BTreeMap::from([("admin".to_owned(), "admin-secret".to_owned())]);
        let users = Users::open(files.clone(), &configured).unwrap();
        let sha512 = ScramMechanism::Sha512;
        let set = || CredentialChange::Set(ScramCredential::of_password(sha512, "alice-secret"));
        let outcomes = users.change(vec![
            ("alice".to_owned(), sha512, set()),
            ("admin".to_owned(), sha512, set()),
            ("nobody".to_owned(), sha512, CredentialChange::Delete),
        ]);
        let code = |user: &str| outcomes[user].as_ref().err().map(|(code, _)| code.code());
        assert_eq!((code("alice"), code("admin"), code("nobody")), (None, Some(93), Some(91)));
        let users = Users::open(files.clone(), &configured).unwrap();
        assert!(users.has_password("alice", "alice-secret") && users.has_password("admin", "admin-secret"));
        assert!(!users.has_password("alice", "admin-secret") && !users.has_password("nobody", "x"));
        let described = users.describe();
        assert_eq!(described["alice"], [(sha512, MIN_ITERATIONS)]);
        assert_eq!(described["admin"].len(), 2);
        let text = std::fs::read_to_string(data_dir.path().join("security/scram.toml")).unwrap();
        assert!(!text.contains("secret") && !text.contains("admin"), "{text}");
        users.change(vec![("alice".to_owned(), sha512, CredentialChange::Delete)]);
        assert!(!Users::open(files.clone(), &configured).unwrap().has_password("alice", "alice-secret"));
    }

    #[test]
    fn a_user_that_does_not_exist_looks_like_one_that_does() {
        let data_dir = tempfile::tempdir().unwrap();
        let users = Users::open(
            SecurityFiles::new(std::sync::Arc::new(crate::disk::OsDisk), data_dir.path()),
            &BTreeMap::new(),
        )
        .unwrap();
        let salt = |user: &str| users.credential_or_decoy(user, ScramMechanism::Sha256).salt;
        assert_eq!(salt("nobody"), salt("nobody"));
        assert_ne!(salt("nobody"), salt("nobody else"));
    }
}
