//! `to_table`: a stream read as a table.

use std::rc::Rc;
use std::sync::Arc;

use streams_core::record::Data;
use streams_core::serdes::DefaultSerde;

use super::{KStream, NewRepartition};
use crate::ktable::{KTable, SourceTable, TableStore};
use crate::options::Materialized;
use crate::plan::NodeTag;

const NAME: &str = "KSTREAM-TOTABLE-";

impl<K: 'static, V: 'static> KStream<K, V> {
    /// The table of the latest value per key. Values that stand for null delete; records without a key are dropped.
    /// Where keys were changed before, the stream goes through a repartition topic.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("words").to_table();
    /// words.to_stream().to("latest");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let latest = driver.output_topic::<String, String>("latest");
    /// assert_eq!(latest.read_values(&mut driver)?, ["red", "green"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_table(&self) -> KTable<K, V>
    where
        K: Data + DefaultSerde,
        V: Data + DefaultSerde,
    {
        self.to_table_with(Materialized::new())
    }

    /// As [`to_table`](KStream::to_table), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let _words = builder.stream::<String, String>("words").to_table_with(Materialized::named("latest"));
    /// assert!(builder.build()?.describe().contains("stores: [latest]"));
    /// # Ok::<(), TopologyError>(())
    /// ```
    pub fn to_table_with(&self, materialized: Materialized<K, V>) -> KTable<K, V>
    where
        K: Data,
        V: Data,
    {
        let (operator, name) = self.place.generate(NAME);
        let stored = materialized.name.is_some();
        let store_name =
            materialized.name.unwrap_or_else(|| self.place.plan.borrow_mut().generate_store(NAME));
        let keys = materialized.key_serde.or_carried(self.key_serde.as_ref());
        let values = materialized.value_serde.or_carried(self.value_serde.as_ref());
        let from = match self.rekeyed {
            true => self.through(NewRepartition::of(operator, &name, &keys, &values)).place,
            false => self.place.clone(),
        };
        let store = TableStore {
            name: store_name.into(),
            keys: Arc::clone(&keys),
            values: Arc::clone(&values),
            options: materialized.settings,
        };
        let logic = SourceTable::new(store, stored);
        let of_node = Arc::clone(&keys);
        let rows = Arc::clone(&values);
        let table = Rc::clone(&logic);
        let place = from.append(operator, name, NodeTag::Plain, move |lowering| {
            let (keys, values) = (Arc::clone(&of_node), Arc::clone(&rows));
            lowering.processor(table.node::<K, V>(Arc::new(move |key, value| {
                let row = (!values.is_null(&value)).then_some(value);
                ((!keys.is_null(&key)).then_some(key), row)
            })));
            if let Some(store) = table.store() {
                store.add_to(lowering);
            }
        });
        KTable { place, logic, key_serde: Some(keys), value_serde: Some(values) }
    }
}
