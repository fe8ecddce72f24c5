//! Joining a stream with a table: every stream record looks its key up.

use std::any::Any;
use std::sync::Arc;

use state_stores::{BufferedContext, BufferedRecord, RecordBuffer, Stores};
use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, StoreHandle, slot_of};
use streams_core::record::{Data, Record};
use streams_core::serdes::DefaultSerde;
use streams_core::topology::ProcessorSpec;

use super::join::{JoinKind, JoinSide, Joiner, StreamJoin};
use super::{KStream, NewRepartition};
use crate::ktable::{Getter, KTable, TableWith};
use crate::options::{Joined, SharedSerde};
use crate::plan::{Name, NodeTag, Place};

impl<K, V, T> JoinSide<K, V> for &KTable<K, T>
where
    K: Data + DefaultSerde,
    V: Data + DefaultSerde,
    T: Data,
{
    type Value = T;

    fn join_to<R: Data>(self, join: StreamJoin<'_, K, V, T, R>) -> KStream<K, R> {
        self.with(Joined::new()).join_to(join)
    }
}

impl<K: Data, V: Data, T: Data> JoinSide<K, V> for TableWith<'_, K, V, T> {
    type Value = T;

    fn join_to<R: Data>(self, join: StreamJoin<'_, K, V, T, R>) -> KStream<K, R> {
        let StreamJoin { stream, joiner, kind } = join;
        let keys = self.joined.key_serde.or_carried(stream.key_serde.as_ref());
        let values = self.joined.value_serde.or_carried(stream.value_serde.as_ref());
        if self.joined.grace.is_some() && !self.table.logic.is_versioned() {
            stream.place.fault(
                "a stream-table join has a grace period, but its table is not versioned: give the table a store \
                 `Materialized::named(..).versioned(history)`",
            );
        }
        let operator = stream.place.plan.borrow_mut().operator();
        let from = match stream.rekeyed {
            true => {
                let base = Name::new(operator, stream.place.name());
                stream.through(NewRepartition::of(operator, &base, &keys, &values)).place
            }
            false => stream.place.clone(),
        };
        let prefix = if kind == JoinKind::Left { "KSTREAM-LEFTJOIN-" } else { "KSTREAM-JOIN-" };
        let name = Name::new(operator, stream.place.plan.borrow_mut().generate(prefix));
        let buffer = self.joined.grace.map(|grace| {
            (Name::suffixed(operator, "-Buffer", format!("{}-Buffer", name.generated())), grace)
        });
        let sources = from.sources_with(&self.table.place);
        let copartitioned = sources.clone();
        let view = self.table.logic.view();
        let of_node = keys.clone();
        let tag = if kind == JoinKind::Left { NodeTag::RelaxedJoin } else { NodeTag::Plain };
        let place = from.append(operator, name, tag, move |lowering| {
            let (keys, values) = (of_node.clone(), values.clone());
            let (make, joiner) = (Arc::clone(&view.make), Arc::clone(&joiner));
            let buffer = buffer.as_ref().map(|(name, grace)| (lowering.resolve(name), *grace));
            let store = buffer.clone().map(|(name, grace)| {
                Stores::record_buffer(name, grace, Arc::clone(&keys), Arc::clone(&values)).build()
            });
            let spec = ProcessorSpec::from_factory::<K, V, K, R>(move |context: &mut InitContext<'_>| {
                let buffer = buffer.as_ref().map(|(name, _)| context.store(name)).transpose()?;
                let rows = make(context)?;
                let (keys, values, joiner) = (keys.clone(), values.clone(), Arc::clone(&joiner));
                Ok(Box::new(TableJoin { rows, keys, values, joiner, kind, buffer }))
            });
            lowering.processor(spec.with_stores(view.stores.iter().cloned()));
            if let Some(store) = store {
                lowering.store(store);
            }
            lowering.copartition(&copartitioned);
        });
        let place = Place { sources, ..place };
        KStream { place, rekeyed: false, key_serde: Some(keys), value_serde: None }
    }
}

struct TableJoin<K, V, T, R> {
    rows: Box<dyn Getter<K, T>>,
    keys: SharedSerde<K>,
    values: SharedSerde<V>,
    joiner: Arc<Joiner<K, V, T, R>>,
    kind: JoinKind,
    /// Where records wait for late changes of the table; none without a grace period.
    buffer: Option<StoreHandle<RecordBuffer<K, V>>>,
}

impl<K: Data, V: Data, T: Data, R: Data> Node for TableJoin<K, V, T, R> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, V>(slot)?.take() else { return Ok(()) };
        let Record { key, value, timestamp, headers } = record;
        let no_key = self.keys.is_null(&key);
        // A left join lets a record without a key pass (KIP-962); a record without a value joins nothing.
        if self.values.is_null(&value) || (no_key && self.kind != JoinKind::Left) {
            context.shared().dropped_records += 1;
            return Ok(());
        }
        let Some(buffer) = self.buffer.filter(|_| !no_key) else {
            return self.join(Record { key, value, timestamp, headers }, context);
        };
        let record = context.record_context().cloned();
        let origin = BufferedContext { timestamp, headers: headers.clone(), record };
        if !context.store_mut(buffer).put(&key, &value, origin)? {
            return self.join(Record { key, value, timestamp, headers }, context);
        }
        loop {
            let due = context.store_mut(buffer).take_due()?;
            if due.is_empty() {
                return Ok(());
            }
            due.into_iter().try_for_each(|record| self.join_buffered(record, context))?;
        }
    }
}

impl<K: Data, V: Data, T: Data, R: Data> TableJoin<K, V, T, R> {
    fn join(&mut self, record: Record<K, V>, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Record { key, value, timestamp, headers } = record;
        let row = match self.keys.is_null(&key) {
            true => None,
            false => self.rows.get_as_of(&key, timestamp, context)?,
        };
        match (self.joiner)(&key, Some(&value), row.as_ref().map(|row| &row.value)) {
            Some(value) => context.forward(Record { key, value, timestamp, headers }),
            None => Ok(()),
        }
    }

    /// Joins a record that has waited, as if it came just now from where it came.
    fn join_buffered(
        &mut self,
        buffered: BufferedRecord<K, V>,
        context: &mut NodeContext<'_>,
    ) -> Result<(), ProcessorError> {
        let BufferedRecord { key, value, context: BufferedContext { timestamp, headers, record } } = buffered;
        let outer = context.record_context().cloned();
        context.shared().set_record_context(record);
        let joined = self.join(Record { key, value, timestamp, headers }, context);
        context.shared().set_record_context(outer);
        joined
    }
}
