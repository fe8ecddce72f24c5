//! The node behind aggregations over sessions (Kafka's `KStreamSessionWindowAggregate`).

use std::any::Any;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::sync::Arc;

use state_stores::{Window, Windowed};
use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::{Data, Headers, Record};
use streams_core::time::{Timestamp, duration_millis};
use streams_core::topology::ProcessorSpec;

use super::aggregation::Fold;
use super::emission::Emission;
use super::session_store::{Merge, SessionHandle, SessionTable};
use crate::change::Change;
use crate::options::SharedSerde;
use crate::windows::EmitStrategy;

/// The node that folds the records of one grouped stream into the table's sessions.
pub(super) fn processor<K: Data, V: Data, A: Data>(
    table: &SessionTable<K, A>,
    fold: Arc<impl Fold<K, V, A>>,
) -> ProcessorSpec {
    let (store, send_old, merge) = (table.store.clone(), table.send_old.get(), Arc::clone(&table.merge));
    let (windows, emit) = (table.windows, table.emit);
    ProcessorSpec::from_factory::<K, V, Windowed<K>, Change<A>>(move |context: &mut InitContext<'_>| {
        let handle = store.open(context)?;
        let open = context.shared().store_mut(handle);
        if send_old {
            open.keep_old_values();
        }
        let caching = open.caching();
        let emission = (emit == EmitStrategy::OnWindowClose).then(|| Emission::open(&store.name, 0, context));
        Ok(Box::new(SessionAggregation {
            store: handle,
            keys: Arc::clone(&store.keys),
            aggregates: Arc::clone(&store.values),
            fold: Arc::clone(&fold),
            merge: Arc::clone(&merge),
            gap_ms: duration_millis(windows.inactivity_gap()),
            grace_ms: duration_millis(windows.grace()),
            sends_updates: !caching && emission.is_none(),
            send_old,
            emission,
            stream_time: Timestamp::UNKNOWN,
            value: PhantomData::<fn(V)>,
        }))
    })
}

struct SessionAggregation<K, V, A, F> {
    store: SessionHandle<K, A>,
    keys: SharedSerde<K>,
    aggregates: SharedSerde<A>,
    fold: Arc<F>,
    merge: Merge<K, A>,
    gap_ms: i64,
    grace_ms: i64,
    /// Whether each update leaves by itself.
    sends_updates: bool,
    send_old: bool,
    emission: Option<Emission>,
    /// The largest event time that this node has seen.
    stream_time: Timestamp,
    value: PhantomData<fn(V)>,
}

impl<K: Data, V: Data, A: Data, F: Fold<K, V, A>> SessionAggregation<K, V, A, F> {
    /// The sessions that a record at this time joins, by their end.
    fn joined(
        &self,
        key: &K,
        time: Timestamp,
        context: &mut NodeContext<'_>,
    ) -> Result<Vec<(Window, A)>, ProcessorError> {
        let (earliest_end, latest_start) =
            (time.saturating_add_millis(-self.gap_ms), time.saturating_add_millis(self.gap_ms));
        let found = context.store_mut(self.store).find_sessions(key, earliest_end, latest_start)?;
        Ok(found.map(|entry| entry.map(|(key, value)| (key.window, value))).collect::<Result<_, _>>()?)
    }

    /// Puts one session, of all that it joins and itself, in the place of those.
    fn replace(
        &self,
        joined: Vec<(Window, A)>,
        session: Window,
        record: Record<K, V>,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let Record { key, value, timestamp, .. } = record;
        let mut merged = None;
        // One of this very moment that is all there is keeps its place and is overwritten.
        let gives_way = session != Window::new(timestamp, timestamp);
        for (window, aggregate) in joined {
            if gives_way {
                context.store_mut(self.store).remove(&key, window)?;
                let old = self.send_old.then(|| aggregate.clone());
                self.send(&key, window, old, None, context)?;
            }
            merged = Some((self.merge)(&key, merged, aggregate));
        }
        let new = self.fold.add(&key, value, merged);
        let new = Some(new).filter(|new| !self.aggregates.is_null(new));
        let sent = if self.sends_updates { new.clone() } else { None };
        context.store_mut(self.store).put(&key, session, new)?;
        self.send(&key, session, None, sent, context)
    }

    /// Sends an update on, if updates leave by themselves: at the session's end, without headers, for no single record
    /// made it.
    fn send(
        &self,
        key: &K,
        window: Window,
        old: Option<A>,
        new: Option<A>,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        if !self.sends_updates {
            return Ok(());
        }
        let key = Windowed { key: key.clone(), window };
        context.forward(Record::new(key, Change::new(old, new), window.end))
    }

    /// Lets the results of sessions leave that ended within a span of time.
    fn emit(
        &mut self,
        ends: RangeInclusive<i64>,
        close_time: Timestamp,
        headers: &Headers,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let (from, to) = (Timestamp::from_millis(*ends.start()), Timestamp::from_millis(*ends.end()));
        let closed = context.store_mut(self.store).kept_between(from, to)?.collect::<Result<Vec<_>, _>>()?;
        for (key, value) in closed {
            let (value, timestamp) = (Change::new(None, Some(value)), key.window.end);
            context.forward(Record { key, value, timestamp, headers: headers.clone() })?;
        }
        if let Some(emission) = &mut self.emission {
            emission.done(close_time, context.shared());
        }
        Ok(())
    }
}

/// The span of both.
fn spanning(one: Window, other: Window) -> Window {
    Window { start: one.start.min(other.start), end: one.end.max(other.end) }
}

impl<K: Data, V: Data, A: Data, F: Fold<K, V, A>> Node for SessionAggregation<K, V, A, F> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, V>(slot)?.take() else { return Ok(()) };
        if self.keys.is_null(&record.key) {
            context.shared().dropped_records += 1;
            return Ok(());
        }
        let time = record.timestamp;
        self.stream_time = self.stream_time.max(time);
        // A session that ended before this can grow no more.
        let until_closed = self.grace_ms.saturating_add(self.gap_ms).saturating_neg();
        let close_time = self.stream_time.saturating_add_millis(until_closed);
        let headers = self.emission.as_ref().map(|_| record.headers.clone()).unwrap_or_default();
        if let Some(emission) = &self.emission {
            let kept_from = context.store_mut(self.store).kept_from(time);
            if let Some(ends) = emission.before(close_time, kept_from) {
                self.emit(ends, close_time, &headers, context)?;
            }
        }
        let joined = self.joined(&record.key, time, context)?;
        let session =
            joined.iter().fold(Window::new(time, time), |session, (window, _)| spanning(session, *window));
        if session.end < close_time {
            context.shared().dropped_records += 1;
        } else {
            self.replace(joined, session, record, context)?;
        }
        let wall_clock = context.wall_clock();
        match self.emission.as_mut().and_then(|emission| emission.after(close_time, wall_clock)) {
            Some(ends) => self.emit(ends, close_time, &headers, context),
            None => Ok(()),
        }
    }

    fn flush(&mut self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        while let Some(change) = context.store_mut(self.store).next_change()? {
            let timestamp = change.key.window.end;
            let value = Change::new(change.old, change.new);
            context.forward(Record { key: change.key, value, timestamp, headers: change.headers })?;
        }
        Ok(())
    }
}
