//! The node behind aggregations over windows of fixed spans (Kafka's `KStreamWindowAggregate`).

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use state_stores::{ValueAndTimestamp, Window, Windowed};
use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::{Data, Record};
use streams_core::topology::ProcessorSpec;

use super::aggregation::{Fold, row_before};
use super::window_output::{WindowOutput, WindowOutputSpec};
use super::window_store::WindowedTable;
use crate::change::Change;
use crate::windows::Windows;

/// The node that folds the records of one grouped stream into the table's windows.
pub(super) fn processor<K: Data, V: Data, A: Data>(
    table: &WindowedTable<K, A>,
    windows: Arc<dyn Windows>,
    fold: Arc<impl Fold<K, V, A>>,
) -> ProcessorSpec {
    let output = WindowOutputSpec::of(table);
    ProcessorSpec::from_factory::<K, V, Windowed<K>, Change<A>>(move |context: &mut InitContext<'_>| {
        Ok(Box::new(WindowAggregation {
            output: WindowOutput::open(&output, context)?,
            fold: Arc::clone(&fold),
            windows: Arc::clone(&windows),
            matching: Vec::new(),
            value: PhantomData::<fn(V)>,
        }))
    })
}

struct WindowAggregation<K, V, A, F> {
    output: WindowOutput<K, A>,
    fold: Arc<F>,
    windows: Arc<dyn Windows>,
    /// The windows of the current record; kept for its room.
    matching: Vec<Window>,
    value: PhantomData<fn(V)>,
}

impl<K: Data, V: Data, A: Data, F: Fold<K, V, A>> WindowAggregation<K, V, A, F> {
    /// Takes the record into one window and sends the change on.
    fn update(
        &self,
        window: Window,
        record: Record<K, V>,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let Record { key, value, timestamp, headers } = record;
        let (sends, keep_old) = (self.output.sends_updates(), self.output.sends_old());
        let (fold, aggregates) = (&self.fold, &self.output.aggregates);
        let (change, timestamp) = context.store_mut(self.output.store).update(&key, window.start, |row| {
            let (old, timestamp) = match row.take() {
                Some(row) => (Some(row.value), row.timestamp.max(timestamp)),
                None => (None, timestamp),
            };
            let before = if keep_old { row_before(&**fold, aggregates, old.as_ref()) } else { None };
            let new = Some(fold.add(&key, value, old)).filter(|new| !aggregates.is_null(new));
            let change = sends.then(|| Change::new(before, new.clone()));
            *row = new.map(|value| ValueAndTimestamp { value, timestamp });
            (change, timestamp)
        })?;
        match change {
            Some(value) => {
                context.forward(Record { key: Windowed { key, window }, value, timestamp, headers })
            }
            None => Ok(()),
        }
    }

    /// Takes the record into its windows.
    fn update_all(
        &self,
        matching: &[Window],
        record: Record<K, V>,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let Some((last, others)) = matching.split_last() else { return Ok(()) };
        for window in others {
            self.update(*window, record.clone(), context)?;
        }
        self.update(*last, record, context)
    }
}

impl<K: Data, V: Data, A: Data, F: Fold<K, V, A>> Node for WindowAggregation<K, V, A, F> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, V>(slot)?.take() else { return Ok(()) };
        if self.output.keys.is_null(&record.key) {
            context.shared().dropped_records += 1;
            return Ok(());
        }
        let close_time = self.output.observe(record.timestamp);
        let mut matching = std::mem::take(&mut self.matching);
        matching.clear();
        let mut closed = 0;
        self.windows.windows_for(record.timestamp, &mut |window| match window.end > close_time {
            true => matching.push(window),
            false => closed += 1,
        });
        context.shared().dropped_records += closed;
        let done = if self.output.emits_on_close() {
            let headers = record.headers.clone();
            let newest = matching.last().map_or(record.timestamp, |window| window.start);
            self.output
                .before_update(close_time, newest, &headers, context)
                .and_then(|()| self.update_all(&matching, record, context))
                .and_then(|()| self.output.after_update(close_time, &headers, context))
        } else {
            self.update_all(&matching, record, context)
        };
        self.matching = matching;
        done
    }

    fn flush(&mut self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        self.output.flush(context)
    }
}
