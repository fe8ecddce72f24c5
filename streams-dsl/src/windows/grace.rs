//! The grace period, which is to be written.

use std::time::Duration;

/// Windows whose grace period is still to be said: by [`grace`](WithoutGrace::grace), or by
/// [`no_grace`](WithoutGrace::no_grace).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "say how late records may be: `.grace(..)` or `.no_grace()`"]
pub struct WithoutGrace<W>(pub(crate) W);

/// Windows that have a grace period.
pub trait SetGrace: Sized {
    /// The same windows with this grace period.
    #[must_use]
    fn set_grace(self, grace: Duration) -> Self;
}

impl<W: SetGrace> WithoutGrace<W> {
    /// Accepts records that are late by so much, in event time behind their window's end.
    pub fn grace(self, grace: Duration) -> W {
        self.0.set_grace(grace)
    }

    /// Accepts no late records: a window is closed as soon as event time has reached its end.
    pub fn no_grace(self) -> W {
        self.0.set_grace(Duration::ZERO)
    }
}
