//! `join`, `left_join`, `outer_join`: one method each, whatever the other side is.

use std::fmt;
use std::sync::Arc;

use streams_core::record::Data;

use super::KStream;

/// How a joiner is handed to the sides: key, this value, the other one; none where they are not to be joined.
pub type Joiner<K, V, O, R> = dyn Fn(&K, Option<&V>, Option<&O>) -> Option<R> + Send + Sync;

/// What is to become of records without a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinKind {
    /// They are left out.
    Inner,
    /// Those of the left side are kept.
    Left,
    /// Those of both sides are kept.
    Outer,
}

/// The stream's part of a join, whatever the other side is.
pub struct StreamJoin<'a, K, V, O, R> {
    pub(super) stream: &'a KStream<K, V>,
    pub(super) joiner: Arc<Joiner<K, V, O, R>>,
    pub(super) kind: JoinKind,
}

impl<K, V, O, R> fmt::Debug for StreamJoin<'_, K, V, O, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamJoin").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What a stream can be joined with: a table of the same key, `&table` or `table.with(Joined::..)`; a global table,
/// `table.by(key)`; or a stream of the same key within a window.
#[diagnostic::on_unimplemented(
    message = "a stream cannot be joined with `{Self}`",
    note = "join with a table of the same key: `&table`; with a global table: `table.by(|key, value| ..)`; or with a stream of the same key and a window: `other.within(JoinWindows::of(..))`"
)]
pub trait JoinSide<K, V> {
    /// The values of the other side.
    type Value: Data;

    /// Joins.
    #[doc(hidden)]
    fn join_to<R: Data>(self, join: StreamJoin<'_, K, V, Self::Value, R>) -> KStream<K, R>;
}

/// What a stream can be joined with so that the records of both sides are kept: a stream of the same key within a window.
#[diagnostic::on_unimplemented(
    message = "a stream has no outer join with `{Self}`",
    note = "only streams have: `other.within(JoinWindows::of(..))`; join tables with `left_join`"
)]
pub trait OuterJoinSide<K, V>: JoinSide<K, V> {}

impl<K: Data, V: Data> KStream<K, V> {
    /// Joins each record with what the other side holds for its key; records without a match are left out, and so are
    /// those without key or value.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let rides = builder.stream::<String, i64>("rides");
    /// let drivers = builder.table::<String, String>("drivers");
    /// rides.join(&drivers, |fare, driver| format!("{driver} {fare}")).to("joined");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// driver.input_topic::<String, String>("drivers").pipe(&mut driver, "r1".to_owned(), "Ada".to_owned())?;
    /// let rides = driver.input_topic::<String, i64>("rides");
    /// rides.pipe(&mut driver, "r1".to_owned(), 12)?;
    /// rides.pipe(&mut driver, "r2".to_owned(), 9)?;
    /// let joined = driver.output_topic::<String, String>("joined");
    /// assert_eq!(joined.read_values(&mut driver)?, ["Ada 12"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join<O: JoinSide<K, V>, R: Data>(
        &self,
        other: O,
        joiner: impl Fn(&V, &O::Value) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        self.join_with_key(other, move |_, value, other| joiner(value, other))
    }

    /// As [`join`](KStream::join), with the key in sight.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let rides = builder.stream::<String, i64>("rides");
    /// let drivers = builder.table::<String, String>("drivers");
    /// rides.join_with_key(&drivers, |id, fare, driver| format!("{id}: {driver} {fare}")).to("joined");
    /// ```
    pub fn join_with_key<O: JoinSide<K, V>, R: Data>(
        &self,
        other: O,
        joiner: impl Fn(&K, &V, &O::Value) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        let joiner =
            move |key: &K, value: Option<&V>, other: Option<&O::Value>| Some(joiner(key, value?, other?));
        other.join_to(StreamJoin { stream: self, joiner: Arc::new(joiner), kind: JoinKind::Inner })
    }

    /// Joins each record with what the other side holds for its key, or with none.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let rides = builder.stream::<String, i64>("rides");
    /// let drivers = builder.table::<String, String>("drivers");
    /// rides.left_join(&drivers, |fare, driver| format!("{driver:?} {fare}")).to("joined");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// driver.input_topic::<String, i64>("rides").pipe(&mut driver, "r2".to_owned(), 9)?;
    /// let joined = driver.output_topic::<String, String>("joined");
    /// assert_eq!(joined.read_values(&mut driver)?, ["None 9"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn left_join<O: JoinSide<K, V>, R: Data>(
        &self,
        other: O,
        joiner: impl Fn(&V, Option<&O::Value>) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        self.left_join_with_key(other, move |_, value, other| joiner(value, other))
    }

    /// As [`left_join`](KStream::left_join), with the key in sight.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let rides = builder.stream::<String, i64>("rides");
    /// let drivers = builder.table::<String, String>("drivers");
    /// rides.left_join_with_key(&drivers, |id, fare, driver| format!("{id}: {driver:?} {fare}")).to("joined");
    /// ```
    pub fn left_join_with_key<O: JoinSide<K, V>, R: Data>(
        &self,
        other: O,
        joiner: impl Fn(&K, &V, Option<&O::Value>) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        let joiner =
            move |key: &K, value: Option<&V>, other: Option<&O::Value>| Some(joiner(key, value?, other));
        other.join_to(StreamJoin { stream: self, joiner: Arc::new(joiner), kind: JoinKind::Left })
    }

    /// Joins the records of both streams within a window; those that meet no partner are kept, with none for the other
    /// side, and leave once their window and its grace period are over.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<String, i64>("orders");
    /// let payments = builder.stream::<String, i64>("payments");
    /// let ten = JoinWindows::of(Duration::from_secs(10)).no_grace();
    /// orders.outer_join(payments.within(ten), |order, paid| format!("{order:?} {paid:?}")).to("joined");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// driver.input_topic::<String, i64>("payments").pipe_at(&mut driver, "a".to_owned(), 7, 1_000)?;
    /// driver.input_topic::<String, i64>("orders").pipe_at(&mut driver, "b".to_owned(), 5, 12_000)?;
    /// let joined = driver.output_topic::<String, String>("joined");
    /// assert_eq!(joined.read_values(&mut driver)?, ["None Some(7)"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outer_join<O: OuterJoinSide<K, V>, R: Data>(
        &self,
        other: O,
        joiner: impl Fn(Option<&V>, Option<&O::Value>) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        self.outer_join_with_key(other, move |_, value, other| joiner(value, other))
    }

    /// As [`outer_join`](KStream::outer_join), with the key in sight.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<String, i64>("orders");
    /// let payments = builder.stream::<String, i64>("payments");
    /// let ten = JoinWindows::of(Duration::from_secs(10)).no_grace();
    /// orders.outer_join_with_key(payments.within(ten), |id, order, paid| format!("{id}: {order:?} {paid:?}")).to("joined");
    /// ```
    pub fn outer_join_with_key<O: OuterJoinSide<K, V>, R: Data>(
        &self,
        other: O,
        joiner: impl Fn(&K, Option<&V>, Option<&O::Value>) -> R + Send + Sync + 'static,
    ) -> KStream<K, R> {
        let joiner =
            move |key: &K, value: Option<&V>, other: Option<&O::Value>| Some(joiner(key, value, other));
        other.join_to(StreamJoin { stream: self, joiner: Arc::new(joiner), kind: JoinKind::Outer })
    }
}
