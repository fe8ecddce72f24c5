//! The node behind aggregations over windows of fixed spans.

use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use state_stores::{TimeWindowed, ValueAndTimestamp, Window, Windowed};
use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::{Data, Record};
use streams_core::time::Timestamp;
use streams_core::topology::ProcessorSpec;

use super::aggregation::{Fold, row_before};
use super::time_windowed::TimeWindowedKStream;
use super::window_store::{WindowHandle, WindowTableStore, WindowedTable};
use crate::change::Change;
use crate::ktable::{KTable, change_record};
use crate::options::{Materialized, SharedSerde};
use crate::plan::NodeTag;
use crate::windows::Windows;

impl<K: Data, V: Data> TimeWindowedKStream<K, V> {
    /// Adds an aggregation; `prefix` is that of its generated names.
    pub(super) fn fold<A: Data>(
        &self,
        prefix: &'static str,
        materialized: Materialized<K, A>,
        fold: impl Fold<K, V, A>,
    ) -> KTable<Windowed<K>, A> {
        let plan = &self.grouped.place.plan;
        let store_name = materialized.name.unwrap_or_else(|| plan.borrow_mut().generate_store(prefix));
        let (operator, name) = self.grouped.place.generate(prefix);
        let from = self.grouped.partitioned(&store_name);
        let (size, least) = (self.windows.size(), self.windows.size().saturating_add(self.windows.grace()));
        let retention = materialized.settings.retention.unwrap_or(least);
        if retention < least {
            plan.borrow_mut().fault(format!(
                "store `{store_name}` keeps windows for {retention:?}, which is less than their size and grace, {least:?}"
            ));
        }
        let store = WindowTableStore {
            name: store_name.into(),
            keys: materialized.key_serde.or_carried(Some(&self.grouped.key_serde)),
            values: materialized.value_serde.or_carried(None),
            size,
            retention,
            options: materialized.settings,
        };
        let key_serde: SharedSerde<Windowed<K>> =
            Arc::new(TimeWindowed::of_size(Arc::clone(&store.keys), size));
        let value_serde = Some(Arc::clone(&store.values));
        let logic = Rc::new(WindowedTable { store, send_old: Cell::new(false) });
        let of_node = Rc::clone(&logic);
        let (fold, windows) = (Arc::new(fold), Arc::clone(&self.windows));
        let place = from.append(operator, name, NodeTag::Plain, move |lowering| {
            let (store, send_old) = (of_node.store.clone(), of_node.send_old.get());
            let (fold, windows) = (Arc::clone(&fold), Arc::clone(&windows));
            lowering.processor(ProcessorSpec::from_factory::<K, V, Windowed<K>, Change<A>>(
                move |context: &mut InitContext<'_>| {
                    let (fold, windows) = (Arc::clone(&fold), Arc::clone(&windows));
                    Ok(Box::new(WindowAggregation::open(&store, send_old, fold, windows, context)?))
                },
            ));
            lowering.store(of_node.store.builder());
        });
        place.set_window_grace(self.windows.grace());
        KTable { place, logic, key_serde: Some(key_serde), value_serde }
    }
}

struct WindowAggregation<K, V, A, F> {
    store: WindowHandle<K, A>,
    caching: bool,
    keys: SharedSerde<K>,
    aggregates: SharedSerde<A>,
    fold: Arc<F>,
    windows: Arc<dyn Windows>,
    grace: std::time::Duration,
    send_old: bool,
    /// The largest event time that this node has seen.
    stream_time: Timestamp,
    /// The windows of the current record; kept for its room.
    matching: Vec<Window>,
    value: std::marker::PhantomData<fn(V)>,
}

impl<K: Data, V: Data, A: Data, F: Fold<K, V, A>> WindowAggregation<K, V, A, F> {
    fn open(
        store: &WindowTableStore<K, A>,
        send_old: bool,
        fold: Arc<F>,
        windows: Arc<dyn Windows>,
        context: &mut InitContext<'_>,
    ) -> Result<Self, ProcessorError> {
        let handle = store.open(context)?;
        let open = context.shared().store_mut(handle);
        if send_old {
            open.keep_old_values();
        }
        Ok(WindowAggregation {
            store: handle,
            caching: open.caching(),
            keys: Arc::clone(&store.keys),
            aggregates: Arc::clone(&store.values),
            fold,
            grace: windows.grace(),
            windows,
            send_old,
            stream_time: Timestamp::UNKNOWN,
            matching: Vec::new(),
            value: std::marker::PhantomData,
        })
    }

    /// Takes the record into one window and sends the change on.
    fn update(
        &self,
        window: Window,
        record: Record<K, V>,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let Record { key, value, timestamp, headers } = record;
        let caching = self.caching;
        let keep_old = self.send_old && !caching;
        let (fold, aggregates) = (&self.fold, &self.aggregates);
        let (change, timestamp) = context.store_mut(self.store).update(&key, window.start, |row| {
            let (old, timestamp) = match row.take() {
                Some(row) => (Some(row.value), row.timestamp.max(timestamp)),
                None => (None, timestamp),
            };
            let before = if keep_old { row_before(&**fold, aggregates, old.as_ref()) } else { None };
            let new = Some(fold.add(&key, value, old)).filter(|new| !aggregates.is_null(new));
            let change = (!caching).then(|| Change::new(before, new.clone()));
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
}

impl<K: Data, V: Data, A: Data, F: Fold<K, V, A>> Node for WindowAggregation<K, V, A, F> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, V>(slot)?.take() else { return Ok(()) };
        if self.keys.is_null(&record.key) {
            context.shared().dropped_records += 1;
            return Ok(());
        }
        self.stream_time = self.stream_time.max(record.timestamp);
        let closed_until = self.stream_time - self.grace;
        let mut matching = std::mem::take(&mut self.matching);
        matching.clear();
        let mut closed = 0;
        self.windows.windows_for(record.timestamp, &mut |window| match window.end > closed_until {
            true => matching.push(window),
            false => closed += 1,
        });
        context.shared().dropped_records += closed;
        if let Some((last, others)) = matching.split_last() {
            for window in others {
                self.update(*window, record.clone(), context)?;
            }
            self.update(*last, record, context)?;
        }
        self.matching = matching;
        Ok(())
    }

    fn flush(&mut self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        while let Some(change) = context.store_mut(self.store).next_change()? {
            context.forward(change_record(change))?;
        }
        Ok(())
    }
}
