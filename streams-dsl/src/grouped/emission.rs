//! Which results of closed windows leave, and when (KIP-825).

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use streams_core::processor::{InitContext, Shared};
use streams_core::time::Timestamp;

/// Keeps in mind until when results of closed windows have left. Where they went as far as a commit, a restart goes on
/// there: the time is committed with the input's offsets, under the store's name, as in Kafka Streams.
///
/// A window is closed when its last moment lies before the *close time*. A store finds windows by one of their times, the
/// start or the end; `to_last` is how far the last moment lies behind that.
#[derive(Debug)]
pub(super) struct Emission {
    store: Arc<str>,
    to_last_ms: i64,
    /// The least time between two looks, by the wall clock.
    interval: Duration,
    next_look: Timestamp,
    /// The close time up to which everything has left; none before the first time.
    emitted_until: Option<i64>,
}

impl Emission {
    pub(super) fn open(store: &Arc<str>, to_last_ms: i64, context: &mut InitContext<'_>) -> Self {
        let shared = context.shared();
        Emission {
            store: Arc::clone(store),
            to_last_ms,
            interval: shared.emit_interval,
            next_look: Timestamp::ZERO,
            emitted_until: shared.processor_metadata.get(&**store).copied(),
        }
    }

    /// The times of the windows that are to leave before the record that moves the close time is stored, for the store
    /// will then be sure of those only that have a time of `kept_from` or later. Kafka Streams loses the others.
    pub(super) fn before(&self, close_time: Timestamp, kept_from: Timestamp) -> Option<RangeInclusive<i64>> {
        self.closed(close_time).filter(|times| *times.start() < kept_from.as_millis())
    }

    /// The times of the windows that are to leave now that the record is stored.
    pub(super) fn after(
        &mut self,
        close_time: Timestamp,
        wall_clock: Timestamp,
    ) -> Option<RangeInclusive<i64>> {
        let closed = self.closed(close_time)?;
        if wall_clock < self.next_look {
            return None;
        }
        self.next_look = wall_clock + self.interval;
        Some(closed)
    }

    /// Notes that all windows that are closed at `close_time` have left.
    pub(super) fn done(&mut self, close_time: Timestamp, shared: &mut Shared) {
        self.emitted_until = Some(close_time.as_millis());
        shared.processor_metadata.insert(self.store.to_string(), close_time.as_millis());
    }

    /// The times of windows that are closed and have not left.
    fn closed(&self, close_time: Timestamp) -> Option<RangeInclusive<i64>> {
        let last = close_time.as_millis().saturating_sub(1).saturating_sub(self.to_last_ms);
        let first = self.emitted_until.map_or(0, |until| until.saturating_sub(self.to_last_ms).max(0));
        (first <= last).then_some(first..=last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emission(interval_ms: u64) -> Emission {
        Emission {
            store: "counts".into(),
            // Tumbling windows of 10 ms, found by their start.
            to_last_ms: 9,
            interval: Duration::from_millis(interval_ms),
            next_look: Timestamp::ZERO,
            emitted_until: None,
        }
    }

    fn ms(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn shared() -> Shared {
        Shared::new(Vec::new(), Default::default(), Default::default())
    }

    #[test]
    fn a_window_leaves_once_when_its_end_is_reached() {
        let (mut emission, mut shared) = (emission(0), shared());
        assert_eq!(emission.after(ms(9), ms(0)), None);
        assert_eq!(emission.after(ms(10), ms(0)), Some(0..=0));
        emission.done(ms(10), &mut shared);
        assert_eq!(emission.after(ms(10), ms(0)), None);
        assert_eq!(emission.after(ms(12), ms(0)), Some(1..=2));
        assert_eq!(shared.processor_metadata.get("counts"), Some(&10));
    }

    #[test]
    fn looks_are_an_interval_apart_unless_the_store_would_drop_something() {
        let mut emission = emission(1_000);
        assert_eq!(emission.after(ms(10), ms(5)), Some(0..=0));
        assert_eq!(emission.after(ms(10), ms(1_004)), None);
        assert_eq!(emission.after(ms(10), ms(1_005)), Some(0..=0));
        assert_eq!(emission.before(ms(20), ms(0)), None);
        assert_eq!(emission.before(ms(20), ms(1)), Some(0..=10));
    }

    #[test]
    fn a_restart_goes_on_where_results_had_left() {
        let mut shared = shared();
        shared.processor_metadata.insert("counts".to_owned(), 10);
        let name: Arc<str> = "aggregate".into();
        let mut context = InitContext::new(0, &name, &[], &mut shared);
        let mut emission = Emission::open(&"counts".into(), 9, &mut context);
        assert_eq!(emission.after(ms(10), ms(0)), None);
        assert_eq!(emission.after(ms(20), ms(0)), Some(1..=10));
    }
}
