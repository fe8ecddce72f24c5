//! Records that come back undelivered.

use std::sync::Arc;

use rdkafka::types::RDKafkaErrorCode;

use super::error::ClientError;
use crate::record::{Headers, TopicPartition};
use crate::time::Timestamp;

/// A record that was not delivered, as the producer has it.
#[derive(Debug)]
pub struct UndeliveredRecord<'a> {
    /// The topic that it was for.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The key's bytes, or none.
    pub key: Option<&'a [u8]>,
    /// The value's bytes, or none.
    pub value: Option<&'a [u8]>,
    /// Its time.
    pub timestamp: Timestamp,
    /// Its headers.
    pub headers: Headers,
    /// Why.
    pub code: RDKafkaErrorCode,
    /// librdkafka's words.
    pub reason: &'a str,
}

impl UndeliveredRecord<'_> {
    /// The error that it is.
    pub fn error(&self) -> ClientError {
        ClientError::Delivery {
            partition: TopicPartition::new(self.topic, self.partition),
            size: self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len),
            code: self.code,
            reason: match self.reason {
                "" => self.code.to_string(),
                reason => reason.to_owned(),
            },
        }
    }
}

/// What is to become of a record that the broker refuses for good.
#[derive(Debug)]
pub enum Verdict {
    /// The producer has failed.
    Fail,
    /// It is passed over.
    PassOver,
    /// It goes to another topic, with these headers.
    SendTo {
        /// The topic.
        topic: Arc<str>,
        /// All its headers.
        headers: Headers,
    },
}

/// Decides about records that the broker refuses for what they are; called on the producer's thread.
pub type RefusalJudge = dyn Fn(&UndeliveredRecord<'_>) -> Verdict + Send + Sync;
