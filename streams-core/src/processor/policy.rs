//! What to do about failures of one kind.

use std::fmt;
use std::sync::Arc;

use super::failure::Respond;

/// What to do with records that fail, where a handler of the user's is an `H`.
#[derive(Default)]
pub enum Policy<H: ?Sized> {
    /// The task ends with the error.
    #[default]
    Fail,
    /// The record is dropped and counted.
    Continue,
    /// The input record is sent to this topic as it came, and counted as dropped. A record that the producer or the broker
    /// has refused is sent there itself.
    DeadLetter(Arc<str>),
    /// The user decides.
    Ask(Arc<H>),
}

impl<H: ?Sized> Policy<H> {
    /// The answer to a failure; `ask` puts it to the user's handler.
    pub(crate) fn answer(&self, ask: impl FnOnce(&H) -> Respond) -> Respond {
        match self {
            Policy::Fail => Respond::Fail,
            Policy::Continue => Respond::Continue,
            Policy::DeadLetter(topic) => Respond::DeadLetter(Arc::clone(topic)),
            Policy::Ask(handler) => ask(handler),
        }
    }

    /// Whether it may pass a record over.
    pub(crate) fn may_pass_over(&self) -> bool {
        !matches!(self, Policy::Fail)
    }
}

impl<H: ?Sized> Clone for Policy<H> {
    fn clone(&self) -> Self {
        match self {
            Policy::Fail => Policy::Fail,
            Policy::Continue => Policy::Continue,
            Policy::DeadLetter(topic) => Policy::DeadLetter(Arc::clone(topic)),
            Policy::Ask(handler) => Policy::Ask(Arc::clone(handler)),
        }
    }
}

impl<H: ?Sized> fmt::Debug for Policy<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Policy::Fail => "Fail",
            Policy::Continue => "Continue",
            Policy::DeadLetter(_) => "DeadLetter",
            Policy::Ask(_) => "Ask",
        })
    }
}
