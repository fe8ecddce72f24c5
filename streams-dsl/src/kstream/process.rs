//! `process`: the Processor API within a chain.

use std::sync::Arc;

use streams_core::processor::{InitContext, Processor, ProcessorError};
use streams_core::record::Data;
use streams_core::topology::ProcessorSpec;

use super::KStream;
use crate::plan::{Lowering, NodeTag};

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Hands each record to a [`Processor`] of your own, which may forward records of any type, keep state in the
    /// stores named here, and be called at regular times. `make` makes one for each task, and asks for its stores.
    ///
    /// Stores are added by [`StreamsBuilder::add_store`](crate::StreamsBuilder::add_store).
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// struct Double;
    ///
    /// impl Processor<String, String, String, String> for Double {
    ///     fn process(
    ///         &mut self,
    ///         record: Record<String, String>,
    ///         context: &mut ProcessorContext<'_, '_, String, String>,
    ///     ) -> Result<(), ProcessorError> {
    ///         context.forward(record.clone())?;
    ///         context.forward(record)
    ///     }
    /// }
    ///
    /// builder.stream::<String, String>("words").process(|_| Ok(Double), []).to("doubled");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let doubled = driver.output_topic::<String, String>("doubled");
    /// assert_eq!(doubled.read_values(&mut driver)?, ["red", "red", "green", "green"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn process<P, K2, V2>(
        &self,
        make: impl Fn(&mut InitContext<'_>) -> Result<P, ProcessorError> + Send + Sync + 'static,
        stores: impl IntoIterator<Item = &'static str>,
    ) -> KStream<K2, V2>
    where
        P: Processor<K, V, K2, V2> + 'static,
        K: Data,
        V: Data,
        K2: Data,
        V2: Data,
    {
        let make = Arc::new(make);
        let stores: Vec<Arc<str>> = stores.into_iter().map(Arc::from).collect();
        self.with_keys(self.place.then_tagged(
            "KSTREAM-PROCESSOR-",
            NodeTag::ValueChanging,
            move |lowering: &mut Lowering<'_>| {
                let make = Arc::clone(&make);
                let spec = ProcessorSpec::new::<P, K, V, K2, V2>(move |context| make(context));
                lowering.processor(spec.with_stores(stores.iter().cloned()));
            },
        ))
    }
}
