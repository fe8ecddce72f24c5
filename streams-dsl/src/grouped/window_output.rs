//! How results of windows leave: with each record, at the flush of a cache, or when a window is closed.

use std::ops::RangeInclusive;
use std::sync::Arc;

use state_stores::{ValueAndTimestamp, Window, Windowed};
use streams_core::processor::{InitContext, NodeContext, ProcessorError};
use streams_core::record::{Data, Headers, Record};
use streams_core::time::{Timestamp, duration_millis};

use super::emission::Emission;
use super::window_store::{Spans, WindowHandle, WindowedTable};
use crate::change::Change;
use crate::ktable::change_record;
use crate::options::SharedSerde;
use crate::windows::EmitStrategy;

/// The store of an aggregation over windows that are known by their start, and the way of its results.
pub(super) struct WindowOutput<K, A> {
    pub(super) store: WindowHandle<K, A>,
    pub(super) keys: SharedSerde<K>,
    pub(super) aggregates: SharedSerde<A>,
    send_old: bool,
    caching: bool,
    grace_ms: i64,
    emission: Option<Emission>,
    /// The largest event time that this node has seen.
    stream_time: Timestamp,
}

impl<K: Data, A: Data> WindowOutput<K, A> {
    pub(super) fn open(
        table: &WindowOutputSpec<K, A>,
        context: &mut InitContext<'_>,
    ) -> Result<Self, ProcessorError> {
        let store = &table.store;
        let handle = store.open(context)?;
        let open = context.shared().store_mut(handle);
        if table.send_old {
            open.keep_old_values();
        }
        let caching = open.caching();
        let emission = (table.emit == EmitStrategy::OnWindowClose).then(|| {
            let size_ms = duration_millis(store.size);
            let to_last_ms = if table.ends_within { size_ms } else { size_ms.saturating_sub(1) };
            Emission::open(&store.name, to_last_ms, context)
        });
        Ok(WindowOutput {
            store: handle,
            keys: Arc::clone(&store.keys),
            aggregates: Arc::clone(&store.values),
            send_old: table.send_old,
            caching,
            grace_ms: table.grace_ms,
            emission,
            stream_time: Timestamp::UNKNOWN,
        })
    }

    /// Moves stream time; answers the close time, which is the grace period behind it.
    pub(super) fn observe(&mut self, time: Timestamp) -> Timestamp {
        self.stream_time = self.stream_time.max(time);
        self.stream_time.saturating_add_millis(self.grace_ms.saturating_neg())
    }

    /// Whether each update leaves by itself.
    pub(super) fn sends_updates(&self) -> bool {
        !self.caching && self.emission.is_none()
    }

    /// Whether updates that leave by themselves carry the value before them.
    pub(super) fn sends_old(&self) -> bool {
        self.send_old && self.sends_updates()
    }

    /// Sets a window's aggregate, deletes it where it stands for null, and sends the update on.
    pub(super) fn put(
        &self,
        window: Window,
        old: Option<A>,
        new: A,
        time: Timestamp,
        record: &Record<K, impl Data>,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let new = Some(new).filter(|new| !self.aggregates.is_null(new));
        let sent = self.sends_updates().then(|| Change::new(old, new.clone()));
        let row = new.map(|value| ValueAndTimestamp { value, timestamp: time });
        context.store_mut(self.store).put(&record.key, row, window.start)?;
        let Some(value) = sent else { return Ok(()) };
        let key = Windowed { key: record.key.clone(), window };
        context.forward(Record { key, value, timestamp: time, headers: record.headers.clone() })
    }

    /// Lets results leave that the store may drop once it has seen a window that begins at `newest`.
    pub(super) fn before_update(
        &mut self,
        close_time: Timestamp,
        newest: Timestamp,
        headers: &Headers,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let Some(emission) = &self.emission else { return Ok(()) };
        match emission.before(close_time, context.store_mut(self.store).kept_from(newest)) {
            Some(starts) => self.emit(starts, close_time, headers, context),
            None => Ok(()),
        }
    }

    /// Lets results leave whose windows are closed, if it is time to look.
    pub(super) fn after_update(
        &mut self,
        close_time: Timestamp,
        headers: &Headers,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let wall_clock = context.wall_clock();
        let starts = self.emission.as_mut().and_then(|emission| emission.after(close_time, wall_clock));
        starts.map_or(Ok(()), |starts| self.emit(starts, close_time, headers, context))
    }

    /// Whether results wait until their windows are closed.
    pub(super) fn emits_on_close(&self) -> bool {
        self.emission.is_some()
    }

    fn emit(
        &mut self,
        starts: RangeInclusive<i64>,
        close_time: Timestamp,
        headers: &Headers,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let (from, to) = (Timestamp::from_millis(*starts.start()), Timestamp::from_millis(*starts.end()));
        let closed = context.store_mut(self.store).kept_between(from, to)?.collect::<Result<Vec<_>, _>>()?;
        for (key, ValueAndTimestamp { value, timestamp }) in closed {
            let value = Change::new(None, Some(value));
            context.forward(Record { key, value, timestamp, headers: headers.clone() })?;
        }
        if let Some(emission) = &mut self.emission {
            emission.done(close_time, context.shared());
        }
        Ok(())
    }

    /// Sends what the cache holds back.
    pub(super) fn flush(&self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        while let Some(change) = context.store_mut(self.store).next_change()? {
            context.forward(change_record(change))?;
        }
        Ok(())
    }
}

/// What each task's [`WindowOutput`] is made of.
pub(super) struct WindowOutputSpec<K, A> {
    store: super::window_store::WindowTableStore<K, A>,
    send_old: bool,
    emit: EmitStrategy,
    grace_ms: i64,
    /// Whether a window's end belongs to it.
    ends_within: bool,
}

impl<K: Data, A: Data> WindowOutputSpec<K, A> {
    pub(super) fn of(table: &WindowedTable<K, A>) -> Self {
        WindowOutputSpec {
            store: table.store.clone(),
            send_old: table.send_old.get(),
            emit: table.emit,
            grace_ms: duration_millis(table.spans.grace()),
            ends_within: matches!(table.spans, Spans::Sliding(_)),
        }
    }
}
