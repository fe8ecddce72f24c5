//! `to_stream`: the changes of a table as a stream.

use streams_core::record::{Data, Record};
use streams_core::serdes::Nullable;

use super::KTable;
use crate::change::Change;
use crate::kstream::{KStream, step};
use crate::options::SharedSerde;
use std::sync::Arc;

const NAME: &str = "KTABLE-TOSTREAM-";

impl<K: Data, V: Data> KTable<K, V> {
    /// The stream of the table's changes: the new value, or none where a row was deleted.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.table::<String, i64>("ratings").to_stream().to("changes");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let ratings = driver.input_topic::<String, Option<i64>>("ratings");
    /// ratings.pipe(&mut driver, "ada".to_owned(), Some(5))?;
    /// ratings.pipe(&mut driver, "bob".to_owned(), Some(2))?;
    /// ratings.pipe(&mut driver, "ada".to_owned(), None)?;
    /// let changes = driver.output_topic::<String, Option<i64>>("changes");
    /// assert_eq!(changes.read_values(&mut driver)?, [Some(5), Some(2), None]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_stream(&self) -> KStream<K, Option<V>> {
        let place = self.place.then(NAME, |lowering| {
            lowering.processor(step::<K, Change<V>, K, Option<V>>(|slot, context| match slot.take() {
                Some(Record { key, value, timestamp, headers }) => {
                    context.forward(Record { key, value: value.new, timestamp, headers })
                }
                None => Ok(()),
            }));
        });
        let value_serde =
            self.value_serde.clone().map(|serde| -> SharedSerde<Option<V>> { Arc::new(Nullable(serde)) });
        KStream { place, rekeyed: false, key_serde: self.key_serde.clone(), value_serde }
    }

    /// The stream of the table's changes under another key; what follows may have to repartition.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let ratings = builder.table::<String, i64>("ratings");
    /// ratings.to_stream_by(|_, rating| rating.unwrap_or_default()).to("by-rating");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let ratings = driver.input_topic::<String, i64>("ratings");
    /// ratings.pipe(&mut driver, "ada".to_owned(), 5)?;
    /// ratings.pipe(&mut driver, "bob".to_owned(), 2)?;
    /// let by_rating = driver.output_topic::<i64, i64>("by-rating");
    /// assert_eq!(by_rating.read_key_values(&mut driver)?, [(5, 5), (2, 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_stream_by<K2: Data>(
        &self,
        select: impl Fn(&K, &Option<V>) -> K2 + Send + Sync + 'static,
    ) -> KStream<K2, Option<V>> {
        self.to_stream().select_key(select)
    }
}
