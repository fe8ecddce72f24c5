//! Global tables and global stores: full copies with every instance.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use streams_core::processor::{InitContext, Processor, ProcessorError, SourceNode};
use streams_core::record::Data;
use streams_core::serdes::DefaultSerde;
use streams_core::state::StoreBuilder;
use streams_core::topology::{ProcessorSpec, SourceSpec, Topics};

use crate::ktable::{SourceTable, TableStore};
use crate::options::{Consumed, Materialized};
use crate::plan::{Name, PlanNode, PlanRef};
use crate::streams_builder::{SOURCE, StreamsBuilder, row_source};

/// A table of which every instance has all rows, of all partitions: see [`StreamsBuilder::global_table`].
pub struct GlobalKTable<K, V> {
    pub(crate) plan: PlanRef,
    pub(crate) store: TableStore<K, V>,
}

impl<K, V> GlobalKTable<K, V> {
    /// The name of its store, for queries and for processors that read it.
    pub fn store_name(&self) -> &str {
        &self.store.name
    }
}

impl<K, V> Clone for GlobalKTable<K, V> {
    fn clone(&self) -> Self {
        GlobalKTable { plan: Rc::clone(&self.plan), store: self.store.clone() }
    }
}

impl<K, V> fmt::Debug for GlobalKTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalKTable").field("store", &self.store.name).finish_non_exhaustive()
    }
}

impl StreamsBuilder {
    /// The table of a topic of which every instance keeps all rows: streams join it by any key, without repartition. It
    /// is read whole before the first record is processed, and followed from then on.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let drivers = builder.global_table::<String, String>("drivers");
    /// // The values are `DRIVER FARE`.
    /// let rides = builder.stream::<i64, String>("rides");
    /// let driver_of = |_: &i64, ride: &String| ride.split(' ').next().map(str::to_owned);
    /// rides.join(drivers.by(driver_of), |ride, name| format!("{ride}: {name}")).to("rides-with-names");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let drivers = driver.input_topic::<String, String>("drivers");
    /// drivers.pipe(&mut driver, "d1".to_owned(), "Ada".to_owned())?;
    /// driver.input_topic::<i64, String>("rides").pipe(&mut driver, 1, "d1 12".to_owned())?;
    /// let named = driver.output_topic::<i64, String>("rides-with-names");
    /// assert_eq!(named.read_values(&mut driver)?, ["d1 12: Ada"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn global_table<K: Data + DefaultSerde, V: Data + DefaultSerde>(
        &self,
        topic: impl Into<String>,
    ) -> GlobalKTable<K, V> {
        self.global_table_with(topic, Consumed::new(), Materialized::new())
    }

    /// As [`global_table`](StreamsBuilder::global_table), read and kept as you say. It has no changelog, for its topic is
    /// one, and holds no changes back.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let kept = Materialized::named("drivers").in_memory();
    /// let drivers = builder.global_table_with::<String, String>("drivers", Consumed::new(), kept);
    /// assert_eq!(drivers.store_name(), "drivers");
    /// ```
    pub fn global_table_with<K: Data, V: Data>(
        &self,
        topic: impl Into<String>,
        consumed: Consumed<K, V>,
        materialized: Materialized<K, V>,
    ) -> GlobalKTable<K, V> {
        let topic: Arc<str> = topic.into().into();
        let keys = materialized.key_serde.or_carried(Some(&consumed.key_serde.or_carried(None)));
        let values = materialized.value_serde.or_carried(Some(&consumed.value_serde.or_carried(None)));
        let mut plan = self.plan.borrow_mut();
        let name = materialized.name.unwrap_or_else(|| plan.generate_store(&format!("{topic}-")));
        let mut options = materialized.settings;
        if options.history.is_some() {
            plan.fault(format!("global table `{name}` is to be versioned, which global tables cannot be"));
        }
        (options.logging, options.caching, options.history) = (false, false, None);
        let store = TableStore { name: name.into(), keys, values, options };
        let logic = SourceTable::new(store.clone(), true);
        let operator = plan.operator();
        let source_name = Name::suffixed(operator, "-source", plan.generate(SOURCE));
        let name = Name::new(operator, plan.generate("KTABLE-SOURCE-"));
        let of_node = store.clone();
        plan.add(PlanNode::new(name.clone(), [], move |lowering| {
            let source = (lowering.resolve(&source_name), row_source(&topic, &consumed));
            let node = logic.node::<Option<K>, Option<V>>(Arc::new(|key, value| (key, value)));
            let processor = (lowering.resolve(&name), node);
            lowering.builder.add_global_store(of_node.builder(), source, processor);
        }));
        drop(plan);
        GlobalKTable { plan: Rc::clone(&self.plan), store }
    }

    /// Adds a store of which every instance keeps a full copy, filled from a topic by a processor of your own, which must
    /// not forward. All processors may read it, by `InitContext::global_store`, and need not name it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use streams_dsl::prelude::*;
    /// use streams_dsl::stores::KeyValueStore;
    ///
    /// struct Upper(StoreHandle<KeyValueStore<String, String>>);
    ///
    /// impl Processor<String, String, (), ()> for Upper {
    ///     fn process(
    ///         &mut self,
    ///         record: Record<String, String>,
    ///         context: &mut ProcessorContext<'_, '_, (), ()>,
    ///     ) -> Result<(), ProcessorError> {
    ///         Ok(context.store_mut(self.0).put(&record.key, Some(record.value.to_uppercase()))?)
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// let store = Stores::key_value::<String, String>("names", Arc::new(Utf8), Arc::new(Utf8));
    /// builder.add_global_store(store.build(), "names", Consumed::new(), |context| Ok(Upper(context.store("names")?)));
    /// builder.stream::<String, String>("rides").to("same");
    /// assert!(builder.build()?.describe().contains("for global store"));
    /// # Ok::<(), TopologyError>(())
    /// ```
    pub fn add_global_store<P, K, V>(
        &self,
        store: Arc<dyn StoreBuilder>,
        topic: impl Into<String>,
        consumed: Consumed<K, V>,
        make: impl Fn(&mut InitContext<'_>) -> Result<P, ProcessorError> + Send + Sync + 'static,
    ) -> &Self
    where
        P: Processor<K, V, (), ()> + 'static,
        K: Data,
        V: Data,
    {
        let topics = Topics::Named(vec![Arc::from(topic.into())]);
        let make = Arc::new(make);
        let mut plan = self.plan.borrow_mut();
        let (source_name, operator) = (plan.generate(SOURCE), plan.operator());
        let name = Name::new(operator, plan.generate("KTABLE-SOURCE-"));
        plan.add(PlanNode::new(name.clone(), [], move |lowering| {
            let (keys, values) = (consumed.key_serde.or_carried(None), consumed.value_serde.or_carried(None));
            let node = SourceNode::new(keys, values, consumed.extractor.clone());
            let source = (source_name.clone(), SourceSpec::new(topics.clone(), node));
            let make = Arc::clone(&make);
            let processor = ProcessorSpec::new::<P, K, V, (), ()>(move |context| make(context));
            let processor = (lowering.resolve(&name), processor);
            lowering.builder.add_global_store(Arc::clone(&store), source, processor);
        }));
        drop(plan);
        self
    }
}
