//! `merge`.

use std::rc::Rc;

use streams_core::record::Data;

use super::{KStream, step};
use crate::plan::{NodeTag, Place, PlanNode};

impl<K: 'static, V: 'static> KStream<K, V> {
    /// The records of both streams in one, each stream's in its own order.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("words");
    /// let names = builder.stream::<String, String>("names");
    /// words.merge(&names).to("both");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// driver.input_topic::<String, String>("names").pipe(&mut driver, "c".to_owned(), "Ada".to_owned())?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let both = driver.output_topic::<String, String>("both");
    /// assert_eq!(both.read_values(&mut driver)?, ["Ada", "red", "green"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn merge(&self, other: &KStream<K, V>) -> KStream<K, V>
    where
        K: Data,
        V: Data,
    {
        let sources = self.place.sources_with(&other.place);
        let (operator, name) = self.place.generate("KSTREAM-MERGE-");
        let mut parents = vec![self.place.node];
        if self.place.shares_plan(&other.place) {
            parents.push(other.place.node);
        }
        let lower = |lowering: &mut crate::plan::Lowering<'_>| {
            lowering.processor(step::<K, V, K, V>(|slot, context| context.forward_slot(slot)));
        };
        let node =
            self.place.plan.borrow_mut().add(PlanNode::new(name, parents, lower).tagged(NodeTag::Merge));
        KStream {
            place: Place { plan: Rc::clone(&self.place.plan), node, operator, sources },
            rekeyed: self.rekeyed || other.rekeyed,
            key_serde: self.key_serde.clone().or_else(|| other.key_serde.clone()),
            value_serde: self.value_serde.clone().or_else(|| other.value_serde.clone()),
        }
    }
}
