//! Records to the broker through librdkafka.

mod config;
mod error;
mod ffi;
mod producer;
mod reaper;

pub use config::ClientProperties;
pub(crate) use error::is_refusal;
pub use error::{ClientError, TransactionFault};
pub use producer::{DataProducer, Enqueued, GroupMember, ProducerTopic};

#[cfg(test)]
mod tests;
