//! Session windows.

use std::time::Duration;

use super::{SHORTEST, SetGrace, WithoutGrace};

/// Sessions: records of a key with no longer gap between them than the inactivity gap belong to one window, which
/// grows with them; both its ends belong to it. A record between two sessions makes them one.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let builder = StreamsBuilder::new();
/// let clicks = builder.stream::<String, String>("clicks");
/// let visits = SessionWindows::of_inactivity_gap(Duration::from_secs(1_800)).grace(Duration::from_secs(60));
/// clicks.group_by_key().windowed_by(visits).count().to_stream().to("clicks-per-visit");
/// assert!(builder.build().is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionWindows {
    gap: Duration,
    grace: Duration,
}

impl SessionWindows {
    /// Sessions that end where nothing happens for longer than this, which is at least a millisecond.
    pub fn of_inactivity_gap(gap: Duration) -> WithoutGrace<SessionWindows> {
        WithoutGrace(SessionWindows { gap, grace: Duration::ZERO })
    }

    /// The longest time between two records of one session.
    pub fn inactivity_gap(&self) -> Duration {
        self.gap
    }

    /// How late a record may be, in event time behind the moment when its session could not grow any more.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.gap < SHORTEST {
            return Err(format!("an inactivity gap of {:?} is too short: it is at least 1 ms", self.gap));
        }
        Ok(())
    }
}

impl SetGrace for SessionWindows {
    fn set_grace(self, grace: Duration) -> Self {
        SessionWindows { grace, ..self }
    }
}
