//! Joining a stream with a global table: every record looks up the key that it names.

use std::any::Any;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use state_stores::TimestampedKeyValueStore;
use streams_core::processor::{GlobalStore, InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::{Data, Record};
use streams_core::serdes::DefaultSerde;
use streams_core::topology::ProcessorSpec;

use super::KStream;
use super::join::{JoinKind, JoinSide, Joiner, StreamJoin};
use crate::global_table::GlobalKTable;
use crate::options::{SharedSerde, default_serde};

/// Kafka Streams names inner joins so as well.
const NAME: &str = "KSTREAM-LEFTJOIN-";

/// Which row of the global table a record is joined with; none where it names none.
type Select<K, V, G> = Arc<dyn Fn(&K, &V) -> Option<G> + Send + Sync>;

impl<G: Data, T: Data> GlobalKTable<G, T> {
    /// The table, with the key that a stream's record is to look up: what [`KStream::join`] and
    /// [`KStream::left_join`] take. The answer may be an `Option`: a record without such a key is
    /// dropped by `join`, and joined with none by `left_join`.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let zones = builder.global_table::<i64, String>("zones");
    /// let rides = builder.stream::<String, i64>("rides");
    /// rides.left_join(zones.by(|_: &String, fare: &i64| fare % 10), |fare, zone| format!("{fare} {zone:?}")).to("out");
    /// ```
    pub fn by<K, V, S: Into<Option<G>>>(
        &self,
        select: impl Fn(&K, &V) -> S + Send + Sync + 'static,
    ) -> GlobalLookup<K, V, G, T> {
        GlobalLookup { table: self.clone(), select: Arc::new(move |key, value| select(key, value).into()) }
    }
}

/// A global table and the key to look up there: see [`GlobalKTable::by`].
#[must_use = "hand it to `join` or `left_join`"]
pub struct GlobalLookup<K, V, G, T> {
    table: GlobalKTable<G, T>,
    select: Select<K, V, G>,
}

impl<K, V, G, T> fmt::Debug for GlobalLookup<K, V, G, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalLookup").field("table", &self.table).finish_non_exhaustive()
    }
}

impl<K, V, G, T> JoinSide<K, V> for GlobalLookup<K, V, G, T>
where
    K: Data,
    V: Data + DefaultSerde,
    G: Data,
    T: Data,
{
    type Value = T;

    fn join_to<R: Data>(self, join: StreamJoin<'_, K, V, T, R>) -> KStream<K, R> {
        let StreamJoin { stream, joiner, kind } = join;
        if !Rc::ptr_eq(&self.table.plan, &stream.place.plan) {
            stream.place.fault(
                "a stream and a global table of two builders meet: make both with one `StreamsBuilder`",
            );
        }
        let values = stream.value_serde.clone().unwrap_or_else(default_serde::<V>);
        let place = stream.place.then(NAME, move |lowering| {
            let (store, select, joiner) =
                (self.table.store.clone(), Arc::clone(&self.select), Arc::clone(&joiner));
            let values = Arc::clone(&values);
            lowering.processor(ProcessorSpec::from_factory::<K, V, K, R>(
                move |context: &mut InitContext<'_>| {
                    Ok(Box::new(GlobalJoin {
                        rows: context.global_store(&store.name)?,
                        select: Arc::clone(&select),
                        joiner: Arc::clone(&joiner),
                        values: Arc::clone(&values),
                        looked_up: Arc::clone(&store.keys),
                        kind,
                    }))
                },
            ));
        });
        stream.with_values(place)
    }
}

struct GlobalJoin<K, V, G, T, R> {
    rows: GlobalStore<TimestampedKeyValueStore<G, T>>,
    select: Select<K, V, G>,
    joiner: Arc<Joiner<K, V, T, R>>,
    values: SharedSerde<V>,
    /// Tells keys that stand for null.
    looked_up: SharedSerde<G>,
    kind: JoinKind,
}

impl<K: Data, V: Data, G: Data, T: Data, R: Data> Node for GlobalJoin<K, V, G, T, R> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, V>(slot)?.take() else { return Ok(()) };
        let Record { key, value, timestamp, headers } = record;
        let named = (self.select)(&key, &value).filter(|named| !self.looked_up.is_null(named));
        // A left join lets a record pass that names no row (KIP-962); a record without a value joins nothing.
        if self.values.is_null(&value) || (named.is_none() && self.kind == JoinKind::Inner) {
            context.shared().dropped_records += 1;
            return Ok(());
        }
        let row = match named {
            Some(named) => self.rows.with(|rows| rows.get(&named))?,
            None => None,
        };
        match (self.joiner)(&key, Some(&value), row.as_ref().map(|row| &row.value)) {
            Some(value) => context.forward(Record { key, value, timestamp, headers }),
            None => Ok(()),
        }
    }
}
