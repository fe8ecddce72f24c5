//! The configuration as DescribeConfigs shows it, by Kafka's names; passwords are not among it.

use super::{FsyncPolicy, LogServerConfig};
use crate::broker::NODE_ID;
use crate::security::SaslMechanism;
use crate::topics::ConfigType;

/// A property, its value and the kind of it.
type Described = (&'static str, String, ConfigType);

impl LogServerConfig {
    /// What a client may know of the configuration that is in force.
    pub(crate) fn described(&self) -> Vec<Described> {
        let mut all = self.storage();
        all.extend(self.access());
        all.extend(self.limited());
        all.sort_unstable_by_key(|(name, ..)| *name);
        all
    }

    fn storage(&self) -> Vec<Described> {
        let fsync = match self.fsync {
            FsyncPolicy::Always => "always",
            FsyncPolicy::Interval(_) => "interval",
            FsyncPolicy::Never => "never",
        };
        let (shortest, longest) = self.group_session_timeouts;
        vec![
            ("auto.create.topics.enable", self.auto_create_topics.to_string(), ConfigType::Boolean),
            ("broker.id", NODE_ID.0.to_string(), ConfigType::Int),
            ("default.replication.factor", "1".to_owned(), ConfigType::Int),
            ("fsync", fsync.to_owned(), ConfigType::String),
            (
                "group.initial.rebalance.delay.ms",
                self.group_initial_rebalance_delay.as_millis().to_string(),
                ConfigType::Int,
            ),
            ("group.max.session.timeout.ms", longest.as_millis().to_string(), ConfigType::Int),
            ("group.min.session.timeout.ms", shortest.as_millis().to_string(), ConfigType::Int),
            ("log.dirs", self.data_dir.display().to_string(), ConfigType::String),
            ("node.id", NODE_ID.0.to_string(), ConfigType::Int),
            ("num.partitions", self.default_partitions.to_string(), ConfigType::Int),
            (
                "offsets.retention.minutes",
                (self.offsets_retention.as_secs() / 60).to_string(),
                ConfigType::Int,
            ),
            ("offsets.topic.replication.factor", "1".to_owned(), ConfigType::Int),
            (
                "transaction.max.timeout.ms",
                self.transaction_max_timeout.as_millis().to_string(),
                ConfigType::Int,
            ),
            ("transaction.state.log.replication.factor", "1".to_owned(), ConfigType::Int),
        ]
    }

    fn access(&self) -> Vec<Described> {
        let security = &self.security;
        let listeners: Vec<String> = self.all_listeners().iter().map(ToString::to_string).collect();
        let mechanisms: Vec<&str> =
            security.mechanisms.iter().map(|mechanism| SaslMechanism::name(*mechanism)).collect();
        let reauth = security.max_reauth.unwrap_or_default();
        let authorizer = if security.authorizer { "StandardAuthorizer" } else { "" };
        vec![
            (
                "allow.everyone.if.no.acl.found",
                security.allow_everyone_if_no_acl.to_string(),
                ConfigType::Boolean,
            ),
            ("authorizer.class.name", authorizer.to_owned(), ConfigType::String),
            ("connections.max.reauth.ms", reauth.as_millis().to_string(), ConfigType::Long),
            ("listeners", listeners.join(","), ConfigType::List),
            ("sasl.enabled.mechanisms", mechanisms.join(","), ConfigType::List),
            ("super.users", security.super_users.join(";"), ConfigType::String),
        ]
    }

    fn limited(&self) -> Vec<Described> {
        let limits = &self.limits;
        // Kafka's integers end before ours.
        let int = |number: usize| number.min(i32::MAX as usize).to_string();
        let long = |number: usize| i64::try_from(number).unwrap_or(i64::MAX).to_string();
        let millis = |time: std::time::Duration| time.as_millis().to_string();
        vec![
            ("connection.setup.timeout.ms", millis(limits.setup_timeout), ConfigType::Long),
            ("connections.max.idle.ms", millis(limits.idle_timeout), ConfigType::Long),
            ("max.connections", int(limits.max_connections), ConfigType::Int),
            ("max.connections.per.ip", int(limits.max_connections_per_address), ConfigType::Int),
            ("max.in.flight.requests.per.connection", int(limits.max_in_flight_requests), ConfigType::Int),
            ("queued.max.request.bytes", long(limits.max_request_memory_bytes), ConfigType::Long),
            ("queued.max.response.bytes", long(limits.max_response_memory_bytes), ConfigType::Long),
            ("request.receive.timeout.ms", millis(limits.request_timeout), ConfigType::Long),
            ("sasl.server.max.receive.size", int(limits.max_login_request_bytes), ConfigType::Int),
            ("socket.request.max.bytes", int(limits.max_request_bytes), ConfigType::Int),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_properties_and_no_password_is_among_the_values() {
        let config = LogServerConfig::new("data").user("alice", "top-secret").super_user("User:alice");
        let described = config.described();
        let known = LogServerConfig::properties();
        for (name, value, _) in &described {
            let is_known = known.iter().any(|property| property.name == *name);
            assert!(is_known || matches!(*name, "broker.id" | "node.id"), "{name}");
            assert!(!value.contains("top-secret"), "{name}");
        }
        assert!(described.contains(&("super.users", "User:alice".to_owned(), ConfigType::String)));
    }
}
