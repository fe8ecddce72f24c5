//! Where a topology begins.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use streams_core::processor::{RecordType, SourceNode};
use streams_core::record::Data;
use streams_core::serdes::DefaultSerde;
use streams_core::state::StoreBuilder;
use streams_core::topology::{SourceSpec, Topics, Topology, TopologyError};

use crate::config::TopologyConfig;
use crate::kstream::KStream;
use crate::options::Consumed;
use crate::plan::{Name, NodeTag, Place, Plan, PlanNode, PlanRef};

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

    /// Adds a store for processors of your own, which name it when they are added.
    pub fn add_store(&self, store: Arc<dyn StoreBuilder>) -> &Self {
        self.plan.borrow_mut().add_store(store);
        self
    }

    /// The topology.
    ///
    /// # Errors
    /// All its faults at once, each with its remedy.
    pub fn build(&self) -> Result<Topology, TopologyError> {
        self.build_with(&TopologyConfig::default())
    }

    /// The topology, built by these settings.
    ///
    /// # Errors
    /// As [`StreamsBuilder::build`].
    pub fn build_with(&self, config: &TopologyConfig) -> Result<Topology, TopologyError> {
        self.plan.borrow().lower(config)
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
