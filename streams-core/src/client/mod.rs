//! The broker as the runtime sees it: records through librdkafka, groups and topics through our own wire client.

mod rdkafka;
pub mod wire;

pub(crate) use self::rdkafka::is_refusal;
pub use self::rdkafka::{
    ClientError, ClientProperties, DataConsumer, DataProducer, Enqueued, FetchAssignment, FetchEvent,
    FetchFrom, FetchPermit, FetchSink, FetchedBatch, FetchedMessage, GroupMember, ProducerTopic,
    TransactionFault,
};
