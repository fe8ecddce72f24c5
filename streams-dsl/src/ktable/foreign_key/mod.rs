//! Joining two tables by a foreign key: `join_on`, `left_join_on` (KIP-213).
//!
//! Each row of the left table subscribes to the foreign key that it refers to, through a topic that is partitioned as
//! the right table is; the right table answers now and at each change, through a topic that is partitioned as the left
//! table is. An answer carries the hash of the row that asked, so that one that was overtaken is known.

mod hash;
mod nodes;
mod parts;
mod resolve;
mod result;
mod send;
mod subscribe;
mod wire;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use streams_core::record::Data;
use streams_core::serdes::DefaultSerde;

use self::nodes::Nodes;
use self::parts::{Joiner, Parts};
use self::result::ResultTable;
use super::KTable;
use super::store::TableStore;
use crate::options::{SharedSerde, StoreOptions, TableJoined, default_serde};

impl<K: Data, V: Data> KTable<K, V> {
    /// The table of this table's rows, each joined with the row of the other table that it refers to; rows that refer
    /// to none, or to a row that is not there, are left out.
    ///
    /// `foreign_key` tells from key and row which row of the other table is meant.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.table::<i64, String>("orders");
    /// let customers = builder.table::<String, String>("customers");
    /// let customer = |_: &i64, order: &String| order.split(':').next().map(str::to_owned);
    /// let joined = orders.join_on(&customers, customer, |order, name| format!("{name}: {order}")).named("customers");
    /// joined.to_stream().to("orders-with-names");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let orders = driver.input_topic::<i64, String>("orders");
    /// orders.pipe(&mut driver, 1, "c7:tea".to_owned())?;
    /// orders.pipe(&mut driver, 2, "c8:milk".to_owned())?;
    /// let customers = driver.input_topic::<String, String>("customers");
    /// customers.pipe(&mut driver, "c7".to_owned(), "Ada".to_owned())?;
    /// let joined = driver.output_topic::<i64, String>("orders-with-names");
    /// assert_eq!(joined.read_key_values(&mut driver)?, [(1, "Ada: c7:tea".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_on<FK, FV, R>(
        &self,
        other: &KTable<FK, FV>,
        foreign_key: impl Fn(&K, &V) -> Option<FK> + Send + Sync + 'static,
        joiner: impl Fn(&V, &FV) -> R + Send + Sync + 'static,
    ) -> KTable<K, R>
    where
        K: DefaultSerde,
        V: DefaultSerde,
        FK: Data + DefaultSerde,
        FV: Data + DefaultSerde,
        R: Data + DefaultSerde,
    {
        let rows = Some(default_serde::<R>());
        self.join_foreign(other, Arc::new(foreign_key), inner(joiner), false, TableJoined::new(), rows)
    }

    /// As [`join_on`](KTable::join_on), with serdes and partitioners of your choice.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.table::<i64, String>("orders");
    /// let customers = builder.table::<String, String>("customers");
    /// let options = TableJoined::with(BigEndian, Utf8, Utf8, Utf8);
    /// let customer = |_: &i64, order: &String| order.split(':').next().map(str::to_owned);
    /// orders.join_on_with(&customers, customer, |order, name| format!("{name}: {order}"), options).to_stream().to("out");
    /// ```
    pub fn join_on_with<FK, FV, R>(
        &self,
        other: &KTable<FK, FV>,
        foreign_key: impl Fn(&K, &V) -> Option<FK> + Send + Sync + 'static,
        joiner: impl Fn(&V, &FV) -> R + Send + Sync + 'static,
        joined: TableJoined<K, V, FK, FV>,
    ) -> KTable<K, R>
    where
        FK: Data,
        FV: Data,
        R: Data,
    {
        self.join_foreign(other, Arc::new(foreign_key), inner(joiner), false, joined, None)
    }

    /// The table of all rows of this table, each with the row of the other table that it refers to, where there is one.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.table::<i64, String>("orders");
    /// let customers = builder.table::<String, String>("customers");
    /// let customer = |_: &i64, order: &String| order.split(':').next().map(str::to_owned);
    /// let joined = orders.left_join_on(&customers, customer, |order, name| format!("{name:?}: {order}"));
    /// joined.to_stream().to("orders-with-names");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// driver.input_topic::<i64, String>("orders").pipe(&mut driver, 2, "c8:milk".to_owned())?;
    /// let joined = driver.output_topic::<i64, String>("orders-with-names");
    /// assert_eq!(joined.read_values(&mut driver)?, ["None: c8:milk"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn left_join_on<FK, FV, R>(
        &self,
        other: &KTable<FK, FV>,
        foreign_key: impl Fn(&K, &V) -> Option<FK> + Send + Sync + 'static,
        joiner: impl Fn(&V, Option<&FV>) -> R + Send + Sync + 'static,
    ) -> KTable<K, R>
    where
        K: DefaultSerde,
        V: DefaultSerde,
        FK: Data + DefaultSerde,
        FV: Data + DefaultSerde,
        R: Data + DefaultSerde,
    {
        let rows = Some(default_serde::<R>());
        self.join_foreign(other, Arc::new(foreign_key), left(joiner), true, TableJoined::new(), rows)
    }

    /// As [`left_join_on`](KTable::left_join_on), with serdes and partitioners of your choice.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.table::<i64, String>("orders");
    /// let customers = builder.table::<String, String>("customers");
    /// let options = TableJoined::with(BigEndian, Utf8, Utf8, Utf8);
    /// let customer = |_: &i64, order: &String| order.split(':').next().map(str::to_owned);
    /// let joiner = |order: &String, name: Option<&String>| format!("{name:?}: {order}");
    /// orders.left_join_on_with(&customers, customer, joiner, options).to_stream().to("out");
    /// ```
    pub fn left_join_on_with<FK, FV, R>(
        &self,
        other: &KTable<FK, FV>,
        foreign_key: impl Fn(&K, &V) -> Option<FK> + Send + Sync + 'static,
        joiner: impl Fn(&V, Option<&FV>) -> R + Send + Sync + 'static,
        joined: TableJoined<K, V, FK, FV>,
    ) -> KTable<K, R>
    where
        FK: Data,
        FV: Data,
        R: Data,
    {
        self.join_foreign(other, Arc::new(foreign_key), left(joiner), true, joined, None)
    }

    /// Adds the join; `rows` is the serde of a store that the result gets where it needs one and none was named.
    fn join_foreign<FK: Data, FV: Data, R: Data>(
        &self,
        other: &KTable<FK, FV>,
        extract: parts::Extract<K, V, FK>,
        joiner: Joiner<V, FV, R>,
        left: bool,
        joined: TableJoined<K, V, FK, FV>,
        rows: Option<SharedSerde<R>>,
    ) -> KTable<K, R> {
        // What a row referred to must be told that it no longer does.
        other.logic.enable_old_values(true);
        self.logic.enable_old_values(true);
        let keys = joined.key_serde.or_carried(self.key_serde.as_ref());
        let parts = Rc::new(Parts {
            keys: Arc::clone(&keys),
            values: joined.value_serde.or_carried(self.value_serde.as_ref()),
            foreign_keys: joined.foreign_key_serde.or_carried(other.key_serde.as_ref()),
            foreign_values: joined.foreign_value_serde.or_carried(other.value_serde.as_ref()),
            extract,
            joiner,
            left,
        });
        let nodes = Nodes::generate(&self.place);
        let response = nodes.add(self, other, &parts, &joined);
        let (own_name, number) = self.place.plan.borrow_mut().owe_store("KTABLE-FK-JOIN-OUTPUT-");
        let own = rows.map(|values| TableStore {
            name: own_name.into(),
            keys: Arc::clone(&keys),
            values,
            options: StoreOptions::default(),
        });
        let result = Rc::new(ResultTable {
            own,
            named: RefCell::new(None),
            stored: Cell::new(false),
            send_old: Cell::new(false),
            number,
            place: self.place.clone(),
        });
        let place = nodes.add_result(&response, Rc::clone(&result));
        KTable { place, logic: result, key_serde: Some(keys), value_serde: None }
    }
}

fn inner<V, FV, R>(joiner: impl Fn(&V, &FV) -> R + Send + Sync + 'static) -> Joiner<V, FV, R> {
    Arc::new(move |row, foreign| Some(joiner(row, foreign?)))
}

fn left<V, FV, R>(joiner: impl Fn(&V, Option<&FV>) -> R + Send + Sync + 'static) -> Joiner<V, FV, R> {
    Arc::new(move |row, foreign| Some(joiner(row, foreign)))
}
