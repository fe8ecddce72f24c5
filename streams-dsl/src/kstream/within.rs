//! `within`: a stream as the other side of a windowed join.

use std::fmt;

use streams_core::record::Data;
use streams_core::serdes::DefaultSerde;

use super::KStream;
use super::join::{JoinSide, OuterJoinSide, StreamJoin};
use super::window_join::WindowJoin;
use crate::options::StreamJoined;
use crate::windows::JoinWindows;

impl<K: 'static, V: 'static> KStream<K, V> {
    /// This stream as the other side of a join: its records meet those of the same key that are near in event time.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<String, String>("orders");
    /// let payments = builder.stream::<String, i64>("payments");
    /// let minute = JoinWindows::of(Duration::from_secs(60)).grace(Duration::from_secs(10));
    /// orders.join(payments.within(minute), |order, paid| format!("{order} for {paid}")).named("paid").to("paid");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let orders = driver.input_topic::<String, String>("orders");
    /// orders.pipe_at(&mut driver, "o1".to_owned(), "tea".to_owned(), 0)?;
    /// orders.pipe_at(&mut driver, "o2".to_owned(), "milk".to_owned(), 0)?;
    /// let payments = driver.input_topic::<String, i64>("payments");
    /// payments.pipe_at(&mut driver, "o1".to_owned(), 12, 45_000)?;
    /// payments.pipe_at(&mut driver, "o2".to_owned(), 9, 61_000)?;
    /// let paid = driver.output_topic::<String, String>("paid");
    /// assert_eq!(paid.read_values(&mut driver)?, ["tea for 12"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn within(&self, windows: JoinWindows) -> Within<'_, K, V> {
        Within { stream: self, windows }
    }
}

/// A stream and the windows of the join that it is handed to: see [`KStream::within`].
#[must_use = "hand it to `join`, `left_join` or `outer_join`"]
pub struct Within<'a, K, V> {
    stream: &'a KStream<K, V>,
    windows: JoinWindows,
}

impl<'a, K, V> Within<'a, K, V> {
    /// The same with options for the join.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let orders = builder.stream::<String, String>("orders");
    /// let payments = builder.stream::<String, i64>("payments");
    /// let minute = JoinWindows::of(Duration::from_secs(60)).no_grace();
    /// let side = payments.within(minute).with(StreamJoined::new().store_name("waiting").in_memory());
    /// orders.join(side, |order, paid| format!("{order} for {paid}")).to("paid");
    /// assert!(builder.build()?.describe().contains("waiting-this-join-store"));
    /// # Ok::<(), TopologyError>(())
    /// ```
    pub fn with<L>(self, joined: StreamJoined<K, L, V>) -> WithinWith<'a, K, L, V> {
        WithinWith { stream: self.stream, windows: self.windows, joined }
    }
}

/// A stream, the windows and the options of the join that it is handed to: see [`Within::with`].
#[must_use = "hand it to `join`, `left_join` or `outer_join`"]
pub struct WithinWith<'a, K, L, V> {
    stream: &'a KStream<K, V>,
    windows: JoinWindows,
    joined: StreamJoined<K, L, V>,
}

impl<K, V, T> JoinSide<K, V> for Within<'_, K, T>
where
    K: Data + DefaultSerde,
    V: Data + DefaultSerde,
    T: Data + DefaultSerde,
{
    type Value = T;

    fn join_to<R: Data>(self, join: StreamJoin<'_, K, V, T, R>) -> KStream<K, R> {
        self.with(StreamJoined::new()).join_to(join)
    }
}

impl<K, V, T> OuterJoinSide<K, V> for Within<'_, K, T>
where
    K: Data + DefaultSerde,
    V: Data + DefaultSerde,
    T: Data + DefaultSerde,
{
}

impl<K: Data, V: Data, T: Data> JoinSide<K, V> for WithinWith<'_, K, V, T> {
    type Value = T;

    fn join_to<R: Data>(self, join: StreamJoin<'_, K, V, T, R>) -> KStream<K, R> {
        let StreamJoin { stream: left, joiner, kind } = join;
        WindowJoin { left, right: self.stream, windows: self.windows, kind, joiner }.add(self.joined)
    }
}

impl<K: Data, V: Data, T: Data> OuterJoinSide<K, V> for WithinWith<'_, K, V, T> {}

impl<K, V> fmt::Debug for Within<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Within").field("windows", &self.windows).finish_non_exhaustive()
    }
}

impl<K, L, V> fmt::Debug for WithinWith<'_, K, L, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithinWith").field("windows", &self.windows).finish_non_exhaustive()
    }
}
