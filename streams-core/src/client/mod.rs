//! The broker as the runtime sees it: records to it through librdkafka; records from it, groups and topics through our
//! own wire client.

mod fetch;
#[cfg(test)]
mod mock;
mod rdkafka;
pub mod wire;

pub use self::fetch::{
    DataConsumer, FetchAssignment, FetchEvent, FetchFrom, FetchPermit, FetchSink, FetchedBatch,
    FetchedMessage,
};
pub use self::rdkafka::{
    ClientError, ClientProperties, DataProducer, Enqueued, GroupMember, ProducerTopic, RefusalJudge,
    TransactionFault, UndeliveredRecord, Verdict,
};
pub(crate) use self::rdkafka::{batch_bytes, is_refusal, is_refused_record};
