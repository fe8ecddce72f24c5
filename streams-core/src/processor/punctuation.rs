//! Punctuations: regular calls by stream time or by the wall clock.

use std::time::Duration;

use crate::time::{Timestamp, duration_millis};

/// Which clock a punctuation follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PunctuationType {
    /// The largest event time that the task has seen: it stands still while no records come.
    StreamTime,
    /// The machine's clock.
    WallClock,
}

/// Names one punctuation of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PunctuationId(u32);

#[derive(Debug)]
struct Entry {
    id: PunctuationId,
    node: u32,
    kind: PunctuationType,
    interval: i64,
    due: Timestamp,
}

/// The punctuations of a task and when each is due (Kafka's `PunctuationQueue`).
#[derive(Debug, Default)]
pub struct PunctuationSchedule {
    entries: Vec<Entry>,
    next: u32,
}

impl PunctuationSchedule {
    /// Adds a punctuation of `node`. By stream time it is due at 0, so with the first record; by the wall clock
    /// one interval after `now`.
    pub fn add(
        &mut self,
        node: u32,
        interval: Duration,
        kind: PunctuationType,
        now: Timestamp,
    ) -> PunctuationId {
        let id = PunctuationId(self.next);
        self.next += 1;
        let interval = duration_millis(interval).max(1);
        let due = match kind {
            PunctuationType::StreamTime => Timestamp::ZERO,
            PunctuationType::WallClock => now.saturating_add_millis(interval),
        };
        self.entries.push(Entry { id, node, kind, interval, due });
        id
    }

    /// Ends a punctuation.
    pub fn cancel(&mut self, id: PunctuationId) {
        self.entries.retain(|entry| entry.id != id);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// When the next one of a kind is due.
    pub fn next_due(&self, kind: PunctuationType) -> Option<Timestamp> {
        self.entries.iter().filter(|entry| entry.kind == kind).map(|entry| entry.due).min()
    }

    /// Takes the earliest that is due at `now`, and moves it to the first multiple of its interval after `now`:
    /// missed intervals fire once. Answers the node and the punctuation.
    pub fn take_due(&mut self, kind: PunctuationType, now: Timestamp) -> Option<(u32, PunctuationId)> {
        let entry = self
            .entries
            .iter_mut()
            .filter(|entry| entry.kind == kind && entry.due <= now)
            .min_by_key(|entry| entry.due)?;
        let missed = (now.as_millis() - entry.due.as_millis()) / entry.interval;
        entry.due = entry.due.saturating_add_millis((missed + 1).saturating_mul(entry.interval));
        Some((entry.node, entry.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_intervals_fire_once_and_the_grid_is_kept() {
        let mut schedule = PunctuationSchedule::default();
        let every = Duration::from_millis(10);
        let id = schedule.add(3, every, PunctuationType::StreamTime, Timestamp::UNKNOWN);
        let at = |schedule: &mut PunctuationSchedule, now: i64| {
            schedule.take_due(PunctuationType::StreamTime, Timestamp::from_millis(now))
        };
        assert_eq!(at(&mut schedule, 37), Some((3, id)));
        assert_eq!(at(&mut schedule, 39), None);
        assert_eq!(at(&mut schedule, 40), Some((3, id)));
        schedule.cancel(id);
        assert_eq!(at(&mut schedule, 100), None);
    }
}
