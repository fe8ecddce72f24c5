//! The node behind aggregations over sliding windows (KIP-450, Kafka's `KStreamSlidingWindowAggregate`).

use std::any::Any;
use std::sync::Arc;

use state_stores::{ValueAndTimestamp, Window, Windowed};
use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::{Data, Record};
use streams_core::state::Direction;
use streams_core::time::{Timestamp, duration_millis};
use streams_core::topology::ProcessorSpec;

use super::aggregation::{Fold, row_before};
use super::window_output::{WindowOutput, WindowOutputSpec};
use super::window_store::WindowedTable;
use crate::change::Change;
use crate::options::SharedSerde;
use crate::windows::SlidingWindows;

/// The node that folds the records of one grouped stream into the table's windows.
pub(super) fn processor<K: Data, V: Data, A: Data>(
    table: &WindowedTable<K, A>,
    windows: SlidingWindows,
    inputs: SharedSerde<V>,
    fold: Arc<impl Fold<K, V, A>>,
) -> ProcessorSpec {
    let output = WindowOutputSpec::of(table);
    ProcessorSpec::from_factory::<K, V, Windowed<K>, Change<A>>(move |context: &mut InitContext<'_>| {
        Ok(Box::new(SlidingAggregation {
            output: WindowOutput::open(&output, context)?,
            inputs: Arc::clone(&inputs),
            fold: Arc::clone(&fold),
            difference_ms: duration_millis(windows.time_difference()),
        }))
    })
}

/// A window's start, its aggregate, and the time of its latest record.
type Found<A> = (i64, ValueAndTimestamp<A>);

struct SlidingAggregation<K, V, A, F> {
    output: WindowOutput<K, A>,
    inputs: SharedSerde<V>,
    fold: Arc<F>,
    difference_ms: i64,
}

/// What the windows around a record tell.
struct Around<A> {
    /// Starts of the windows that there are.
    starts: Vec<i64>,
    /// The aggregate of what lies before the record within its left window.
    left: Option<ValueAndTimestamp<A>>,
    /// The aggregate of what lies behind the record.
    right: Option<ValueAndTimestamp<A>>,
    /// The time of the latest record before this one, as far as a window may be missing behind it.
    previous: Option<i64>,
    has_left: bool,
    has_right: bool,
}

impl<A> Around<A> {
    fn nothing() -> Self {
        Around {
            starts: Vec::new(),
            left: None,
            right: None,
            previous: None,
            has_left: false,
            has_right: false,
        }
    }
}

impl<K: Data, V: Data, A: Data, F: Fold<K, V, A>> SlidingAggregation<K, V, A, F> {
    /// A record whose left window begins at 0 or later. Windows that contain it are brought up to date, the latest
    /// first; then those are made that the record calls for: one behind the record before it, one that ends at it, one
    /// behind it.
    fn process_regular(
        &self,
        record: &Record<K, V>,
        close_time: Timestamp,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let time = record.timestamp.as_millis();
        let from = time.saturating_sub(self.difference_ms.saturating_mul(2)).max(0);
        let mut around = Around::nothing();
        for (start, row) in self.windows_from(from, record, Direction::Backward, context)? {
            around.starts.push(start);
            let end = start.saturating_add(self.difference_ms);
            let latest = row.timestamp.as_millis();
            if start > time {
                around.has_right = true;
            } else if end > time {
                if around.right.is_none() {
                    around.right = Some(row.clone());
                }
                self.update(start, row, record, close_time, context)?;
            } else if end == time {
                around.has_left = true;
                self.update(start, row, record, close_time, context)?;
                if latest >= time {
                    // There was a record of this very time, so nothing is missing.
                    return Ok(());
                }
                around.previous = Some(latest);
            } else {
                around.previous = Some(latest);
                around.left = Some(row);
                break;
            }
        }
        self.make_missing(around, record, close_time, context)
    }

    fn make_missing(
        &self,
        around: Around<A>,
        record: &Record<K, V>,
        close_time: Timestamp,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let time = record.timestamp.as_millis();
        if let Some(previous) = around.previous {
            let start = previous.saturating_add(1);
            let reaches = start.saturating_add(self.difference_ms) >= time;
            if reaches && !around.starts.contains(&start) {
                self.make(start, None, record, close_time, context)?;
            }
        }
        if !around.has_left {
            let start = time.saturating_sub(self.difference_ms);
            let before = around.left.filter(|_| around.previous.is_some_and(|previous| start <= previous));
            self.make(start, before.map(|row| row.value), record, close_time, context)?;
        }
        if !around.has_right {
            self.make_right(around.right, record, context)?;
        }
        Ok(())
    }

    /// A record whose left window would begin before 0: all such records share the window that begins at 0.
    fn process_early(
        &self,
        record: &Record<K, V>,
        close_time: Timestamp,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let time = record.timestamp.as_millis();
        let (mut around, mut shared) = (Around::nothing(), None);
        for (start, row) in self.windows_from(0, record, Direction::Forward, context)? {
            around.starts.push(start);
            if start == 0 {
                let latest = row.timestamp.as_millis();
                around.previous = Some(latest).filter(|latest| *latest < time);
                shared = Some(row);
            } else if start <= time {
                around.right = Some(row.clone());
                self.update(start, row, record, close_time, context)?;
            } else {
                around.has_right = true;
            }
        }
        if around.right.is_none() {
            // Where no window begins between 0 and the record, all that the shared one holds lies on one side of it.
            around.right = shared.clone();
        }
        if !around.has_right {
            self.make_right(around.right, record, context)?;
        }
        if let Some(start) = around.previous.map(|previous| previous.saturating_add(1))
            && !around.starts.contains(&start)
        {
            self.make(start, None, record, close_time, context)?;
        }
        match shared {
            Some(row) => self.update(0, row, record, close_time, context),
            None => self.make(0, None, record, close_time, context),
        }
    }

    /// The key's windows that begin from a time on and that a record may have to do with: up to the one just behind it.
    fn windows_from(
        &self,
        from: i64,
        record: &Record<K, V>,
        direction: Direction,
        context: &mut NodeContext<'_>,
    ) -> Result<Vec<Found<A>>, ProcessorError> {
        let (from, to) = (Timestamp::from_millis(from), record.timestamp.saturating_add_millis(1));
        let store = context.store_mut(self.output.store);
        let found = match direction {
            Direction::Forward => store.fetch_between(&record.key, from, to)?,
            Direction::Backward => store.backward_fetch_between(&record.key, from, to)?,
        };
        let found = found.map(|entry| entry.map(|(key, row)| (key.window.start.as_millis(), row)));
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Takes the record into a window that there is.
    fn update(
        &self,
        start: i64,
        row: ValueAndTimestamp<A>,
        record: &Record<K, V>,
        close_time: Timestamp,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let Some(window) = self.open_window(start, close_time, context) else { return Ok(()) };
        let before = self.output.sends_old().then(|| row.value.clone());
        let time = row.timestamp.max(record.timestamp);
        let new = self.fold.add(&record.key, record.value.clone(), Some(row.value));
        self.output.put(window, before, new, time, record, context)
    }

    /// Makes a window of the record and what lies before it.
    fn make(
        &self,
        start: i64,
        before: Option<A>,
        record: &Record<K, V>,
        close_time: Timestamp,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let Some(window) = self.open_window(start, close_time, context) else { return Ok(()) };
        let sends_old = self.output.sends_old();
        let old =
            if sends_old { row_before(&*self.fold, &self.output.aggregates, before.as_ref()) } else { None };
        let new = self.fold.add(&record.key, record.value.clone(), before);
        self.output.put(window, old, new, record.timestamp, record, context)
    }

    /// Makes the window just behind the record, if there is anything in it.
    fn make_right(
        &self,
        right: Option<ValueAndTimestamp<A>>,
        record: &Record<K, V>,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        match right.filter(|right| right.timestamp > record.timestamp) {
            Some(ValueAndTimestamp { value, timestamp }) => {
                let window = self.window(record.timestamp.as_millis().saturating_add(1));
                self.output.put(window, None, value, timestamp, record, context)
            }
            None => Ok(()),
        }
    }

    /// The window with this start; none, which counts as a drop, where it is closed.
    fn open_window(
        &self,
        start: i64,
        close_time: Timestamp,
        context: &mut NodeContext<'_>,
    ) -> Option<Window> {
        let window = self.window(start);
        if window.end < close_time {
            context.shared().dropped_records += 1;
            return None;
        }
        Some(window)
    }

    fn window(&self, start: i64) -> Window {
        Window::new(start, start.saturating_add(self.difference_ms))
    }
}

impl<K: Data, V: Data, A: Data, F: Fold<K, V, A>> Node for SlidingAggregation<K, V, A, F> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, V>(slot)?.take() else { return Ok(()) };
        if self.output.keys.is_null(&record.key) || self.inputs.is_null(&record.value) {
            context.shared().dropped_records += 1;
            return Ok(());
        }
        let close_time = self.output.observe(record.timestamp);
        // The latest window of a record begins at its time.
        if record.timestamp.saturating_add_millis(self.difference_ms) < close_time {
            context.shared().dropped_records += 1;
            return Ok(());
        }
        let newest = record.timestamp.saturating_add_millis(1);
        self.output.before_update(close_time, newest, &record.headers, context)?;
        if record.timestamp.as_millis() < self.difference_ms {
            self.process_early(&record, close_time, context)?;
        } else {
            self.process_regular(&record, close_time, context)?;
        }
        self.output.after_update(close_time, &record.headers, context)
    }

    fn flush(&mut self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        self.output.flush(context)
    }
}
