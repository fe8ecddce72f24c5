//! What the client of a connection may do.

use std::sync::Arc;

use super::acl::{Operation, ResourceType};
use super::acl_index::Asker;
use super::authorizer::Authorizer;
use super::principal::Principal;
use super::resource::Resource;
use crate::protocol::ErrorCode;

/// What the client of a connection may do: everything, or what the access control lists allow. Without lists asking
/// costs one comparison.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    principal: Principal,
    /// None if nothing is checked.
    checked: Option<Arc<Checked>>,
}

#[derive(Debug)]
struct Checked {
    authorizer: Arc<Authorizer>,
    /// The client's address, as entries name hosts.
    host: String,
}

impl Access {
    /// Everything is allowed: nobody asks, or the principal is a super user.
    pub(crate) fn unlimited(principal: Principal) -> Self {
        Access { principal, checked: None }
    }

    /// What the entries allow.
    pub(crate) fn checked(principal: Principal, host: String, authorizer: Arc<Authorizer>) -> Self {
        Access { principal, checked: Some(Arc::new(Checked { authorizer, host })) }
    }

    /// Who the client is.
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether the client may do that.
    pub(crate) fn allows(&self, operation: Operation, resource: Resource<'_>) -> bool {
        let Some(checked) = &self.checked else { return true };
        let asker = Asker { principal: &self.principal, host: &checked.host };
        let allowed = checked.authorizer.allows(asker, operation, resource);
        if !allowed {
            tracing::debug!(principal = %self.principal, host = checked.host, ?operation, ?resource, "access denied");
        }
        allowed
    }

    /// Whether the client may do that.
    ///
    /// # Errors
    /// The error code for the client if not.
    pub(crate) fn check(&self, operation: Operation, resource: Resource<'_>) -> Result<(), ErrorCode> {
        if self.allows(operation, resource) { Ok(()) } else { Err(resource.refusal()) }
    }

    /// Whether the client may do that with some resource of the kind.
    pub(crate) fn allows_some(&self, operation: Operation, kind: ResourceType) -> bool {
        self.checked.as_ref().is_none_or(|checked| {
            let asker = Asker { principal: &self.principal, host: &checked.host };
            checked.authorizer.allows_some(asker, operation, kind)
        })
    }

    /// Which operations of `all` the client may do with the resource, as a bit each (KIP-430).
    pub(crate) fn operations(&self, all: i32, resource: Resource<'_>) -> i32 {
        if self.checked.is_none() {
            return all;
        }
        let allowed = Operation::ALL.iter().filter(|operation| all & bit(**operation) != 0);
        allowed.filter(|operation| self.allows(**operation, resource)).map(|operation| bit(*operation)).sum()
    }
}

fn bit(operation: Operation) -> i32 {
    1 << operation as i8
}
