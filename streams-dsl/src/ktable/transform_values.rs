//! `transform_values`: a table computed row by row with stores at hand.

use std::any::Any;
use std::sync::Arc;

use state_stores::ValueAndTimestamp;
use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, StoreHandle, slot_of};
use streams_core::record::{Data, Headers, Record, RecordContext};
use streams_core::state::StateStore;
use streams_core::time::Timestamp;

use super::KTable;
use super::derived::Derived;
use super::output::TableOutput;
use super::view::{Getter, Lookup, View};
use crate::change::Change;

/// Computes the rows of a table (Kafka's `ValueTransformerWithKey`): see [`KTable::transform_values`].
pub trait ValueTransformer<K, V, V2>: Send {
    /// Computes a row; it is called for rows that are deleted as well. None deletes the row.
    ///
    /// # Errors
    /// Whatever stands in the way; the task's processing handler decides what follows.
    fn transform(
        &mut self,
        key: &K,
        value: Option<V>,
        context: &mut TransformContext<'_, '_>,
    ) -> Result<Option<V2>, ProcessorError>;

    /// Releases what the transformer holds outside the task.
    fn close(&mut self) {}
}

/// What a [`ValueTransformer`] may do: everything but forward.
#[derive(Debug)]
pub struct TransformContext<'c, 'n>(&'c mut NodeContext<'n>);

impl TransformContext<'_, '_> {
    /// The store behind a handle.
    pub fn store_mut<S: StateStore>(&mut self, handle: StoreHandle<S>) -> &mut S {
        self.0.store_mut(handle)
    }

    /// Where the input record came from; none where a row is looked up by another node.
    pub fn record_context(&self) -> Option<&RecordContext> {
        self.0.record_context()
    }

    /// The event time of the record that is being processed.
    pub fn timestamp(&self) -> Timestamp {
        self.0.timestamp()
    }

    /// The headers of the record that is being processed.
    pub fn headers(&self) -> &Headers {
        self.0.headers()
    }

    /// The largest event time that the task has seen.
    pub fn stream_time(&self) -> Timestamp {
        self.0.stream_time()
    }

    /// The wall clock as of this step.
    pub fn wall_clock(&self) -> Timestamp {
        self.0.wall_clock()
    }
}

type Transformer<K, V, V2> = Box<dyn ValueTransformer<K, V, V2>>;

impl<K: Data, V: Data> KTable<K, V> {
    /// The table whose rows a [`ValueTransformer`] of your own computes, which may keep state in the stores named here.
    /// `make` makes one for each task, and asks for its stores.
    ///
    /// Where the table is not [`materialized`](KTable::materialized) and something behind it needs old values or looks
    /// rows up, the transformer is called for these as well, so it should then answer equal rows alike.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use streams_dsl::prelude::*;
    /// use streams_dsl::stores::KeyValueStore;
    /// use streams_dsl::{TransformContext, ValueTransformer};
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// struct Numbered(StoreHandle<KeyValueStore<String, i64>>);
    ///
    /// impl ValueTransformer<String, String, String> for Numbered {
    ///     fn transform(
    ///         &mut self,
    ///         key: &String,
    ///         value: Option<String>,
    ///         context: &mut TransformContext<'_, '_>,
    ///     ) -> Result<Option<String>, ProcessorError> {
    ///         let count = context.store_mut(self.0).get(key)?.unwrap_or(0) + 1;
    ///         context.store_mut(self.0).put(key, Some(count))?;
    ///         Ok(value.map(|value| format!("{value} #{count}")))
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.add_store(Stores::key_value::<String, i64>("moves", Arc::new(Utf8), Arc::new(BigEndian)).build());
    /// let homes = builder.table::<String, String>("homes");
    /// let numbered = homes.transform_values(|context| Ok(Numbered(context.store("moves")?)), ["moves"]);
    /// numbered.materialized(Materialized::named("numbered")).to_stream().to("numbered-homes");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let homes = driver.input_topic::<String, String>("homes");
    /// homes.pipe(&mut driver, "ada".to_owned(), "Bonn".to_owned())?;
    /// homes.pipe(&mut driver, "ada".to_owned(), "Kiel".to_owned())?;
    /// let numbered = driver.output_topic::<String, String>("numbered-homes");
    /// assert_eq!(numbered.read_values(&mut driver)?, ["Bonn #1", "Kiel #2"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transform_values<T, V2>(
        &self,
        make: impl Fn(&mut InitContext<'_>) -> Result<T, ProcessorError> + Send + Sync + 'static,
        stores: impl IntoIterator<Item = &'static str>,
    ) -> KTable<K, V2>
    where
        T: ValueTransformer<K, V, V2> + 'static,
        V2: Data,
    {
        let make = Arc::new(move |context: &mut InitContext<'_>| {
            Ok::<_, ProcessorError>(Box::new(make(context)?) as Transformer<K, V, V2>)
        });
        let stores: Box<[Arc<str>]> = stores.into_iter().map(Arc::from).collect();
        let (make_rows, of_rows) = (Arc::clone(&make), stores.clone());
        let rows = move |rows: View<K, V>| {
            let make_transformer = Arc::clone(&make_rows);
            View {
                stores: rows.stores.iter().chain(&of_rows).cloned().collect(),
                make: Arc::new(move |context| {
                    let (rows, transformer) = ((rows.make)(context)?, make_transformer(context)?);
                    Ok(Box::new(TransformedRows { rows, transformer }))
                }),
            }
        };
        Derived::behind(self, false, rows).add(
            self,
            "KTABLE-TRANSFORMVALUES-",
            stores,
            move |output, context| Ok(Box::new(TransformNode { output, transformer: make(context)? })),
        )
    }
}

struct TransformNode<K, V, V2> {
    output: TableOutput<K, V2>,
    transformer: Transformer<K, V, V2>,
}

impl<K: Data, V: Data, V2: Data> Node for TransformNode<K, V, V2> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, Change<V>>(slot)?.take() else { return Ok(()) };
        let Record { key, value: Change { old, new, is_latest }, timestamp, headers } = record;
        let new = self.transformer.transform(&key, new, &mut TransformContext(context))?;
        let old = match self.output.sends_old() {
            true if self.output.has_store() => self.output.old(&key, context, || None)?,
            true => self.transformer.transform(&key, old, &mut TransformContext(context))?,
            false => None,
        };
        self.output.emit(Record { key, value: Change { old, new, is_latest }, timestamp, headers }, context)
    }

    fn flush(&mut self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        self.output.flush(context)
    }

    fn close(&mut self) {
        self.transformer.close();
    }
}

struct TransformedRows<K, V, V2> {
    rows: Box<dyn Getter<K, V>>,
    transformer: Transformer<K, V, V2>,
}

impl<K, V, V2> TransformedRows<K, V, V2> {
    fn transform(
        &mut self,
        key: &K,
        row: Option<ValueAndTimestamp<V>>,
        context: &mut NodeContext<'_>,
    ) -> Lookup<V2> {
        let (value, timestamp) = match row {
            Some(row) => (Some(row.value), row.timestamp),
            None => (None, Timestamp::UNKNOWN),
        };
        // Where the row came from is not known any more.
        let outer = context.record_context().cloned();
        context.shared().set_record_context(None);
        let entered = context.shared().enter_record(timestamp, &Headers::new());
        let value = self.transformer.transform(key, value, &mut TransformContext(context));
        context.shared().leave_record(entered);
        context.shared().set_record_context(outer);
        Ok(value?.map(|value| ValueAndTimestamp { value, timestamp }))
    }
}

impl<K, V, V2> Getter<K, V2> for TransformedRows<K, V, V2> {
    fn get(&mut self, key: &K, context: &mut NodeContext<'_>) -> Lookup<V2> {
        let row = self.rows.get(key, context)?;
        self.transform(key, row, context)
    }

    fn get_as_of(&mut self, key: &K, time: Timestamp, context: &mut NodeContext<'_>) -> Lookup<V2> {
        let row = self.rows.get_as_of(key, time, context)?;
        self.transform(key, row, context)
    }
}
