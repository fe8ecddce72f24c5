//! The authorizer: decides by access control lists, and keeps them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::acl::{AclBinding, Operation, ResourceType};
use super::acl_file;
use super::acl_filter::AclFilter;
use super::acl_index::{AclIndex, Asker, Verdict};
use super::files::SecurityFiles;
use super::resource::Resource;
use crate::error::Error;
use crate::protocol::ErrorCode;

/// The most entries that a server keeps.
const MAX_ACLS: usize = 50_000;

/// The entries of a server and its rule for what they do not mention.
#[derive(Debug)]
pub(crate) struct Authorizer {
    files: SecurityFiles,
    /// Replaced whole, so that requests read it without a lock.
    index: ArcSwap<AclIndex>,
    /// Held while entries change: changes come one after the other.
    changes: Mutex<()>,
    /// `allow.everyone.if.no.acl.found`.
    allow_unmentioned: bool,
}

impl Authorizer {
    /// Reads the entries of a data directory.
    ///
    /// # Errors
    /// [`Error::Storage`] or [`Error::Damaged`].
    pub(crate) fn open(files: SecurityFiles, allow_unmentioned: bool) -> Result<Self, Error> {
        let index = ArcSwap::from_pointee(AclIndex::new(acl_file::read(&files)?));
        Ok(Authorizer { files, index, changes: Mutex::new(()), allow_unmentioned })
    }

    /// Whether the access is allowed.
    pub(crate) fn allows(&self, asker: Asker<'_>, operation: Operation, resource: Resource<'_>) -> bool {
        match self.index.load().decide(asker, operation, resource.kind(), resource.name()) {
            Verdict::Allowed => true,
            Verdict::Denied => false,
            Verdict::Unmentioned => self.allow_unmentioned,
        }
    }

    /// Whether the operation may be allowed for some resource of the kind.
    pub(crate) fn allows_some(&self, asker: Asker<'_>, operation: Operation, kind: ResourceType) -> bool {
        self.allow_unmentioned || self.index.load().allows_some(asker, operation, kind)
    }

    /// The entries that a filter means.
    pub(crate) fn find(&self, filter: &AclFilter) -> Vec<AclBinding> {
        let index = self.index.load();
        index.entries().iter().filter(|entry| filter.matches(entry)).cloned().collect()
    }

    /// Adds entries; they are on the disk when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// The error code for the client and a sentence.
    pub(crate) fn add(&self, entries: Vec<AclBinding>) -> Result<(), (ErrorCode, String)> {
        self.change(|all| all.extend(entries))
    }

    /// Removes the entries that the filters mean, and returns them for each filter. Blocks on the disk.
    ///
    /// # Errors
    /// The error code for the client and a sentence.
    pub(crate) fn remove(&self, filters: &[AclFilter]) -> Result<Vec<Vec<AclBinding>>, (ErrorCode, String)> {
        let mut removed = Vec::new();
        self.change(|all| {
            for filter in filters {
                removed.push(all.iter().filter(|entry| filter.matches(entry)).cloned().collect::<Vec<_>>());
            }
            all.retain(|entry| !filters.iter().any(|filter| filter.matches(entry)));
        })?;
        Ok(removed)
    }

    fn change(&self, change: impl FnOnce(&mut BTreeSet<AclBinding>)) -> Result<(), (ErrorCode, String)> {
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = self.index.load().entries().clone();
        change(&mut entries);
        if entries.len() > MAX_ACLS {
            let reason = format!("The server keeps at most {MAX_ACLS} ACLs; delete some, or use prefixes.");
            return Err((ErrorCode::PolicyViolation, reason));
        }
        if entries != *self.index.load().entries() {
            acl_file::write(&self.files, &entries).map_err(|error| {
                tracing::error!(%error, "cannot store ACLs");
                (ErrorCode::KafkaStorageError, error.to_string())
            })?;
            self.index.store(AclIndex::new(entries).into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::acl::{PatternType, Permission};
    use super::super::acl_filter::FilterNumbers;
    use super::super::principal::Principal;
    use super::*;

    #[test]
    fn entries_outlive_the_process_until_they_are_removed() {
        let data_dir = tempfile::tempdir().unwrap();
        let entry = AclBinding {
            resource_type: ResourceType::TransactionalId,
            name: "app \"1\"".to_owned(),
            pattern_type: PatternType::Prefixed,
            principal: "User:alice".to_owned(),
            host: "*".to_owned(),
            operation: Operation::Write,
            permission: Permission::Allow,
        };
        let files = SecurityFiles::new(std::sync::Arc::new(crate::disk::OsDisk), data_dir.path());
        Authorizer::open(files.clone(), false).unwrap().add(vec![entry.clone()]).unwrap();
        let authorizer = Authorizer::open(files.clone(), false).unwrap();
        let (alice, bob) = (Principal::user("alice"), Principal::user("bob"));
        let allows = |principal| {
            let asker = Asker { principal, host: "127.0.0.1" };
            authorizer.allows(asker, Operation::Write, Resource::TransactionalId("app \"1\" b"))
        };
        assert!(allows(&alice) && !allows(&bob));
        let any = FilterNumbers { resource_type: 1, pattern_type: 1, operation: 1, permission: 1 };
        let filter = AclFilter::new(any, None, None, None).unwrap();
        assert_eq!(authorizer.remove(std::slice::from_ref(&filter)).unwrap(), vec![vec![entry]]);
        assert!(!allows(&alice));
        assert!(Authorizer::open(files, false).unwrap().find(&filter).is_empty());
    }
}
