//! An access control list's entry, with Kafka's numbers and names (`AclBinding`).

use serde::{Deserialize, Serialize};

/// Declares an enum with Kafka's numbers, in which a number that it does not have is no value of it.
macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $number:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub(crate) enum $name { $($variant = $number),+ }

        impl $name {
            /// All values.
            pub(crate) const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The value of a number of the protocol.
            pub(crate) fn from_number(number: i8) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| *value as i8 == number)
            }
        }
    };
}

numbered! {
    /// A kind of resource.
    ResourceType { Topic = 2, Group = 3, Cluster = 4, TransactionalId = 5 }
}

numbered! {
    /// How the name of an entry is meant.
    PatternType { Literal = 3, Prefixed = 4 }
}

numbered! {
    /// What is done to a resource.
    Operation {
        All = 2, Read = 3, Write = 4, Create = 5, Delete = 6, Alter = 7, Describe = 8, ClusterAction = 9,
        DescribeConfigs = 10, AlterConfigs = 11, IdempotentWrite = 12,
    }
}

numbered! {
    /// Whether an entry allows or forbids.
    Permission { Deny = 2, Allow = 3 }
}

impl Operation {
    /// Whether being allowed `self` means being allowed `wanted`: who may read, may also look. This holds for
    /// permissions, not for prohibitions.
    pub(crate) fn implies(self, wanted: Operation) -> bool {
        match wanted {
            _ if self == wanted || self == Operation::All => true,
            Operation::Describe => {
                matches!(self, Operation::Read | Operation::Write | Operation::Delete | Operation::Alter)
            }
            Operation::DescribeConfigs => self == Operation::AlterConfigs,
            _ => false,
        }
    }
}

/// One entry: on which resources who is allowed or forbidden what, from where.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct AclBinding {
    pub(crate) resource_type: ResourceType,
    /// A name, the beginning of names, or `*` for all.
    pub(crate) name: String,
    pub(crate) pattern_type: PatternType,
    /// `User:name`, or `User:*` for all.
    pub(crate) principal: String,
    /// An address, or `*` for all.
    pub(crate) host: String,
    pub(crate) operation: Operation,
    pub(crate) permission: Permission,
}
