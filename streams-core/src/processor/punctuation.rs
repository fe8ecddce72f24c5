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
    // Set where it has failed: how often, and when by the wall clock it is to be tried again.
    again: Option<(u32, Timestamp)>,
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
        self.entries.push(Entry { id, node, kind, interval, due, again: None });
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

    /// When, by the wall clock, the next one is due: of those that follow it, and of those that are tried again.
    pub fn next_due(&self) -> Option<Timestamp> {
        let due = |entry: &Entry| match (entry.kind, entry.again) {
            (PunctuationType::WallClock, None) => Some(entry.due),
            (_, Some((_, not_before))) => Some(not_before),
            (PunctuationType::StreamTime, None) => None,
        };
        self.entries.iter().filter_map(due).min()
    }

    /// How often one has failed since it last succeeded.
    pub(crate) fn tries(&self, id: PunctuationId) -> u32 {
        let entry = self.entries.iter().find(|entry| entry.id == id);
        entry.and_then(|entry| entry.again).map_or(0, |(tries, _)| tries)
    }

    /// Takes the earliest that is due at `now`, and moves it to the first multiple of its interval after `now`:
    /// missed intervals fire once. One that has failed comes again when its pause is over by the wall clock. Answers the node
    /// and the punctuation.
    pub fn take_due(
        &mut self,
        kind: PunctuationType,
        now: Timestamp,
        wall_clock: Timestamp,
    ) -> Option<(u32, PunctuationId)> {
        let due = |entry: &Entry| match entry.again {
            Some((_, not_before)) => not_before <= wall_clock,
            None => entry.due <= now,
        };
        let entry = self
            .entries
            .iter_mut()
            .filter(|entry| entry.kind == kind && due(entry))
            .min_by_key(|entry| entry.due)?;
        if entry.due <= now {
            let missed = (now.as_millis() - entry.due.as_millis()) / entry.interval;
            entry.due = entry.due.saturating_add_millis((missed + 1).saturating_mul(entry.interval));
        }
        Some((entry.node, entry.id))
    }

    /// Takes one that follows stream time, has failed, and is to be tried again at `wall_clock`.
    pub(crate) fn take_again(&mut self, wall_clock: Timestamp) -> Option<(u32, PunctuationId)> {
        let over = |entry: &&Entry| entry.again.is_some_and(|(_, not_before)| not_before <= wall_clock);
        let mut entries = self.entries.iter().filter(|entry| entry.kind == PunctuationType::StreamTime);
        entries.find(over).map(|entry| (entry.node, entry.id))
    }

    /// Lets one that has failed, now `tries` times, come again at `not_before` by the wall clock.
    pub(crate) fn try_again(&mut self, id: PunctuationId, tries: u32, not_before: Timestamp) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == id) {
            entry.again = Some((tries, not_before));
        }
    }

    /// One that was to be tried again was, with success.
    pub(crate) fn settle(&mut self, id: PunctuationId) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == id) {
            entry.again = None;
        }
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
            let now = Timestamp::from_millis(now);
            schedule.take_due(PunctuationType::StreamTime, now, now)
        };
        assert_eq!(at(&mut schedule, 37), Some((3, id)));
        assert_eq!(at(&mut schedule, 39), None);
        assert_eq!(at(&mut schedule, 40), Some((3, id)));
        schedule.cancel(id);
        assert_eq!(at(&mut schedule, 100), None);
    }

    #[test]
    fn a_failed_one_comes_again_after_its_pause_by_the_wall_clock() {
        let mut schedule = PunctuationSchedule::default();
        let at = Timestamp::from_millis;
        let id = schedule.add(3, Duration::from_millis(10), PunctuationType::StreamTime, at(0));
        let take = |schedule: &mut PunctuationSchedule, now, wall| {
            schedule.take_due(PunctuationType::StreamTime, at(now), at(wall)).is_some()
        };
        assert!(take(&mut schedule, 5, 1_000) && schedule.next_due().is_none());
        schedule.try_again(id, 1, at(1_100));
        assert_eq!((schedule.next_due(), schedule.tries(id)), (Some(at(1_100)), 1));
        assert!(!take(&mut schedule, 50, 1_099), "not before, however far the stream is");
        assert!(take(&mut schedule, 50, 1_100));
        schedule.settle(id);
        assert!(!take(&mut schedule, 59, 1_200) && take(&mut schedule, 60, 1_200), "the grid is kept");
        assert_eq!(schedule.tries(id), 0);
    }
}
