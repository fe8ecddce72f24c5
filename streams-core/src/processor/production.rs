//! What happens to a record that cannot be sent.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::error::RecordPart;
use super::failure::{Respond, panic_message};
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

/// What to do with records that cannot be sent for good (`production.exception.handler`, KIP-210 and KIP-399).
#[derive(Clone, Default)]
pub enum ProductionPolicy {
    /// The task ends with the error.
    #[default]
    Fail,
    /// The record is dropped and counted.
    Continue,
    /// A record that cannot be serialized is dropped, and its input record sent to this topic as it came; a record that is
    /// refused is sent there itself.
    DeadLetter(Arc<str>),
    /// The user decides.
    Ask(Arc<ProductionHandler>),
}

impl ProductionPolicy {
    /// The answer to a record that cannot be sent. A handler that panics has decided nothing: the task ends with the error.
    pub fn respond(&self, failed: &FailedDelivery<'_>) -> Respond {
        match self {
            ProductionPolicy::Fail => Respond::Fail,
            ProductionPolicy::Continue => Respond::Continue,
            ProductionPolicy::DeadLetter(topic) => Respond::DeadLetter(Arc::clone(topic)),
            ProductionPolicy::Ask(handler) => catch_unwind(AssertUnwindSafe(|| handler(failed)))
                .unwrap_or_else(|panic| {
                    let message = panic_message(panic.as_ref());
                    tracing::error!(topic = failed.topic, message, "the production handler panicked");
                    Respond::Fail
                }),
        }
    }

    /// Whether it may pass a record over.
    pub(crate) fn may_pass_over(&self) -> bool {
        !matches!(self, ProductionPolicy::Fail)
    }
}

impl fmt::Debug for ProductionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProductionPolicy::Fail => "Fail",
            ProductionPolicy::Continue => "Continue",
            ProductionPolicy::DeadLetter(_) => "DeadLetter",
            ProductionPolicy::Ask(_) => "Ask",
        })
    }
}
