//! Tables: the latest value per key, one file per operator.

mod change_serde;
mod changes;
mod derived;
mod filter;
mod foreign_key;
mod group;
mod join;
mod map_values;
mod output;
mod source;
mod store;
mod suppress;
mod to_stream;
mod transform_values;
mod view;

use std::fmt;
use std::rc::Rc;

pub use changes::{CHANGES_HELD_MAX, ChangesMissed, TableChange, TableChanges};
pub use group::KGroupedTable;
pub(crate) use source::SourceTable;
pub(crate) use store::{OpenStore, RowPut, TableStore, change_record};
pub use transform_values::{TransformContext, ValueTransformer};
pub(crate) use view::{Getter, Lookup, TableLogic, View};

use streams_core::record::Data;

use crate::options::{Joined, Materialized, SharedSerde};
use crate::plan::Place;

/// A table: a stream of changes, read as the latest value of each key. It is a handle, as a
/// [`KStream`](crate::KStream) is.
///
/// A table keeps no store unless it is an aggregation, is [`materialized`](KTable::materialized), or something behind
/// it must look rows up.
///
/// ```
/// use streams_dsl::prelude::*;
/// use streams_test_driver::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new();
/// let drivers = builder.table::<String, i64>("drivers");
/// drivers.filter(|_, rating| *rating > 3).to_stream().to("good-drivers");
/// let topology = builder.build()?;
///
/// let mut driver = TopologyTestDriver::new(topology)?;
/// let ratings = driver.input_topic::<String, i64>("drivers");
/// ratings.pipe(&mut driver, "ada".to_owned(), 5)?;
/// let good = driver.output_topic::<String, Option<i64>>("good-drivers");
/// assert_eq!(good.read_key_values(&mut driver)?, [("ada".to_owned(), Some(5))]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a table does nothing until something consumes it, unless it has a store"]
pub struct KTable<K, V> {
    pub(crate) place: Place,
    pub(crate) logic: Rc<dyn TableLogic<K, V>>,
    pub(crate) key_serde: Option<SharedSerde<K>>,
    pub(crate) value_serde: Option<SharedSerde<V>>,
}

impl<K: 'static, V: 'static> KTable<K, V> {
    /// Names the operator just added; its nodes and topics take the name up. A store's name stands in
    /// [`Materialized::named`].
    pub fn named(self, name: impl Into<String>) -> Self {
        self.place.set_name(name);
        self
    }

    /// Keeps the table that was just derived in a store of its own, to be queried by its name. To be said before
    /// anything else is done with the table.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let ratings = builder.table::<String, i64>("ratings");
    /// ratings.filter(|_, rating| *rating > 3).materialized(Materialized::named("good"));
    /// let topology = builder.build()?;
    /// assert!(topology.describe().contains("stores: [good]"));
    /// # Ok::<(), TopologyError>(())
    /// ```
    pub fn materialized(mut self, materialized: Materialized<K, V>) -> Self
    where
        K: Data,
        V: Data,
    {
        let Some(name) = materialized.name else {
            self.place.fault("a table is to be materialized without a name: `Materialized::named(..)`");
            return self;
        };
        let keys = materialized.key_serde.or_carried(self.key_serde.as_ref());
        let values = materialized.value_serde.or_carried(self.value_serde.as_ref());
        self.key_serde = Some(keys.clone());
        self.value_serde = Some(values.clone());
        let store = TableStore { name: name.into(), keys, values, options: materialized.settings };
        if let Err(fault) = self.logic.materialize(store) {
            self.place.fault(fault);
        }
        self
    }

    /// The table with options for the join that it is handed to.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let rides = builder.stream::<String, i64>("rides");
    /// let drivers = builder.table::<String, String>("drivers");
    /// let side = drivers.with(Joined::with(Utf8, BigEndian));
    /// rides.join(side, |fare, name| format!("{name}: {fare}")).to("rides-with-names");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// driver.input_topic::<String, String>("drivers").pipe(&mut driver, "d1".to_owned(), "Ada".to_owned())?;
    /// driver.input_topic::<String, i64>("rides").pipe(&mut driver, "d1".to_owned(), 12)?;
    /// let named = driver.output_topic::<String, String>("rides-with-names");
    /// assert_eq!(named.read_values(&mut driver)?, ["Ada: 12"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with<V1>(&self, joined: Joined<K, V1>) -> TableWith<'_, K, V1, V> {
        TableWith { table: self, joined }
    }
}

/// A table and the options of the join that it is handed to: see [`KTable::with`].
#[derive(Debug)]
#[must_use = "hand it to `join` or `left_join`"]
pub struct TableWith<'a, K, V1, V> {
    pub(crate) table: &'a KTable<K, V>,
    pub(crate) joined: Joined<K, V1>,
}

impl<K, V> Clone for KTable<K, V> {
    fn clone(&self) -> Self {
        KTable {
            place: self.place.clone(),
            logic: Rc::clone(&self.logic),
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
        }
    }
}

impl<K, V> fmt::Debug for KTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KTable").field("node", &self.place.node).finish_non_exhaustive()
    }
}
