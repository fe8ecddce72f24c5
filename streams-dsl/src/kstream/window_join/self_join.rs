//! The node of a stream that is joined with itself in one store (Kafka's `KStreamKStreamSelfJoin`, KIP-862).

use std::any::Any;
use std::sync::Arc;

use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, StoreHandle, slot_of};
use streams_core::record::{Data, Record};
use streams_core::time::Timestamp;
use streams_core::topology::ProcessorSpec;

use super::super::join::Joiner;
use super::parts::{Parts, SideStore};
use crate::options::SharedSerde;
use crate::plan::{Lowering, NodeId};
use crate::windows::JoinWindows;

/// Adds the node behind the one window that there is.
pub(super) fn lower<K: Data, L: Data, R: Data, O: Data>(
    parts: &Parts<K, L, R, O>,
    window: NodeId,
    lowering: &mut Lowering<'_>,
) {
    let name = lowering.resolve(&parts.names.this_store);
    let stores = [Arc::clone(&name)];
    let (keys, values, joiner) =
        (Arc::clone(&parts.keys), Arc::clone(&parts.left), Arc::clone(&parts.joiner));
    let (windows, retention_ms) = (parts.windows, parts.retention_ms());
    let spec = ProcessorSpec::from_factory::<K, L, K, O>(move |context: &mut InitContext<'_>| {
        Ok(Box::new(SelfJoinNode::<K, L, R, O> {
            store: context.store(&name)?,
            keys: Arc::clone(&keys),
            values: Arc::clone(&values),
            joiner: Arc::clone(&joiner),
            windows,
            retention_ms,
            stream_time: Timestamp::UNKNOWN,
        }))
    });
    lowering.processor_behind(window, spec.with_stores(stores));
}

struct SelfJoinNode<K, L, R, O> {
    store: StoreHandle<SideStore<K, L>>,
    keys: SharedSerde<K>,
    values: SharedSerde<L>,
    joiner: Arc<Joiner<K, L, R, O>>,
    windows: JoinWindows,
    retention_ms: i64,
    stream_time: Timestamp,
}

impl<K: Data, L: Data, R: Data, O: Data> Node for SelfJoinNode<K, L, R, O> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, L>(slot)?.take() else { return Ok(()) };
        if self.keys.is_null(&record.key) || self.values.is_null(&record.value) {
            context.shared().dropped_records += 1;
            return Ok(());
        }
        let time = record.timestamp;
        self.stream_time = self.stream_time.max(time);
        // A record that is too old for the store does not meet itself.
        let mut meets_itself =
            time.as_millis() > self.stream_time.as_millis().saturating_sub(self.retention_ms) + 1;
        let (before_ms, after_ms) = (self.windows.before_ms(), self.windows.after_ms());
        for (other_time, other) in self.fetch(&record, before_ms, after_ms, context)? {
            self.send(&record, (&record.value, &other), time.max(other_time), context)?;
        }
        // The other way round; the record itself comes where its time would be.
        for (other_time, other) in self.fetch(&record, after_ms, before_ms, context)? {
            if other_time > time && std::mem::take(&mut meets_itself) {
                self.send(&record, (&record.value, &record.value), time, context)?;
            }
            self.send(&record, (&other, &record.value), time.max(other_time), context)?;
        }
        if meets_itself {
            self.send(&record, (&record.value, &record.value), time, context)?;
        }
        Ok(())
    }
}

impl<K: Data, L: Data, R: Data, O: Data> SelfJoinNode<K, L, R, O> {
    fn fetch(
        &self,
        record: &Record<K, L>,
        before_ms: i64,
        after_ms: i64,
        context: &mut NodeContext<'_>,
    ) -> Result<Vec<(Timestamp, L)>, ProcessorError> {
        let time = record.timestamp.as_millis();
        let from = Timestamp::from_millis(time.saturating_sub(before_ms).max(0));
        let to = Timestamp::from_millis(time.saturating_add(after_ms).max(0));
        let mut found = Vec::new();
        let store = context.store_mut(self.store);
        store.visit_between(&record.key, from, to, |time, value| found.push((time, value)))?;
        Ok(found)
    }

    fn send(
        &self,
        record: &Record<K, L>,
        (left, right): (&L, &L),
        timestamp: Timestamp,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        // Both sides are one stream, so `L` and `R` are one type.
        let right = (right as &dyn Any).downcast_ref::<R>();
        match (self.joiner)(&record.key, Some(left), right) {
            Some(value) => {
                let (key, headers) = (record.key.clone(), record.headers.clone());
                context.forward(Record { key, value, timestamp, headers })
            }
            None => Ok(()),
        }
    }
}
