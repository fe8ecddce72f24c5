//! What an access is made to.

use super::acl::ResourceType;
use crate::protocol::ErrorCode;

/// The name of the only cluster that ACLs can speak of.
pub(crate) const CLUSTER_NAME: &str = "kafka-cluster";

/// A thing that a request works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    Topic(&'a str),
    Group(&'a str),
    TransactionalId(&'a str),
    Cluster,
}

impl<'a> Resource<'a> {
    /// Its kind, as ACLs name it.
    pub(crate) fn kind(self) -> ResourceType {
        match self {
            Resource::Topic(_) => ResourceType::Topic,
            Resource::Group(_) => ResourceType::Group,
            Resource::TransactionalId(_) => ResourceType::TransactionalId,
            Resource::Cluster => ResourceType::Cluster,
        }
    }

    /// Its name, as ACLs name it.
    pub(crate) fn name(self) -> &'a str {
        match self {
            Resource::Topic(name) | Resource::Group(name) | Resource::TransactionalId(name) => name,
            Resource::Cluster => CLUSTER_NAME,
        }
    }

    /// What a client that may not touch it is told.
    pub(crate) fn refusal(self) -> ErrorCode {
        match self {
            Resource::Topic(_) => ErrorCode::TopicAuthorizationFailed,
            Resource::Group(_) => ErrorCode::GroupAuthorizationFailed,
            Resource::TransactionalId(_) => ErrorCode::TransactionalIdAuthorizationFailed,
            Resource::Cluster => ErrorCode::ClusterAuthorizationFailed,
        }
    }
}
