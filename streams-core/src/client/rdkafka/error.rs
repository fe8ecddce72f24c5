//! What the data client reports.

use rdkafka::types::RDKafkaErrorCode;
use thiserror::Error;

use crate::client::wire::WireError;
use crate::record::TopicPartition;

/// A fault of the client that moves records.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The configuration is not usable.
    #[error(
        "the kafka client cannot be configured: {reason}; check the `consumer.` and `producer.` properties"
    )]
    Configuration {
        /// What librdkafka objects to.
        reason: String,
    },
    /// A topic's name is not usable.
    #[error("`{topic}` is not a topic name")]
    InvalidTopic {
        /// The name.
        topic: String,
    },
    /// A broker was not reachable, or refused a request; it is tried again.
    #[error(transparent)]
    Broker(#[from] WireError),
    /// Fetching from a partition does not go on.
    #[error("fetching from {partition} failed: {source}")]
    FetchRefused {
        /// Where.
        partition: TopicPartition,
        /// Why.
        source: WireError,
    },
    /// The batch of records at an offset cannot be read.
    #[error(
        "the batch of records at offset {offset} of {partition} cannot be read: {reason}; skip it by committing an offset \
         behind it for the group"
    )]
    Batch {
        /// Where.
        partition: TopicPartition,
        /// The offset.
        offset: i64,
        /// Why.
        reason: String,
    },
    /// An offset cannot be put into a transaction.
    #[error("the offset of {partition} cannot be committed: {code}{}", remedy(*code))]
    Offset {
        /// Of which partition.
        partition: TopicPartition,
        /// Why.
        code: RDKafkaErrorCode,
    },
    /// The offset to fetch from lies outside the partition: records were deleted, or the topic was made anew.
    #[error(
        "offset {offset} of {partition} is out of range: the records were deleted or the topic was made anew; \
         set auto.offset.reset, or reset the application"
    )]
    OffsetOutOfRange {
        /// Where.
        partition: TopicPartition,
        /// The offset asked for; -1 where unknown.
        offset: i64,
    },
    /// A record was not delivered.
    #[error("a record of {size} bytes for {partition} was not delivered: {reason} ({code:?}){}", remedy(*code))]
    Delivery {
        /// Where it was to go.
        partition: TopicPartition,
        /// Key and value together, in bytes.
        size: usize,
        /// The error code.
        code: RDKafkaErrorCode,
        /// librdkafka's words.
        reason: String,
    },
    /// A record cannot be handed to the producer.
    #[error("a record of {size} bytes for {partition} was refused by the producer: {code}{}", remedy(*code))]
    Refused {
        /// Where it was to go.
        partition: TopicPartition,
        /// Key and value together, in bytes.
        size: usize,
        /// Why.
        code: RDKafkaErrorCode,
    },
    /// Records were still under way when the time was over.
    #[error("{records} records were not delivered within {timeout_ms} ms; is the broker reachable?")]
    FlushTimeout {
        /// How many.
        records: usize,
        /// How long was waited, in ms.
        timeout_ms: u64,
    },
    /// The client as a whole does not work.
    #[error("the kafka client failed: {reason} ({code:?}){}", remedy(*code))]
    Client {
        /// The error code.
        code: RDKafkaErrorCode,
        /// librdkafka's words.
        reason: String,
    },
    /// A call of the transaction failed.
    #[error("transaction: {0}")]
    Transaction(#[from] TransactionFault),
    /// The client was closed before.
    #[error("the kafka client is closed")]
    Closed,
    /// A thread of the client cannot be started.
    #[error("the thread `{name}` cannot be started: {reason}")]
    Thread {
        /// The thread's name.
        name: String,
        /// What the system says.
        reason: String,
    },
}

impl ClientError {
    /// Whether doing the same again may succeed.
    pub fn is_retriable(&self) -> bool {
        match self {
            ClientError::FlushTimeout { .. } => true,
            ClientError::Transaction(fault) => fault.retriable,
            ClientError::Client { code, .. } => *code == RDKafkaErrorCode::AllBrokersDown,
            _ => false,
        }
    }
}

/// Why a call of the transaction failed, and what librdkafka asks for.
#[derive(Debug, Clone, Error)]
#[error("{reason} ({code:?}){}", remedy(*code))]
pub struct TransactionFault {
    /// The error code.
    pub code: RDKafkaErrorCode,
    /// librdkafka's words.
    pub reason: String,
    /// The same call may be made again.
    pub retriable: bool,
    /// The transaction must be aborted.
    pub requires_abort: bool,
    /// The producer can do nothing any more.
    pub fatal: bool,
}

/// Codes by which a single record is refused for what it is: others of the same topic are not.
pub(crate) fn is_refused_record(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::MessageSizeTooLarge
            | Code::InvalidMessage
            | Code::InvalidMessageSize
            | Code::InvalidRecord
            | Code::InvalidTimestamp
            | Code::PolicyViolation
            | Code::UnsupportedForMessageFormat
    )
}

/// Codes that stay as they are however often the same is tried.
pub(crate) fn is_refusal(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    is_refused_record(code)
        || matches!(
            code,
            Code::InvalidTopic
                | Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::TransactionalIdAuthorizationFailed
                | Code::Authentication
                | Code::SaslAuthenticationFailed
                | Code::UnsupportedVersion
        )
}

/// What helps against a code, where something does.
fn remedy(code: RDKafkaErrorCode) -> &'static str {
    use RDKafkaErrorCode as Code;
    match code {
        Code::MessageSizeTooLarge => {
            ": raise the topic's max.message.bytes and `producer.max.request.size`, or let \
             `production.exception.handler` pass such records over"
        }
        Code::TopicAuthorizationFailed => {
            ": let the principal write to the topic (`--operation Write --topic …`)"
        }
        Code::TransactionalIdAuthorizationFailed => {
            ": let the principal write and describe transactional ids that begin with the application id"
        }
        Code::ClusterAuthorizationFailed => {
            ": let the principal write idempotently (`--operation IdempotentWrite --cluster`)"
        }
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch => {
            ": another producer has taken the transactional id over; does another process share the state directory?"
        }
        Code::Authentication | Code::SaslAuthenticationFailed => {
            ": check security.protocol, sasl.mechanism, sasl.username and sasl.password"
        }
        Code::GroupAuthorizationFailed => {
            ": let the principal read the group that is named as the application id"
        }
        Code::AllBrokersDown | Code::BrokerTransportFailure => {
            ": check bootstrap.servers and that brokers run there"
        }
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            ": create the topic, or look whether it was deleted or made anew with fewer partitions"
        }
        Code::MessageTimedOut => "; is the partition's leader reachable, and is there room on its disk?",
        _ => "",
    }
}
