//! Where a topology begins.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use streams_core::processor::{ProcessorWrapper, RecordType, SourceNode, TimestampExtractor};
use streams_core::record::{Data, Record};
use streams_core::serdes::{DefaultSerde, Nullable};
use streams_core::state::StoreBuilder;
use streams_core::topology::{SourceSpec, Topics, Topology, TopologyError};

use crate::kstream::KStream;
use crate::ktable::{KTable, SourceTable, TableStore};
use crate::options::{Consumed, Materialized, SharedSerde};
use crate::plan::{Name, NodeTag, Place, Plan, PlanNode, PlanRef};
use crate::topology_config::TopologyConfig;

pub(crate) const SOURCE: &str = "KSTREAM-SOURCE-";

/// Builds a topology: streams and tables begin here, and [`build`](StreamsBuilder::build) ends it.
///
/// Faults are gathered, not thrown: every operator answers at once, and `build` lists all that is wrong.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let builder = StreamsBuilder::new();
/// let lines = builder.stream::<String, String>("lines");
/// lines.filter(|_, line| !line.is_empty()).to("full-lines");
/// let topology = builder.build()?;
/// assert!(topology.describe().contains("KSTREAM-FILTER-0000000001"));
/// # Ok::<(), TopologyError>(())
/// ```
#[derive(Debug, Default)]
pub struct StreamsBuilder {
    pub(crate) plan: PlanRef,
}

impl StreamsBuilder {
    /// An empty topology.
    pub fn new() -> Self {
        StreamsBuilder { plan: Rc::new(RefCell::new(Plan::default())) }
    }

    /// The stream of a topic's records. Where keys or values may be null, read them as `Option<_>`.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let rides = builder.stream::<Option<String>, i64>("rides");
    /// rides.filter(|zone, _| zone.is_some()).to("rides-with-zone");
    /// ```
    pub fn stream<K: Data + DefaultSerde, V: Data + DefaultSerde>(
        &self,
        topic: impl Into<String>,
    ) -> KStream<K, V> {
        self.stream_with(topic, Consumed::new())
    }

    /// The stream of a topic's records, with serdes, event time or a start of your choice: see [`Consumed`].
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let consumed = Consumed::with(Utf8, BigEndian).timestamp_extractor(TimestampExtractor::WallClock);
    /// builder.stream_with::<String, i64>("rides", consumed).to("same");
    /// ```
    pub fn stream_with<K: Data, V: Data>(
        &self,
        topic: impl Into<String>,
        consumed: Consumed<K, V>,
    ) -> KStream<K, V> {
        self.streams_with([topic], consumed)
    }

    /// The stream of several topics' records.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.streams::<String, i64>(["rides-north", "rides-south"]).to("rides");
    /// ```
    pub fn streams<K: Data + DefaultSerde, V: Data + DefaultSerde>(
        &self,
        topics: impl IntoIterator<Item = impl Into<String>>,
    ) -> KStream<K, V> {
        self.streams_with(topics, Consumed::new())
    }

    /// The stream of several topics' records, read by your choice.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let topics = ["rides-north", "rides-south"];
    /// builder.streams_with::<String, i64>(topics, Consumed::with(Utf8, BigEndian)).to("rides");
    /// ```
    pub fn streams_with<K: Data, V: Data>(
        &self,
        topics: impl IntoIterator<Item = impl Into<String>>,
        consumed: Consumed<K, V>,
    ) -> KStream<K, V> {
        let topics = topics.into_iter().map(|topic| Arc::from(topic.into())).collect();
        self.source(Topics::Named(topics), consumed)
    }

    /// The stream of the records of all topics whose whole name matches a regular expression.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream_matching::<String, i64>("rides-.*").to("rides");
    /// ```
    pub fn stream_matching<K: Data + DefaultSerde, V: Data + DefaultSerde>(
        &self,
        pattern: impl Into<String>,
    ) -> KStream<K, V> {
        self.source(Topics::Matching(pattern.into()), Consumed::new())
    }

    /// The table of a topic's latest value per key: a record without a value deletes, one without a key is dropped.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let drivers = builder.table::<String, String>("drivers");
    /// drivers.to_stream().to("driver-changes");
    /// ```
    pub fn table<K: Data + DefaultSerde, V: Data + DefaultSerde>(
        &self,
        topic: impl Into<String>,
    ) -> KTable<K, V> {
        self.table_with(topic, Consumed::new(), Materialized::new())
    }

    /// The table of a topic, read and kept as you say; it has a store from the start where that is named.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let drivers =
    ///     builder.table_with("drivers", Consumed::with(Utf8, Utf8), Materialized::named("drivers").in_memory());
    /// drivers.to_stream().to("driver-changes");
    /// ```
    pub fn table_with<K: Data, V: Data>(
        &self,
        topic: impl Into<String>,
        consumed: Consumed<K, V>,
        materialized: Materialized<K, V>,
    ) -> KTable<K, V> {
        let topic: Arc<str> = topic.into().into();
        let keys = materialized.key_serde.or_carried(Some(&consumed.key_serde.or_carried(None)));
        let values = materialized.value_serde.or_carried(Some(&consumed.value_serde.or_carried(None)));
        let mut plan = self.plan.borrow_mut();
        let stored = materialized.name.is_some();
        let store_name = materialized.name.unwrap_or_else(|| plan.generate_store(&format!("{topic}-")));
        let operator = plan.operator();
        let source_name = Name::suffixed(operator, "-source", plan.generate(SOURCE));
        let name = Name::new(operator, plan.generate("KTABLE-SOURCE-"));
        let source = plan.add(table_source(source_name, &topic, &consumed));
        drop(plan);
        let store = TableStore {
            name: store_name.into(),
            keys: Arc::clone(&keys),
            values: Arc::clone(&values),
            options: materialized.settings,
        };
        let logic = SourceTable::new(store, stored);
        let table = Rc::clone(&logic);
        let from = Place { plan: Rc::clone(&self.plan), node: source, operator, sources: [source].into() };
        let place = from.append(operator, name, NodeTag::Plain, move |lowering| {
            lowering.processor(table.node::<Option<K>, Option<V>>(Arc::new(|key, value| (key, value))));
            let Some(store) = table.store() else { return };
            store.add_to(lowering);
            if lowering.config.optimization.reuse_ktable_source_topics && store.options.logging {
                lowering.builder.use_source_as_changelog(&store.name, Arc::clone(&topic));
            }
        });
        KTable { place, logic, key_serde: Some(keys), value_serde: Some(values) }
    }

    /// Adds a store for processors of your own, which name it when they are added.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use streams_dsl::prelude::*;
    /// use streams_dsl::stores::KeyValueStore;
    ///
    /// struct Latest(StoreHandle<KeyValueStore<String, i64>>);
    ///
    /// impl Processor<String, i64, (), ()> for Latest {
    ///     fn process(
    ///         &mut self,
    ///         record: Record<String, i64>,
    ///         context: &mut ProcessorContext<'_, '_, (), ()>,
    ///     ) -> Result<(), ProcessorError> {
    ///         Ok(context.store_mut(self.0).put(&record.key, Some(record.value))?)
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.add_store(Stores::key_value::<String, i64>("latest", Arc::new(Utf8), Arc::new(BigEndian)).build());
    /// let rides = builder.stream::<String, i64>("rides");
    /// let _ = rides.process(|context| Ok(Latest(context.store("latest")?)), ["latest"]);
    /// assert!(builder.build()?.describe().contains("stores: [latest]"));
    /// # Ok::<(), TopologyError>(())
    /// ```
    pub fn add_store(&self, store: Arc<dyn StoreBuilder>) -> &Self {
        self.plan.borrow_mut().add_store(store);
        self
    }

    /// Lets `wrapper` wrap every processor of the topology, those of operators included, wherever it is said
    /// (`processor.wrapper.class`, KIP-1112); of several the last one is outermost.
    pub fn wrap_processors(&self, wrapper: Arc<dyn ProcessorWrapper>) -> &Self {
        self.plan.borrow_mut().add_wrapper(wrapper);
        self
    }

    /// The topology.
    ///
    /// # Errors
    /// All its faults at once, each with its remedy.
    pub fn build(&self) -> Result<Topology, TopologyError> {
        self.build_with(TopologyConfig::default())
    }

    /// The topology, built by these settings: a [`TopologyConfig`], or the application's own
    /// [`StreamsConfig`](streams_core::StreamsConfig) (Kafka's `build(Properties)`).
    ///
    /// # Errors
    /// As [`StreamsBuilder::build`].
    pub fn build_with(&self, config: impl Into<TopologyConfig>) -> Result<Topology, TopologyError> {
        self.plan.borrow().lower(&config.into())
    }

    fn source<K: Data, V: Data>(&self, topics: Topics, consumed: Consumed<K, V>) -> KStream<K, V> {
        let key_serde = consumed.key_serde.or_carried(None);
        let value_serde = consumed.value_serde.or_carried(None);
        let mut plan = self.plan.borrow_mut();
        let operator = plan.operator();
        let name = Name::new(operator, plan.generate(SOURCE));
        let tag = NodeTag::Source { topics: format!("{topics:?}"), output: RecordType::of::<K, V>() };
        let (keys, values) = (Arc::clone(&key_serde), Arc::clone(&value_serde));
        let node = PlanNode::new(name, [], move |lowering| {
            let decoder = SourceNode::new(Arc::clone(&keys), Arc::clone(&values), consumed.extractor.clone());
            let mut spec = SourceSpec::new(topics.clone(), decoder);
            spec.reset = consumed.reset;
            lowering.source(spec);
        });
        let node = plan.add(node.tagged(tag));
        drop(plan);
        let place = Place { plan: Rc::clone(&self.plan), node, operator, sources: [node].into() };
        KStream { place, rekeyed: false, key_serde: Some(key_serde), value_serde: Some(value_serde) }
    }
}

/// The source of a table.
fn table_source<K: Data, V: Data>(name: Name, topic: &Arc<str>, consumed: &Consumed<K, V>) -> PlanNode {
    let (topic, consumed) = (Arc::clone(topic), consumed.clone());
    PlanNode::new(name, [], move |lowering| lowering.source(row_source(&topic, &consumed)))
}

/// Reads rows: keys and values may be null whatever their types, for both have a meaning in a table.
pub(crate) fn row_source<K: Data, V: Data>(topic: &Arc<str>, consumed: &Consumed<K, V>) -> SourceSpec {
    let keys: SharedSerde<Option<K>> = Arc::new(Nullable(consumed.key_serde.or_carried(None)));
    let values: SharedSerde<Option<V>> = Arc::new(Nullable(consumed.value_serde.or_carried(None)));
    let decoder = SourceNode::new(keys, values, of_rows(&consumed.extractor));
    let mut spec = SourceSpec::new(Topics::Named(vec![Arc::clone(topic)]), decoder);
    spec.reset = consumed.reset;
    spec
}

/// The extractor of a table's source: rows without key or value have their own time, for there is nothing to show.
fn of_rows<K: Data, V: Data>(
    extractor: &TimestampExtractor<K, V>,
) -> TimestampExtractor<Option<K>, Option<V>> {
    match extractor {
        TimestampExtractor::FailOnInvalid => TimestampExtractor::FailOnInvalid,
        TimestampExtractor::SkipOnInvalid => TimestampExtractor::SkipOnInvalid,
        TimestampExtractor::PartitionTimeOnInvalid => TimestampExtractor::PartitionTimeOnInvalid,
        TimestampExtractor::WallClock => TimestampExtractor::WallClock,
        TimestampExtractor::Custom(extract) => {
            let extract = Arc::clone(extract);
            TimestampExtractor::Custom(Arc::new(move |row: &Record<Option<K>, Option<V>>, partition_time| {
                let (Some(key), Some(value)) = (&row.key, &row.value) else { return row.timestamp };
                let record = Record::new(key.clone(), value.clone(), row.timestamp);
                extract(&record.with_headers(row.headers.clone()), partition_time)
            }))
        }
    }
}
