//! Windows of joins.

use std::time::Duration;

use streams_core::time::duration_millis;

use super::{SetGrace, WithoutGrace};

/// How far apart in event time two records may be to be joined: the other stream's may be `before` earlier or `after`
/// later than this stream's, both included. The windows of a join are those of each record, not those of a clock.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let second = Duration::from_secs(1);
/// // A payment up to five seconds after its order, which may come another two seconds late.
/// let windows = JoinWindows::of(5 * second).before(Duration::ZERO).grace(2 * second);
/// assert_eq!((windows.before_ms(), windows.after_ms(), windows.grace_ms()), (0, 5_000, 2_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinWindows {
    before_ms: i64,
    after_ms: i64,
    grace_ms: i64,
}

impl JoinWindows {
    /// Records at most so far apart, in either direction.
    pub fn of(difference: Duration) -> WithoutGrace<JoinWindows> {
        let difference = duration_millis(difference);
        WithoutGrace(JoinWindows { before_ms: difference, after_ms: difference, grace_ms: 0 })
    }

    /// The other stream's record may be so much earlier.
    #[must_use]
    pub fn before(self, before: Duration) -> Self {
        JoinWindows { before_ms: duration_millis(before), ..self }
    }

    /// The other stream's record may be so much later.
    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        JoinWindows { after_ms: duration_millis(after), ..self }
    }

    /// The other stream's record must be at least so much later (Kafka's negative `before`).
    #[must_use]
    pub fn at_least_after(self, after: Duration) -> Self {
        JoinWindows { before_ms: -duration_millis(after), ..self }
    }

    /// The other stream's record must be at least so much earlier (Kafka's negative `after`).
    #[must_use]
    pub fn at_least_before(self, before: Duration) -> Self {
        JoinWindows { after_ms: -duration_millis(before), ..self }
    }

    /// How much earlier the other stream's record may be, in ms; below 0 where it must be later.
    pub fn before_ms(&self) -> i64 {
        self.before_ms
    }

    /// How much later the other stream's record may be, in ms; below 0 where it must be earlier.
    pub fn after_ms(&self) -> i64 {
        self.after_ms
    }

    /// How late a record may be, in ms of event time behind its window's end.
    pub fn grace_ms(&self) -> i64 {
        self.grace_ms
    }

    /// The length of the window in ms.
    pub(crate) fn size_ms(&self) -> i64 {
        self.before_ms.saturating_add(self.after_ms)
    }
}

impl WithoutGrace<JoinWindows> {
    /// The other stream's record may be so much earlier.
    pub fn before(self, before: Duration) -> Self {
        WithoutGrace(self.0.before(before))
    }

    /// The other stream's record may be so much later.
    pub fn after(self, after: Duration) -> Self {
        WithoutGrace(self.0.after(after))
    }

    /// The other stream's record must be at least so much later (Kafka's negative `before`).
    pub fn at_least_after(self, after: Duration) -> Self {
        WithoutGrace(self.0.at_least_after(after))
    }

    /// The other stream's record must be at least so much earlier (Kafka's negative `after`).
    pub fn at_least_before(self, before: Duration) -> Self {
        WithoutGrace(self.0.at_least_before(before))
    }
}

impl SetGrace for JoinWindows {
    fn set_grace(self, grace: Duration) -> Self {
        JoinWindows { grace_ms: duration_millis(grace), ..self }
    }
}
