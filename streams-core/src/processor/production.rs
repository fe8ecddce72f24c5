//! What happens to a record that cannot be sent.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::RecordPart;
use super::failure::{Respond, panic_message};
use super::policy::Policy;
use crate::record::RecordContext;

/// A record that cannot be sent for good, as a production handler sees it: either it cannot be serialized, or the producer
/// or the broker refuses it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct FailedDelivery<'a> {
    /// The topic that it was for.
    pub topic: &'a str,
    /// The partition, where one was chosen already.
    pub partition: Option<i32>,
    /// The key's bytes; none where it is null or the record is not serialized.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; none where it is null or the record is not serialized.
    pub value: Option<&'a [u8]>,
    /// The part that cannot be serialized; none where the record was refused.
    pub unserialized: Option<RecordPart>,
    /// What happened.
    pub error: &'a (dyn std::error::Error + 'static),
    /// Where the input record came from, while that is processed; none once it was handed to the producer.
    pub record: Option<&'a RecordContext>,
    /// How often the input record was tried before.
    pub attempt: u32,
}

/// A user's own decision about records that cannot be sent. It may be called from several threads.
pub type ProductionHandler = dyn Fn(&FailedDelivery<'_>) -> Respond + Send + Sync;

/// What to do with records that cannot be sent for good (`production.exception.handler`, KIP-210 and KIP-399). A dead-letter
/// topic takes the input record where its result cannot be serialized, else the refused record itself.
pub type ProductionPolicy = Policy<ProductionHandler>;

impl ProductionPolicy {
    /// The answer to a record that cannot be sent. A handler that panics has decided nothing: the task ends with the error.
    pub fn respond(&self, failed: &FailedDelivery<'_>) -> Respond {
        self.answer(|handler| {
            catch_unwind(AssertUnwindSafe(|| handler(failed))).unwrap_or_else(|panic| {
                let message = panic_message(panic.as_ref());
                tracing::error!(topic = failed.topic, message, "the production handler panicked");
                Respond::Fail
            })
        })
    }
}
