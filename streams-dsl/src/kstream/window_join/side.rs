//! The node that looks for a side's records in the other side's store (Kafka's `KStreamKStreamJoin`).

use std::any::Any;
use std::sync::Arc;

use state_stores::{JoinSide, WaitingTime, WaitingValue};
use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, StoreHandle, slot_of};
use streams_core::record::{Data, Headers, Record};
use streams_core::time::Timestamp;
use streams_core::topology::ProcessorSpec;

use super::super::join::{JoinKind, Joiner};
use super::names::JoinNames;
use super::parts::{Buffer, Parts, SideStore};
use crate::options::SharedSerde;
use crate::plan::{Lowering, Name};
use crate::windows::JoinWindows;

/// One side of a join: what is its own, and what is the other's.
pub(super) trait Side<L, R>: Send + 'static {
    /// The values of this side's records.
    type This: Data;
    /// The values of the other side's records.
    type Other: Data;
    /// The other side.
    const OTHER: JoinSide;

    /// Both values in the order of the joiner.
    fn pair<'v>(
        this: Option<&'v Self::This>,
        other: Option<&'v Self::Other>,
    ) -> (Option<&'v L>, Option<&'v R>);

    /// A value that is to wait for a partner.
    fn waiting(value: Self::This) -> WaitingValue<L, R>;

    /// How much earlier and later the other side's records may be, in ms.
    fn reach(windows: &JoinWindows) -> (i64, i64);

    /// How long this side's records wait, in ms.
    fn waiting_ms(time: WaitingTime) -> i64;

    /// Whether this side's records are sent on without a partner.
    fn keeps_unmatched(kind: JoinKind) -> bool;

    /// The names of both sides' stores, this side's first.
    fn stores(names: &JoinNames) -> (&Name, &Name);

    /// The serdes of both sides' values, this side's first.
    fn serde<K, O>(parts: &Parts<K, L, R, O>) -> &SharedSerde<Self::This>;
}

/// The side that joins.
pub(super) struct OnLeft;

/// The side that is joined with.
pub(super) struct OnRight;

impl<L: Data, R: Data> Side<L, R> for OnLeft {
    type This = L;
    type Other = R;
    const OTHER: JoinSide = JoinSide::Right;

    fn pair<'v>(this: Option<&'v L>, other: Option<&'v R>) -> (Option<&'v L>, Option<&'v R>) {
        (this, other)
    }

    fn waiting(value: L) -> WaitingValue<L, R> {
        WaitingValue::Left(value)
    }

    fn reach(windows: &JoinWindows) -> (i64, i64) {
        (windows.before_ms(), windows.after_ms())
    }

    fn waiting_ms(time: WaitingTime) -> i64 {
        time.left_ms
    }

    fn keeps_unmatched(kind: JoinKind) -> bool {
        kind != JoinKind::Inner
    }

    fn stores(names: &JoinNames) -> (&Name, &Name) {
        (&names.this_store, &names.other_store)
    }

    fn serde<K, O>(parts: &Parts<K, L, R, O>) -> &SharedSerde<L> {
        &parts.left
    }
}

impl<L: Data, R: Data> Side<L, R> for OnRight {
    type This = R;
    type Other = L;
    const OTHER: JoinSide = JoinSide::Left;

    fn pair<'v>(this: Option<&'v R>, other: Option<&'v L>) -> (Option<&'v L>, Option<&'v R>) {
        (other, this)
    }

    fn waiting(value: R) -> WaitingValue<L, R> {
        WaitingValue::Right(value)
    }

    fn reach(windows: &JoinWindows) -> (i64, i64) {
        (windows.after_ms(), windows.before_ms())
    }

    fn waiting_ms(time: WaitingTime) -> i64 {
        time.right_ms
    }

    fn keeps_unmatched(kind: JoinKind) -> bool {
        kind == JoinKind::Outer
    }

    fn stores(names: &JoinNames) -> (&Name, &Name) {
        (&names.other_store, &names.this_store)
    }

    fn serde<K, O>(parts: &Parts<K, L, R, O>) -> &SharedSerde<R> {
        &parts.right
    }
}

/// Adds the node.
pub(super) fn lower<S: Side<L, R>, K: Data, L: Data, R: Data, O: Data>(
    parts: &Parts<K, L, R, O>,
    lowering: &mut Lowering<'_>,
) {
    let other = lowering.resolve(S::stores(&parts.names).1);
    let buffer = parts.has_buffer().then(|| lowering.resolve(&parts.names.buffer));
    let stores: Vec<Arc<str>> = std::iter::once(&other).chain(&buffer).cloned().collect();
    let (keys, values) = (Arc::clone(&parts.keys), Arc::clone(S::serde(parts)));
    let joiner = Arc::clone(&parts.joiner);
    let (reach_ms, waiting_time) = (S::reach(&parts.windows), parts.waiting_time());
    let keeps_unmatched = S::keeps_unmatched(parts.kind);
    let spec = ProcessorSpec::from_factory::<K, S::This, K, O>(move |context: &mut InitContext<'_>| {
        Ok(Box::new(JoinNode::<S, K, L, R, O> {
            other: context.store(&other)?,
            buffer: buffer.as_ref().map(|buffer| context.store(buffer)).transpose()?,
            keys: Arc::clone(&keys),
            values: Arc::clone(&values),
            joiner: Arc::clone(&joiner),
            reach_ms,
            waiting_time,
            keeps_unmatched,
            matches: Vec::new(),
        }))
    });
    lowering.processor(spec.with_stores(stores));
}

struct JoinNode<S: Side<L, R>, K, L, R, O> {
    other: StoreHandle<SideStore<K, S::Other>>,
    buffer: Option<StoreHandle<Buffer<K, L, R>>>,
    keys: SharedSerde<K>,
    values: SharedSerde<S::This>,
    joiner: Arc<Joiner<K, L, R, O>>,
    reach_ms: (i64, i64),
    waiting_time: WaitingTime,
    keeps_unmatched: bool,
    /// The partners of the current record; kept for its room.
    matches: Vec<(Timestamp, S::Other)>,
}

impl<S: Side<L, R>, K: Data, L: Data, R: Data, O: Data> Node for JoinNode<S, K, L, R, O> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, S::This>(slot)?.take() else { return Ok(()) };
        // A record that is dropped moves the clock all the same.
        let is_latest = match self.buffer {
            Some(buffer) => context.store_mut(buffer).observe(record.timestamp),
            None => false,
        };
        let (no_key, no_value) = (self.keys.is_null(&record.key), self.values.is_null(&record.value));
        if no_key && !no_value && self.keeps_unmatched {
            return self.send_unmatched(record, context);
        }
        if no_key || no_value {
            context.shared().dropped_records += 1;
            return Ok(());
        }
        if is_latest {
            self.send_expired(&record.headers, context)?;
        }
        let (before_ms, after_ms) = self.reach_ms;
        let time = record.timestamp.as_millis();
        let from = Timestamp::from_millis(time.saturating_sub(before_ms).max(0));
        let to = Timestamp::from_millis(time.saturating_add(after_ms).max(0));
        let mut matches = std::mem::take(&mut self.matches);
        let other = context.store_mut(self.other);
        other.visit_between(&record.key, from, to, |time, value| matches.push((time, value)))?;
        let sent = match matches.is_empty() {
            true if self.keeps_unmatched => self.keep(record, to, context),
            true => Ok(()),
            false => self.send_matched(record, &mut matches, context),
        };
        matches.clear();
        self.matches = matches;
        sent
    }
}

impl<S: Side<L, R>, K: Data, L: Data, R: Data, O: Data> JoinNode<S, K, L, R, O> {
    /// Joins a record with its partners, which no longer wait.
    fn send_matched(
        &self,
        record: Record<K, S::This>,
        matches: &mut Vec<(Timestamp, S::Other)>,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let last = matches.pop();
        for (time, other) in matches.drain(..) {
            let Some(value) = self.meet(&record, (time, &other), context)? else { continue };
            let (key, timestamp) = (record.key.clone(), record.timestamp.max(time));
            context.forward(Record { key, value, timestamp, headers: record.headers.clone() })?;
        }
        let Some((time, other)) = last else { return Ok(()) };
        let Some(value) = self.meet(&record, (time, &other), context)? else { return Ok(()) };
        let timestamp = record.timestamp.max(time);
        context.forward(Record { key: record.key, value, timestamp, headers: record.headers })
    }

    /// Joins a record with one partner, which no longer waits.
    fn meet(
        &self,
        record: &Record<K, S::This>,
        (time, other): (Timestamp, &S::Other),
        context: &mut NodeContext<'_>,
    ) -> Result<Option<O>, ProcessorError> {
        if let Some(buffer) = self.buffer {
            context.store_mut(buffer).met(&record.key, time, S::OTHER)?;
        }
        let (left, right) = S::pair(Some(&record.value), Some(other));
        Ok((self.joiner)(&record.key, left, right))
    }

    /// Lets a record wait, unless its window has passed already.
    fn keep(
        &self,
        record: Record<K, S::This>,
        window_end: Timestamp,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        match self.buffer.map(|buffer| context.store_mut(buffer)) {
            Some(buffer) if window_end >= buffer.stream_time() => {
                Ok(buffer.wait(&record.key, record.timestamp, S::waiting(record.value))?)
            }
            _ => self.send_unmatched(record, context),
        }
    }

    fn send_unmatched(
        &self,
        record: Record<K, S::This>,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let (left, right) = S::pair(Some(&record.value), None);
        match (self.joiner)(&record.key, left, right) {
            Some(value) => context.forward(record.with_value(value)),
            None => Ok(()),
        }
    }

    /// Sends the records on that have waited long enough, of both sides, with the headers of the one that came now.
    fn send_expired(&self, headers: &Headers, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(buffer) = self.buffer else { return Ok(()) };
        let (now, pause) = (context.wall_clock(), context.shared().emit_interval);
        if !context.store_mut(buffer).is_due(S::waiting_ms(self.waiting_time), now, pause)? {
            return Ok(());
        }
        let (mut expired, mut more) = (Vec::new(), true);
        while more {
            more = context.store_mut(buffer).take(self.waiting_time, &mut expired)?;
            for (waiting, values) in expired.drain(..) {
                for value in values {
                    let (left, right) = match &value {
                        WaitingValue::Left(left) => (Some(left), None),
                        WaitingValue::Right(right) => (None, Some(right)),
                    };
                    if let Some(value) = (self.joiner)(&waiting.key, left, right) {
                        let (key, timestamp) = (waiting.key.clone(), waiting.timestamp);
                        context.forward(Record { key, value, timestamp, headers: headers.clone() })?;
                    }
                }
            }
        }
        Ok(())
    }
}
