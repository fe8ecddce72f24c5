//! Stores that processors of your own fill from a topic: global ones, and read-only ones.

use std::sync::Arc;

use streams_core::processor::{InitContext, Processor, ProcessorError, SourceNode};
use streams_core::record::Data;
use streams_core::state::StoreBuilder;
use streams_core::topology::{ProcessorSpec, SourceSpec, Topics, TopologyBuilder};

use crate::options::Consumed;
use crate::plan::{Name, PlanNode};
use crate::streams_builder::{SOURCE, StreamsBuilder};

/// Adds a store with its own source and processor.
type AddStore = fn(
    &mut TopologyBuilder,
    Arc<dyn StoreBuilder>,
    (Arc<str>, SourceSpec),
    (Arc<str>, ProcessorSpec),
) -> &mut TopologyBuilder;

impl StreamsBuilder {
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
        self.add_filled_store(store, topic.into().into(), consumed, make, TopologyBuilder::add_global_store)
    }

    /// Adds a store of which each task keeps its own part, filled from a topic by a processor of your own, which must not
    /// forward (KIP-813): for instance the state of another application, read from its changelog. Processors read it if
    /// they name it and their input has as many partitions as the topic.
    ///
    /// The store has no changelog: it is restored from the topic as that has it, so the processor is to put keys and values
    /// there unchanged. The topic is read from its oldest record on.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use streams_dsl::prelude::*;
    /// use streams_dsl::stores::KeyValueStore;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// type Names = KeyValueStore<String, String>;
    ///
    /// struct Keep(StoreHandle<Names>);
    ///
    /// impl Processor<String, String, (), ()> for Keep {
    ///     fn process(
    ///         &mut self,
    ///         record: Record<String, String>,
    ///         context: &mut ProcessorContext<'_, '_, (), ()>,
    ///     ) -> Result<(), ProcessorError> {
    ///         Ok(context.store_mut(self.0).put(&record.key, Some(record.value))?)
    ///     }
    /// }
    ///
    /// struct Greet(StoreHandle<Names>);
    ///
    /// impl Processor<String, i64, String, String> for Greet {
    ///     fn process(
    ///         &mut self,
    ///         record: Record<String, i64>,
    ///         context: &mut ProcessorContext<'_, '_, String, String>,
    ///     ) -> Result<(), ProcessorError> {
    ///         let name = context.store_mut(self.0).get(&record.key)?.unwrap_or_default();
    ///         context.forward(record.with_value(format!("Hello {name}")))
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// let names = Stores::key_value::<String, String>("names", Arc::new(Utf8), Arc::new(Utf8));
    /// builder.add_read_only_store(names.build(), "names", Consumed::new(), |context| Ok(Keep(context.store("names")?)));
    /// let visits = builder.stream::<String, i64>("visits");
    /// visits.process(|context| Ok(Greet(context.store("names")?)), ["names"]).to("greetings");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// driver.input_topic::<String, String>("names").pipe(&mut driver, "a".to_owned(), "Ada".to_owned())?;
    /// driver.input_topic::<String, i64>("visits").pipe(&mut driver, "a".to_owned(), 1)?;
    /// let greetings = driver.output_topic::<String, String>("greetings");
    /// assert_eq!(greetings.read_values(&mut driver)?, ["Hello Ada"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_read_only_store<P, K, V>(
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
        self.add_filled_store(
            store,
            topic.into().into(),
            consumed,
            make,
            TopologyBuilder::add_read_only_store,
        )
    }

    fn add_filled_store<P, K, V>(
        &self,
        store: Arc<dyn StoreBuilder>,
        topic: Arc<str>,
        consumed: Consumed<K, V>,
        make: impl Fn(&mut InitContext<'_>) -> Result<P, ProcessorError> + Send + Sync + 'static,
        add: AddStore,
    ) -> &Self
    where
        P: Processor<K, V, (), ()> + 'static,
        K: Data,
        V: Data,
    {
        let make = Arc::new(make);
        let mut plan = self.plan.borrow_mut();
        let (source_name, operator) = (plan.generate(SOURCE), plan.operator());
        let name = Name::new(operator, plan.generate("KTABLE-SOURCE-"));
        plan.add(PlanNode::new(name.clone(), [], move |lowering| {
            let (keys, values) = (consumed.key_serde.or_carried(None), consumed.value_serde.or_carried(None));
            let node = SourceNode::new(keys, values, consumed.extractor.clone());
            let source = SourceSpec::new(Topics::Named(vec![Arc::clone(&topic)]), node);
            let make = Arc::clone(&make);
            let processor = ProcessorSpec::new::<P, K, V, (), ()>(move |context| make(context));
            let name = lowering.resolve(&name);
            add(
                lowering.builder,
                Arc::clone(&store),
                (source_name.as_str().into(), source),
                (name, processor),
            );
        }));
        drop(plan);
        self
    }
}
