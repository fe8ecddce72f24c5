//! Records to the broker through librdkafka.

mod config;
mod error;
mod ffi;
mod producer;
mod reaper;
mod record_size;
mod undelivered;

pub use config::ClientProperties;
pub use error::{ClientError, TransactionFault};
pub(crate) use error::{is_refusal, is_refused_record};
pub use producer::{DataProducer, Enqueued, GroupMember, ProducerTopic};
pub(crate) use record_size::batch_bytes;
pub use undelivered::{RefusalJudge, UndeliveredRecord, Verdict};

#[cfg(test)]
mod tests;
