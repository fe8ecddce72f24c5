//! `suppress`: a table that keeps its changes back for a while.

use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use state_stores::{BufferedContext, ChangeBuffer, Stores, ValueAndTimestamp};
use streams_core::processor::{
    InitContext, Node, NodeContext, ProcessorError, ProcessorErrorKind, StoreHandle, slot_of,
};
use streams_core::record::{Data, Record};
use streams_core::serdes::{DefaultSerde, Serde};
use streams_core::time::Timestamp;
use streams_core::topology::ProcessorSpec;

use super::KTable;
use super::store::TableStore;
use super::view::{Getter, Lookup, TableLogic, View};
use crate::change::Change;
use crate::options::{Bounds, SharedSerde, Suppressed, Until, default_serde};
use crate::plan::{Name, NodeTag, PlanRef};

const NAME: &str = "KTABLE-SUPPRESS-";

impl<K: Data, V: Data> KTable<K, V> {
    /// The table whose changes wait: of each row the latest one until a time limit has passed, or until the row's window
    /// is closed, so that of each window only the final result is sent.
    ///
    /// What waits is looked at only when a record arrives here: event time alone moves it. Changes that wait are kept in
    /// a store with a changelog, and leave in the order of their rows' first changes, with the time and the headers of
    /// their latest.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let rides = builder.stream::<String, i64>("rides");
    /// let windows = TimeWindows::of_size(Duration::from_secs(10)).grace(Duration::from_secs(2));
    /// let counts = rides.group_by_key().windowed_by(windows).count();
    /// let finals = counts.suppress(Suppressed::until_window_closes(BufferConfig::unbounded()));
    /// finals.to_stream().map(|zone, count| (zone.key, count)).to("rides-per-10-s");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let rides = driver.input_topic::<String, i64>("rides");
    /// for at in [1_000, 5_000, 10_500, 9_000] {
    ///     rides.pipe_at(&mut driver, "north".to_owned(), 1, at)?;
    /// }
    /// let counts = driver.output_topic::<String, i64>("rides-per-10-s");
    /// assert!(counts.read_values(&mut driver)?.is_empty(), "the first window is open until 12 s");
    /// rides.pipe_at(&mut driver, "south".to_owned(), 1, 12_000)?;
    /// assert_eq!(counts.read_key_values(&mut driver)?, [("north".to_owned(), 3)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn suppress(&self, suppressed: Suppressed<K>) -> KTable<K, V>
    where
        V: DefaultSerde,
    {
        let values = self.value_serde.clone().unwrap_or_else(default_serde::<V>);
        self.suppress_by(suppressed, values)
    }

    /// As [`suppress`](KTable::suppress), with a value serde of your choice for what waits.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let ratings = builder.table::<String, i64>("ratings");
    /// let hour = Suppressed::until_time_limit(Duration::from_secs(3_600), BufferConfig::max_bytes(1 << 20));
    /// ratings.map_values(|rating| vec![rating]).suppress_with(hour, Json).filter(|_, list| list.len() > 1);
    /// builder.build()?;
    /// # Ok::<(), TopologyError>(())
    /// ```
    pub fn suppress_with(&self, suppressed: Suppressed<K>, value_serde: impl Serde<V>) -> KTable<K, V> {
        self.suppress_by(suppressed, Arc::new(value_serde))
    }

    fn suppress_by(&self, suppressed: Suppressed<K>, values: SharedSerde<V>) -> KTable<K, V> {
        let Suppressed { name, until, bounds, store: options } = suppressed;
        let mut plan = self.place.plan.borrow_mut();
        let operator = plan.operator();
        let (generated, store) = match name {
            // As Kafka Streams takes no numbers where a name is given.
            Some(name) => {
                plan.set_name(operator, name.clone());
                let store = format!("{name}-store");
                (name, store)
            }
            None => (plan.generate(NAME), plan.generate_store(NAME)),
        };
        drop(plan);
        let name = Name::new(operator, generated);
        let store = Name::suffixed(operator, "-store", store);
        let wait = self.wait(until);
        self.logic.enable_old_values(true);
        let Some(keys) = self.key_serde.clone() else {
            self.place.fault("a table without a key serde is suppressed: make it with `to_table_with(..)`");
            return self.clone();
        };
        let parent = Rc::clone(&self.logic);
        let plan = Rc::clone(&self.place.plan);
        let logic = Rc::new(SuppressedTable {
            parent: Rc::clone(&parent),
            plan: Rc::clone(&plan),
            store: store.clone(),
        });
        let (key_serde, value_serde) = (Some(Arc::clone(&keys)), Some(Arc::clone(&values)));
        let place = self.place.append(operator, name, NodeTag::Plain, move |lowering| {
            let store = lowering.resolve(&store);
            if parent.is_versioned() {
                lowering.fault(format!(
                    "the table in front of `{store}` is versioned, and changes of such a table cannot be suppressed: \
                     leave `Materialized::versioned` or the suppression out",
                ));
            }
            let opened = Arc::clone(&store);
            lowering.processor(ProcessorSpec::from_factory::<K, Change<V>, K, Change<V>>(
                move |context: &mut InitContext<'_>| {
                    let buffer = context.store(&opened)?;
                    Ok(Box::new(Suppression::<K, V> { buffer, until, wait, bounds, stream_time: Timestamp::UNKNOWN }))
                },
            ));
            let (keys, values) = (Arc::clone(&keys), Arc::clone(&values));
            lowering.store(options.apply(Stores::change_buffer(store, keys, values)).build());
        });
        KTable { place, logic, key_serde, value_serde }
    }

    /// How long changes wait behind their buffer time.
    fn wait(&self, until: Until<K>) -> Duration {
        match until {
            Until::TimeLimit(wait) => wait,
            Until::WindowCloses(_) => self.place.window_grace().unwrap_or_else(|| {
                self.place.fault(
                    "a table is suppressed until its windows close, but its windows are not known here: windows are \
                     made by `windowed_by(..)` in front of it",
                );
                Duration::ZERO
            }),
        }
    }
}

/// The plan's side of a suppressed table.
struct SuppressedTable<K, V> {
    parent: Rc<dyn TableLogic<K, V>>,
    plan: PlanRef,
    store: Name,
}

impl<K: Data, V: Data> TableLogic<K, V> for SuppressedTable<K, V> {
    fn enable_old_values(&self, force: bool) -> bool {
        self.parent.enable_old_values(force)
    }

    /// The rows as they were before what waits.
    fn view(&self) -> View<K, V> {
        let rows = self.parent.view();
        let buffer = self.store.resolve(self.plan.borrow().names());
        let mut stores = vec![Arc::clone(&buffer)];
        stores.extend(rows.stores.iter().cloned());
        View {
            stores,
            make: Arc::new(move |context| {
                Ok(Box::new(SuppressedRows { rows: (rows.make)(context)?, buffer: context.store(&buffer)? }))
            }),
        }
    }

    fn materialize(&self, store: TableStore<K, V>) -> Result<(), String> {
        Err(format!(
            "a suppressed table has its buffer and no other store: materialize the table in front of it, or what \
             follows, as `{}`",
            store.name
        ))
    }
}

struct SuppressedRows<K, V> {
    rows: Box<dyn Getter<K, V>>,
    buffer: StoreHandle<ChangeBuffer<K, V>>,
}

impl<K: Data, V: Data> Getter<K, V> for SuppressedRows<K, V> {
    fn get(&mut self, key: &K, context: &mut NodeContext<'_>) -> Lookup<V> {
        match context.store_mut(self.buffer).prior_value(key)? {
            // When the row became what it was before is not known.
            Some(prior) => Ok(prior.map(|value| ValueAndTimestamp { value, timestamp: Timestamp::UNKNOWN })),
            None => self.rows.get(key, context),
        }
    }
}

struct Suppression<K, V> {
    buffer: StoreHandle<ChangeBuffer<K, V>>,
    until: Until<K>,
    wait: Duration,
    bounds: Bounds,
    /// The largest event time that this node has seen.
    stream_time: Timestamp,
}

impl<K: Data, V: Data> Node for Suppression<K, V> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, Change<V>>(slot)?.take() else { return Ok(()) };
        let Record { key, value: Change { old, new, .. }, timestamp, headers } = record;
        self.stream_time = self.stream_time.max(timestamp);
        let time = match self.until {
            Until::TimeLimit(_) => timestamp,
            Until::WindowCloses(end_of) => end_of(&key),
        };
        let origin = BufferedContext { timestamp, headers, record: context.record_context().cloned() };
        context.store_mut(self.buffer).put(time, &key, old.as_ref(), new.as_ref(), origin)?;
        let due = self.stream_time - self.wait;
        while context.store_mut(self.buffer).first_time().is_some_and(|first| first <= due) {
            self.emit_first(context)?;
        }
        while self.is_full(context.store_mut(self.buffer)) {
            if !self.bounds.emits_early {
                return Err(self.full(context.store_mut(self.buffer)));
            }
            self.emit_first(context)?;
        }
        Ok(())
    }
}

impl<K: Data, V: Data> Suppression<K, V> {
    /// Sends the oldest change and takes it out; only then, for what looks this table up meanwhile is to find the row as
    /// it was.
    fn emit_first(&self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(first) = context.store_mut(self.buffer).first()? else { return Ok(()) };
        let is_final = matches!(self.until, Until::WindowCloses(_));
        if first.new.is_some() || !is_final {
            let BufferedContext { timestamp, headers, record } = first.context;
            let outer = context.record_context().cloned();
            context.shared().set_record_context(record);
            let value = Change::new(first.old, first.new);
            let sent = context.forward(Record { key: first.key, value, timestamp, headers });
            context.shared().set_record_context(outer);
            sent?;
        }
        context.store_mut(self.buffer).remove_first();
        Ok(())
    }

    fn is_full(&self, buffer: &ChangeBuffer<K, V>) -> bool {
        buffer.len() > self.bounds.max_records || buffer.byte_len() > self.bounds.max_bytes
    }

    fn full(&self, buffer: &ChangeBuffer<K, V>) -> ProcessorError {
        let Bounds { max_records, max_bytes, .. } = self.bounds;
        let (records, bytes) = (buffer.len(), buffer.byte_len());
        ProcessorErrorKind::BufferFull { records, max_records, bytes, max_bytes }.into()
    }
}

#[cfg(test)]
mod tests;
