//! Records from and to the broker through librdkafka, in batches.

mod config;
mod consumer;
mod error;
mod fetch_buffer;
mod fetch_thread;
mod ffi;
mod producer;
mod reaper;

pub use config::ClientProperties;
pub use consumer::{DataConsumer, FetchAssignment, FetchEvent, FetchFrom, FetchSink, FetchedBatch};
pub(crate) use error::is_refusal;
pub use error::{ClientError, TransactionFault};
pub use fetch_buffer::FetchPermit;
pub use ffi::FetchedMessage;
pub use producer::{DataProducer, Enqueued, GroupMember, ProducerTopic};

#[cfg(test)]
mod tests;
