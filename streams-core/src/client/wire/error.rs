//! What can go wrong between us and a broker.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;

/// A failed connection or request.
///
/// Cheap to clone, so that one lost connection can be told to everyone who waits on it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// No connection could be opened.
    #[error("cannot connect to broker {broker}: {source}; is it running, and is the address right?")]
    Connect {
        /// Address, `host:port`.
        broker: String,
        /// The operating system's reason.
        source: Arc<io::Error>,
    },
    /// None of the bootstrap brokers answered.
    #[error(
        "no broker of bootstrap.servers is reachable ({tried}); check bootstrap.servers and that a broker runs there"
    )]
    NoBroker {
        /// Every address tried, with its error.
        tried: String,
    },
    /// The connection ended while a request waited.
    #[error("broker {broker} closed the connection before it answered {api}: {reason}")]
    Disconnected {
        /// Address, `host:port`.
        broker: String,
        /// Request that waited.
        api: &'static str,
        /// What ended the connection.
        reason: String,
    },
    /// No answer came in time.
    #[error(
        "broker {broker} did not answer {api} within {after:?}; it may be overloaded, or request.timeout.ms too short"
    )]
    TimedOut {
        /// Address, `host:port`.
        broker: String,
        /// Request that waited.
        api: &'static str,
        /// Time waited.
        after: Duration,
    },
    /// The broker and this client have no version of the request in common.
    #[error(
        "broker {broker} offers {api} versions {offered}, this client speaks {spoken}; upgrade the older of the two"
    )]
    Unsupported {
        /// Address, `host:port`.
        broker: String,
        /// Request.
        api: &'static str,
        /// Versions the broker offers.
        offered: String,
        /// Versions this client speaks.
        spoken: String,
    },
    /// A request could not be put into bytes: a fault of its arguments.
    #[error("cannot encode {api} version {version}: {reason}")]
    Encode {
        /// Request.
        api: &'static str,
        /// Version.
        version: i16,
        /// The codec's reason.
        reason: String,
    },
    /// An answer could not be read.
    #[error(
        "broker {broker} sent an answer to {api} version {version} that cannot be read: {reason}; is this a Kafka port?"
    )]
    Decode {
        /// Address, `host:port`.
        broker: String,
        /// Request.
        api: &'static str,
        /// Version.
        version: i16,
        /// The codec's reason.
        reason: String,
    },
    /// The broker answered with an error code.
    #[error("broker {broker} refused {api} for {subject}: {code} ({}){}", code.code(), detail(message, remedy(*code)))]
    Refused {
        /// Address, `host:port`.
        broker: String,
        /// Request.
        api: &'static str,
        /// Topic, partition or group concerned.
        subject: String,
        /// Kafka's error code.
        code: ResponseError,
        /// The broker's own words, empty if it sent none.
        message: String,
    },
    /// A partition has no leader at present, or its topic does not exist.
    #[error(
        "partition {partition} of topic {topic} has no known leader; does the topic exist, and are its brokers up?"
    )]
    NoLeader {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
    },
    /// Credentials were refused or the mechanism is unknown to the broker.
    #[error(
        "broker {broker} refused the credentials: {reason}; check sasl.mechanism, user name and password"
    )]
    Authentication {
        /// Address, `host:port`.
        broker: String,
        /// The broker's words.
        reason: String,
    },
}

impl WireError {
    /// Kafka's error code, when a broker answered with one.
    pub fn code(&self) -> Option<ResponseError> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the same request may succeed a little later, on this or another broker.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::NoBroker { .. } | Self::Disconnected { .. } => true,
            Self::TimedOut { .. } | Self::NoLeader { .. } => true,
            Self::Refused { code, .. } => code.is_retriable(),
            _ => false,
        }
    }

    /// Whether another broker must be looked for: the one asked is gone or not in charge.
    pub(crate) fn is_misrouted(&self) -> bool {
        match self {
            Self::Refused { code, .. } => matches!(
                code,
                ResponseError::NotLeaderOrFollower
                    | ResponseError::LeaderNotAvailable
                    | ResponseError::NotController
                    | ResponseError::NotCoordinator
                    | ResponseError::CoordinatorNotAvailable
                    | ResponseError::FencedLeaderEpoch
                    | ResponseError::UnknownLeaderEpoch
            ),
            Self::Connect { .. }
            | Self::Disconnected { .. }
            | Self::TimedOut { .. }
            | Self::NoLeader { .. } => true,
            _ => false,
        }
    }
}

/// What a person can do about an error code; empty when nothing but waiting helps.
pub(crate) fn remedy(code: ResponseError) -> &'static str {
    use ResponseError as E;
    match code {
        E::UnknownTopicOrPartition | E::UnknownTopicId => {
            "create the topic, correct its name, or look whether it was made anew with fewer partitions"
        }
        E::TopicAuthorizationFailed => {
            "let this principal read or write the topic (`kafka-acls --add --allow-principal User:NAME --operation Read|Write \
             --topic TOPIC`); the application's own topics need Create, Read, Write, Delete and DescribeConfigs by \
             `--resource-pattern-type prefixed --topic APPLICATION_ID`"
        }
        E::GroupAuthorizationFailed => {
            "let this principal read the group that is named as the application id (`kafka-acls --add --allow-principal User:NAME \
             --operation Read --group APPLICATION_ID`)"
        }
        E::TransactionalIdAuthorizationFailed => {
            "let this principal use the transactional ids that begin with the application id (`kafka-acls --add --allow-principal \
             User:NAME --operation Write --operation Describe --resource-pattern-type prefixed --transactional-id APPLICATION_ID`)"
        }
        E::ClusterAuthorizationFailed => {
            "let this principal create topics and write idempotently (`kafka-acls --add --allow-principal User:NAME --operation \
             Create --operation IdempotentWrite --cluster`)"
        }
        E::SaslAuthenticationFailed => "check sasl.mechanism, sasl.username and sasl.password",
        E::InvalidReplicationFactor => {
            "lower replication.factor to the number of brokers, or use -1 for their default"
        }
        E::InvalidPartitions => "give the topic at least one partition, and no fewer than it has",
        E::InvalidConfig => {
            "correct the `topic.` settings: the broker does not know one of them, or not its value"
        }
        E::InvalidTopicException => "use letters, digits, '.', '_' and '-', at most 249 of them",
        E::PolicyViolation => "the brokers' policy forbids it; create the topic by hand",
        E::MessageTooLarge | E::RecordListTooLarge => {
            "raise the topic's max.message.bytes, or keep producer.batch.size below it"
        }
        E::OffsetOutOfRange => {
            "the records were deleted or the topic was made anew: set auto.offset.reset, or reset the application"
        }
        E::NotEnoughReplicas | E::NotEnoughReplicasAfterAppend => {
            "start the brokers that are down, or lower min.insync.replicas"
        }
        E::KafkaStorageError => "look into the broker's log: its disk may be full",
        E::InvalidTransactionTimeout => {
            "lower producer.transaction.timeout.ms to the brokers' transaction.max.timeout.ms"
        }
        E::ProducerFenced | E::InvalidProducerEpoch => {
            "another producer has this transactional id: does another process share the state directory?"
        }
        E::InconsistentGroupProtocol => {
            "members of another kind use this application.id; stop them, or choose another id"
        }
        E::InvalidGroupId => "choose another application.id",
        E::GroupMaxSizeReached => "raise group.max.size on the brokers, or run fewer instances",
        E::InvalidSessionTimeout => {
            "set session.timeout.ms within the brokers' group.min.session.timeout.ms and group.max.session.timeout.ms"
        }
        E::FencedInstanceId => "another instance runs with the same group.instance.id; give each its own",
        E::NonEmptyGroup => "stop the group's members first",
        E::OffsetMetadataTooLarge => "raise offset.metadata.max.bytes on the brokers",
        E::UnsupportedVersion => "upgrade the broker: it must speak Kafka 2.8's protocol or a later one",
        _ => "",
    }
}

/// Words behind a message, where there are any.
pub(crate) fn advice(code: ResponseError) -> String {
    detail("", remedy(code))
}

fn detail(message: &str, remedy: &str) -> String {
    let mut text = String::new();
    for part in [message, remedy] {
        if !part.is_empty() {
            text.push_str("; ");
            text.push_str(part);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broker_refuses_comes_with_place_and_remedy() {
        let told = |code: ResponseError| {
            let (broker, subject) = ("b:9092".to_owned(), "partition 3 of topic rides".to_owned());
            WireError::Refused { broker, api: "Fetch", subject, code, message: String::new() }.to_string()
        };
        for (code, word) in [
            (ResponseError::UnknownTopicOrPartition, "create the topic"),
            (ResponseError::TopicAuthorizationFailed, "kafka-acls"),
            (ResponseError::GroupAuthorizationFailed, "--group"),
            (ResponseError::TransactionalIdAuthorizationFailed, "--transactional-id"),
            (ResponseError::MessageTooLarge, "max.message.bytes"),
            (ResponseError::OffsetOutOfRange, "auto.offset.reset"),
            (ResponseError::KafkaStorageError, "disk"),
        ] {
            let text = told(code);
            assert!(text.contains("b:9092") && text.contains("partition 3 of topic rides"), "{text}");
            assert!(text.contains(word), "{text}");
        }
    }
}
