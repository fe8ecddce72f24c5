//! Global tables: full copies with every instance.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use streams_core::record::Data;
use streams_core::serdes::DefaultSerde;

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
}
