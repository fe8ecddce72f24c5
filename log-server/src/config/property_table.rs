//! The table of properties. Those of Kafka have its meaning; the others are said to be our own.

use std::time::Duration;

use super::FsyncPolicy;
use super::properties::{Draft, Property, parse, parse_limit, parse_mechanisms, parse_millis};
use crate::security::ClientAuth;

macro_rules! properties {
    ($($name:literal: $doc:literal => |$draft:ident, $value:ident| $set:expr;)+) => {
        /// What is more exact comes later: hours before milliseconds.
        pub(super) static PROPERTIES: &[Property] = &[$(Property {
            name: $name,
            doc: $doc,
            set: |$draft: &mut Draft, $value: &str| { $set; Ok(()) },
        }),+];
    };
}

properties! {
    "listeners": "Where clients connect: NAME://HOST:PORT, separated by commas; NAME is PLAINTEXT, SSL, SASL_PLAINTEXT or \
        SASL_SSL, or one that listener.security.protocol.map explains. Default PLAINTEXT://127.0.0.1:9092." =>
        |draft, value| draft.listeners.listeners = Some(value.to_owned());
    "advertised.listeners": "Where clients are told to connect, in the same form. Default: the address by which they came." =>
        |draft, value| draft.listeners.advertised = value.to_owned();
    "listener.security.protocol.map": "Protocols of listeners with names of their own: NAME:PROTOCOL, separated by commas." =>
        |draft, value| draft.listeners.protocols = value.to_owned();
    "controller.listener.names": "Listeners that are left out, as there is no controller." =>
        |draft, value| draft.listeners.controllers = value.to_owned();
    "insecure": "Our own. Allow addresses that are not loopback ones although nobody logs in. Default false." =>
        |draft, value| draft.config.insecure = parse(value)?;
    "metrics.listen": "Our own. Address of /metrics (Prometheus) and /health. Default: not served." =>
        |draft, value| draft.config.metrics_listen = Some(parse(value)?);
    "log.dir": "The directory of the logs; log.dirs goes before it." => |_draft, value| one_directory(value)?;
    "log.dirs": "The directory of the logs; one only." => |_draft, value| one_directory(value)?;
    "fsync": "Our own. When records are forced to the disk: always before they are acknowledged (the default), interval \
        (see fsync.interval.ms), or never, which leaves it to the operating system." => |draft, value| set_fsync(draft, value)?;
    "fsync.interval.ms": "Our own. Time between syncs with fsync = interval. Default 1000." =>
        |draft, value| draft.fsync_interval = parse_millis(value)?;
    "num.partitions": "Partitions of topics that are created without a count. Default 1." =>
        |draft, value| draft.config.default_partitions = parse(value)?;
    "auto.create.topics.enable": "Whether a metadata request may create the topics it names. Default true." =>
        |draft, value| draft.config.auto_create_topics = parse(value)?;
    "log.retention.hours": "Age above which segments are deleted; -1 keeps them. Default -1." =>
        |draft, value| retention(draft, value, 3_600_000)?;
    "log.retention.minutes": "The same in minutes." => |draft, value| retention(draft, value, 60_000)?;
    "log.retention.ms": "The same in milliseconds." => |draft, value| retention(draft, value, 1)?;
    "log.roll.hours": "Age at which a segment is rolled. Default 168." =>
        |draft, value| draft.topic_default("segment.ms", &parse::<i64>(value)?.saturating_mul(3_600_000).to_string());
    "log.roll.ms": "The same in milliseconds." => |draft, value| draft.topic_default("segment.ms", value);
    "group.initial.rebalance.delay.ms": "How long a new group waits for further members before its first assignment. Default 50." =>
        |draft, value| draft.config.group_initial_rebalance_delay = parse_millis(value)?;
    "group.min.session.timeout.ms": "The shortest session time-out of members. Default 500." =>
        |draft, value| draft.config.group_session_timeouts.0 = parse_millis(value)?;
    "group.max.session.timeout.ms": "The longest session time-out of members. Default 1800000." =>
        |draft, value| draft.config.group_session_timeouts.1 = parse_millis(value)?;
    "offsets.retention.minutes": "How long the offsets of an empty group are kept. Default 10080." =>
        |draft, value| draft.config.offsets_retention = Duration::from_secs(parse::<u64>(value)?.saturating_mul(60));
    "transaction.max.timeout.ms": "The longest time-out of a transaction. Default 900000." =>
        |draft, value| draft.config.transaction_max_timeout = parse_millis(value)?;
    "max.connections": "Connections that may be open at a time. Default 10000." =>
        |draft, value| draft.config.limits.max_connections = parse_limit(value)?;
    "max.connections.per.ip": "The same from one address. Default: no limit." =>
        |draft, value| draft.config.limits.max_connections_per_address = parse_limit(value)?;
    "socket.request.max.bytes": "The largest request. Default 104857600." =>
        |draft, value| draft.config.limits.max_request_bytes = parse(value)?;
    "sasl.server.max.receive.size": "The largest request before the login. Default 524288." =>
        |draft, value| draft.config.limits.max_login_request_bytes = parse(value)?;
    "max.in.flight.requests.per.connection": "Our own. Unanswered requests of a connection before no more are read. Default 64." =>
        |draft, value| draft.config.limits.max_in_flight_requests = parse(value)?;
    "queued.max.request.bytes": "Bytes of large requests of all connections together. Default 268435456." =>
        |draft, value| draft.config.limits.max_request_memory_bytes = parse_limit(value)?;
    "queued.max.response.bytes": "Our own. Bytes of fetched records of all connections together. Default 268435456." =>
        |draft, value| draft.config.limits.max_response_memory_bytes = parse_limit(value)?;
    "connections.max.idle.ms": "How long a connection may be without a request. Default 600000." =>
        |draft, value| draft.config.limits.idle_timeout = parse_millis(value)?;
    "connection.setup.timeout.ms": "Our own. Time for TLS, login and the first request. Default 10000." =>
        |draft, value| draft.config.limits.setup_timeout = parse_millis(value)?;
    "request.receive.timeout.ms": "Our own. Time for sending a request that has begun, beside a second for each 64 KiB, and for \
        taking the next piece of an answer. Default 30000." =>
        |draft, value| draft.config.limits.request_timeout = parse_millis(value)?;
    "ssl.keystore.type": "PEM, the only one." => |_draft, value| only_pem(value)?;
    "ssl.truststore.type": "PEM, the only one." => |_draft, value| only_pem(value)?;
    "ssl.keystore.location": "A PEM file with the server's certificate chain and its private key." =>
        |draft, value| draft.certificate = Some(value.into());
    "ssl.certificate.location": "Our own. A PEM file with the certificate chain, where the key is in a file of its own." =>
        |draft, value| draft.certificate = Some(value.into());
    "ssl.key.location": "Our own. A PEM file with the private key." => |draft, value| draft.key = Some(value.into());
    "ssl.truststore.location": "A PEM file with the authorities whose client certificates are believed." =>
        |draft, value| draft.client_ca = Some(value.into());
    "ssl.client.auth": "Whether clients must show a certificate: none (the default), requested or required." =>
        |draft, value| draft.client_auth = client_auth(value)?;
    "sasl.enabled.mechanisms": "How clients may log in. Default PLAIN,SCRAM-SHA-256,SCRAM-SHA-512." =>
        |draft, value| draft.config.security.mechanisms = parse_mechanisms(value)?;
    "connections.max.reauth.ms": "After how long clients must log in again. Default 0: never." =>
        |draft, value| draft.config.security.max_reauth = Some(parse_millis(value)?).filter(|time| !time.is_zero());
    "connection.failed.authentication.delay.ms": "How long the answer to a failed login is held back. Default 100." =>
        |draft, value| draft.config.security.failed_login_delay = parse_millis(value)?;
    "authorizer.class.name": "Anything but nothing has every access decided by ACLs; Kafka's name is \
        org.apache.kafka.metadata.authorizer.StandardAuthorizer. Default: everybody may do everything." =>
        |draft, value| draft.config.security.authorizer = !value.is_empty();
    "allow.everyone.if.no.acl.found": "Whether everyone may do what no ACL speaks of. Default false." =>
        |draft, value| draft.config.security.allow_everyone_if_no_acl = parse(value)?;
    "super.users": "Principals that may do everything: User:NAME, separated by semicolons." =>
        |draft, value| draft.config.security.super_users =
            value.split(';').map(str::trim).filter(|user| !user.is_empty()).map(str::to_owned).collect();
    "default.replication.factor": "1, as there is one node." => |_draft, value| only_one(value)?;
    "offsets.topic.replication.factor": "1, as there is one node." => |_draft, value| only_one(value)?;
    "transaction.state.log.replication.factor": "1, as there is one node." => |_draft, value| only_one(value)?;
}

/// Kafka's names of the server's defaults for topics, and the topics' names of them.
pub(super) static TOPIC_DEFAULTS: &[(&str, &str)] = &[
    ("log.retention.bytes", "retention.bytes"),
    ("log.segment.bytes", "segment.bytes"),
    ("log.cleanup.policy", "cleanup.policy"),
    ("log.cleaner.delete.retention.ms", "delete.retention.ms"),
    ("log.cleaner.min.compaction.lag.ms", "min.compaction.lag.ms"),
    ("log.cleaner.max.compaction.lag.ms", "max.compaction.lag.ms"),
    ("log.cleaner.min.cleanable.ratio", "min.cleanable.dirty.ratio"),
    ("log.index.interval.bytes", "index.interval.bytes"),
    ("log.index.size.max.bytes", "segment.index.bytes"),
    ("log.message.timestamp.type", "message.timestamp.type"),
    ("log.message.timestamp.before.max.ms", "message.timestamp.before.max.ms"),
    ("log.message.timestamp.after.max.ms", "message.timestamp.after.max.ms"),
    ("log.segment.delete.delay.ms", "file.delete.delay.ms"),
    ("log.preallocate", "preallocate"),
    ("log.flush.interval.messages", "flush.messages"),
    ("log.flush.interval.ms", "flush.ms"),
    ("message.max.bytes", "max.message.bytes"),
    ("compression.type", "compression.type"),
    ("compression.gzip.level", "compression.gzip.level"),
    ("compression.lz4.level", "compression.lz4.level"),
    ("compression.zstd.level", "compression.zstd.level"),
    ("min.insync.replicas", "min.insync.replicas"),
    ("unclean.leader.election.enable", "unclean.leader.election.enable"),
];

/// Properties of Kafka's own configuration files that say nothing to a single node, or that it decides itself.
pub(super) static IGNORED: &[&str] = &[
    "broker.id",
    "node.id",
    "process.roles",
    "inter.broker.listener.name",
    "security.inter.broker.protocol",
    "sasl.mechanism.inter.broker.protocol",
    "sasl.mechanism.controller.protocol",
    "num.network.threads",
    "num.io.threads",
    "num.replica.fetchers",
    "num.recovery.threads.per.data.dir",
    "background.threads",
    "queued.max.requests",
    "socket.send.buffer.bytes",
    "socket.receive.buffer.bytes",
    "socket.listen.backlog.size",
    "offsets.topic.num.partitions",
    "transaction.state.log.num.partitions",
    "transaction.state.log.min.isr",
    "log.retention.check.interval.ms",
    "delete.topic.enable",
    "auto.leader.rebalance.enable",
    "controlled.shutdown.enable",
    "broker.rack",
    "metric.reporters",
    "early.start.listeners",
];

/// Beginnings of such properties.
pub(super) static IGNORED_PREFIXES: &[&str] = &[
    "controller.quorum.",
    "zookeeper.",
    "replica.",
    "share.coordinator.",
    "group.share.",
    "group.coordinator.",
    "remote.log.",
    "confluent.",
    "log.cleaner.",
    "leader.imbalance.",
];

fn retention(draft: &mut Draft, value: &str, unit_ms: i64) -> Result<(), String> {
    let time: i64 = parse(value)?;
    let time_ms = if time < 0 { -1 } else { time.saturating_mul(unit_ms) };
    draft.topic_default("retention.ms", &time_ms.to_string());
    Ok(())
}

fn set_fsync(draft: &mut Draft, value: &str) -> Result<(), String> {
    draft.syncs_at_interval = value == "interval";
    draft.config.fsync = match value {
        "always" | "interval" => FsyncPolicy::Always,
        "never" => FsyncPolicy::Never,
        _ => return Err("it must be always, interval or never".to_owned()),
    };
    Ok(())
}

fn client_auth(value: &str) -> Result<ClientAuth, String> {
    match value {
        "none" | "" => Ok(ClientAuth::None),
        "requested" => Ok(ClientAuth::Requested),
        "required" => Ok(ClientAuth::Required),
        _ => Err("it must be none, requested or required".to_owned()),
    }
}

fn one_directory(value: &str) -> Result<(), String> {
    match value.contains(',') || value.is_empty() {
        true => Err("there must be one directory; several disks belong into one volume".to_owned()),
        false => Ok(()),
    }
}

fn only_pem(value: &str) -> Result<(), String> {
    match value {
        "PEM" => Ok(()),
        _ => Err("only PEM is understood; convert it, for example with openssl pkcs12".to_owned()),
    }
}

fn only_one(value: &str) -> Result<(), String> {
    match parse::<i64>(value)? {
        1 | -1 => Ok(()),
        _ => Err("there is one node, so it must be 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{FsyncPolicy, LogServerConfig};
    use crate::security::SaslMechanism;

    fn read(pairs: &[(&str, &str)]) -> Result<LogServerConfig, String> {
        let dirs = [("log.dirs", "/data")];
        LogServerConfig::from_properties(dirs.iter().chain(pairs).copied()).map_err(|error| error.to_string())
    }

    #[test]
    fn kafkas_own_file_is_accepted() {
        let config = read(&[
            ("process.roles", "broker,controller"),
            ("node.id", "1"),
            ("controller.quorum.bootstrap.servers", "localhost:9093"),
            ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
            ("inter.broker.listener.name", "PLAINTEXT"),
            ("advertised.listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
            ("controller.listener.names", "CONTROLLER"),
            ("num.network.threads", "3"),
            ("socket.request.max.bytes", "104857600"),
            ("num.partitions", "3"),
            ("offsets.topic.replication.factor", "1"),
            ("share.coordinator.state.topic.replication.factor", "1"),
            ("log.retention.hours", "168"),
            ("log.segment.bytes", "1073741824"),
            ("log.retention.check.interval.ms", "300000"),
        ])
        .unwrap();
        assert_eq!(config.default_partitions, 3);
        assert_eq!(config.listeners.len(), 1);
        let default =
            |name: &str| config.topic_defaults.iter().find(|(known, _)| known == name).unwrap().1.clone();
        assert_eq!(default("retention.ms"), "604800000");
        assert!(config.ignored_properties.contains(&"num.network.threads".to_owned()));
    }

    #[test]
    fn milliseconds_go_before_hours_and_users_come_from_both_forms() {
        let config = read(&[
            ("log.retention.ms", "7"),
            ("log.retention.hours", "1"),
            ("fsync.interval.ms", "20"),
            ("fsync", "interval"),
            ("users.alice", "a"),
            (
                "listener.name.sasl_ssl.plain.sasl.jaas.config",
                "org.apache.kafka.common.security.plain.PlainLoginModule required user_bob=\"b\";",
            ),
            ("sasl.enabled.mechanisms", "SCRAM-SHA-512, PLAIN"),
            ("super.users", "User:alice;User:bob"),
        ])
        .unwrap();
        assert!(config.topic_defaults.contains(&("retention.ms".to_owned(), "7".to_owned())));
        assert_eq!(config.fsync, FsyncPolicy::Interval(std::time::Duration::from_millis(20)));
        assert_eq!(config.security.users.len(), 2);
        assert_eq!(config.security.mechanisms, [SaslMechanism::ScramSha512, SaslMechanism::Plain]);
        assert_eq!(config.security.super_users, ["User:alice", "User:bob"]);
        assert!(!format!("{config:?}").contains("\"a\""), "passwords are not shown");
    }

    #[test]
    fn every_fault_is_named_at_once_with_the_nearest_name() {
        let refused = read(&[
            ("num.partition", "3"),
            ("log.retention.bites", "3"),
            ("auto.create.topics.enable", "perhaps"),
            ("nonsense", "1"),
            ("default.replication.factor", "3"),
        ])
        .unwrap_err();
        for part in [
            "did you mean num.partitions?",
            "did you mean log.retention.bytes?",
            "auto.create.topics.enable = perhaps",
            "unknown property nonsense",
            "there is one node",
        ] {
            assert!(refused.contains(part), "{part} is not in {refused}");
        }
        assert!(LogServerConfig::from_properties([("fsync", "never")]).is_err(), "log.dirs is needed");
    }
}
