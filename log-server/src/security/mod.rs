//! Who a client is and what it may do: TLS, SASL, users, access control lists.

mod access;
mod acl;
mod acl_file;
mod acl_filter;
mod acl_index;
mod authorizer;
mod distinguished_name;
mod files;
mod principal;
mod resource;
mod sasl;
mod scram;
mod scram_exchange;
mod tls;
mod user_file;
mod users;

pub(crate) use access::Access;
pub(crate) use acl::{AclBinding, Operation, PatternType, Permission, ResourceType};
pub(crate) use acl_filter::{AclFilter, FilterNumbers};
pub(crate) use authorizer::Authorizer;
pub(crate) use distinguished_name::subject_of;
pub(crate) use files::SecurityFiles;
pub(crate) use principal::Principal;
pub(crate) use resource::{CLUSTER_NAME, Resource};
pub use sasl::SaslMechanism;
pub(crate) use sasl::{Exchange, Step};
pub(crate) use scram::{MAX_ITERATIONS, MIN_ITERATIONS, ScramCredential, ScramMechanism};
pub(crate) use tls::acceptor;
pub use tls::{ClientAuth, TlsConfig};
pub(crate) use users::{CredentialChange, Users};
