//! Who a client is.

use std::fmt;
use std::sync::Arc;

/// The kind of principal that every client has; Kafka knows no other without plug-ins.
const KIND: &str = "User";

/// Who a client is: `User:` and a name. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Principal {
    name: Arc<str>,
}

impl Principal {
    /// The user of that name.
    pub(crate) fn user(name: &str) -> Self {
        Principal { name: name.into() }
    }

    /// Whoever connects without saying who it is.
    pub(crate) fn anonymous() -> Self {
        Self::user("ANONYMOUS")
    }

    /// Whether an ACL for `principal` (`User:name`, or `User:*` for all) speaks of this one.
    pub(crate) fn is_meant_by(&self, principal: &str) -> bool {
        match principal.split_once(':') {
            Some((KIND, "*")) => true,
            Some((KIND, name)) => *name == *self.name,
            _ => false,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{KIND}:{}", self.name)
    }
}
