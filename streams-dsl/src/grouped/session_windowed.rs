//! Aggregations over sessions.

use std::sync::Arc;

use state_stores::Windowed;
use streams_core::record::Data;
use streams_core::serdes::{BigEndian, DefaultSerde};

use super::KGroupedStream;
use super::aggregate::addition;
use super::aggregation::Fold;
use super::count::OneMore;
use super::reduce::reduction;
use super::session_store::{Merge, SessionTable};
use crate::ktable::KTable;
use crate::options::{Materialized, SerdeChoice};
use crate::windows::{EmitStrategy, SessionWindows};

const AGGREGATE: &str = "KSTREAM-AGGREGATE-";
const REDUCE: &str = "KSTREAM-REDUCE-";

/// A grouped stream cut into sessions, to be counted, reduced or aggregated in each.
///
/// A record joins the sessions that are no further away than the inactivity gap, and makes them one: the table deletes
/// those, and has one in their place. A record that would only make or extend a closed session is dropped: one is closed
/// when event time has passed its end by more than the gap and the grace period. Records without a key are dropped; those
/// without a value are not, as in Kafka Streams.
#[derive(Debug)]
#[must_use = "sessions do nothing until they are aggregated"]
pub struct SessionWindowedKStream<K, V> {
    pub(super) grouped: KGroupedStream<K, V>,
    pub(super) windows: SessionWindows,
    pub(super) emit: EmitStrategy,
}

impl<K: Data, V: Data> SessionWindowedKStream<K, V> {
    /// The same sessions, whose results leave by this strategy: see [`EmitStrategy`].
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, i64>("clicks");
    /// let visits = SessionWindows::of_inactivity_gap(Duration::from_secs(10)).no_grace();
    /// let counts = clicks.group_by_key().windowed_by(visits).emit_strategy(EmitStrategy::OnWindowClose).count();
    /// counts.to_stream().map(|user, count| (user.key, count)).to("counts");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let clicks = driver.input_topic::<String, i64>("clicks");
    /// for time in [1_000, 2_000, 60_000] {
    ///     clicks.pipe_at(&mut driver, "ada".to_owned(), 1, time)?;
    /// }
    /// let out = driver.output_topic::<String, i64>("counts");
    /// assert_eq!(out.read_values(&mut driver)?, [2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn emit_strategy(self, emit: EmitStrategy) -> Self {
        SessionWindowedKStream { emit, ..self }
    }

    /// The table of the number of records of each key and session.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, String>("clicks");
    /// let visits = SessionWindows::of_inactivity_gap(Duration::from_secs(10)).no_grace();
    /// clicks.group_by_key().windowed_by(visits).count().to_stream().to("visits");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let clicks = driver.input_topic::<String, String>("clicks");
    /// clicks.pipe_at(&mut driver, "ada".to_owned(), "/".to_owned(), 1_000)?;
    /// clicks.pipe_at(&mut driver, "ada".to_owned(), "/news".to_owned(), 6_000)?;
    /// let out = driver.output_topic_with::<Windowed<String>, Option<i64>>("visits", SessionWindowed(Utf8), Nullable(BigEndian));
    /// let ada = |start: i64, end: i64| Windowed::new("ada".to_owned(), Window::new(start, end));
    /// let expected = [(ada(1_000, 1_000), Some(1)), (ada(1_000, 1_000), None), (ada(1_000, 6_000), Some(2))];
    /// assert_eq!(out.read_key_values(&mut driver)?, expected);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn count(&self) -> KTable<Windowed<K>, i64> {
        let mut materialized = Materialized::with(self.grouped.key_serde.clone(), BigEndian);
        materialized.key_serde = SerdeChoice::Default(self.grouped.key_serde.clone());
        self.fold(AGGREGATE, materialized, OneMore, Arc::new(sum))
    }

    /// As [`count`](SessionWindowedKStream::count), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, String>("clicks");
    /// let visits = SessionWindows::of_inactivity_gap(Duration::from_secs(10)).no_grace();
    /// let counts = clicks.group_by_key().windowed_by(visits).count_with(Materialized::named("visits").in_memory());
    /// counts.to_stream().to("visits-out");
    /// assert!(builder.build()?.describe().contains("stores: [visits]"));
    /// # Ok::<(), TopologyError>(())
    /// ```
    pub fn count_with(&self, materialized: Materialized<K, i64>) -> KTable<Windowed<K>, i64> {
        if materialized.name.is_none() {
            // Kafka Streams takes one number more here.
            self.grouped.place.plan.borrow_mut().generate_store(AGGREGATE);
        }
        self.fold(AGGREGATE, materialized, OneMore, Arc::new(sum))
    }

    /// The table of each key's and session's values made one, two by two.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, String>("clicks");
    /// let visits = SessionWindows::of_inactivity_gap(Duration::from_secs(10)).no_grace();
    /// let paths = clicks.group_by_key().windowed_by(visits).reduce(|path, page| path + &page);
    /// paths.to_stream().map(|user, path| (user.key, path)).to("paths");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let clicks = driver.input_topic::<String, String>("clicks");
    /// clicks.pipe_at(&mut driver, "ada".to_owned(), "/news".to_owned(), 1_000)?;
    /// clicks.pipe_at(&mut driver, "ada".to_owned(), "/today".to_owned(), 6_000)?;
    /// let out = driver.output_topic::<String, Option<String>>("paths");
    /// assert_eq!(out.read_values(&mut driver)?.last(), Some(&Some("/news/today".to_owned())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reduce(&self, reducer: impl Fn(V, V) -> V + Send + Sync + 'static) -> KTable<Windowed<K>, V>
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        self.reduce_with(reducer, Materialized::new())
    }

    /// As [`reduce`](SessionWindowedKStream::reduce), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// let shifts = SessionWindows::of_inactivity_gap(Duration::from_secs(3_600)).no_grace();
    /// let kept = Materialized::named("largest").retention(Duration::from_secs(86_400));
    /// fares.group_by_key().windowed_by(shifts).reduce_with(i64::max, kept).to_stream().to("largest-out");
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn reduce_with(
        &self,
        reducer: impl Fn(V, V) -> V + Send + Sync + 'static,
        mut materialized: Materialized<K, V>,
    ) -> KTable<Windowed<K>, V> {
        materialized.inherit_value_serde(&self.grouped.value_serde);
        let reducer = Arc::new(reducer);
        let merger = Arc::clone(&reducer);
        let merge = move |_: &K, so_far: Option<V>, next: V| match so_far {
            Some(so_far) => merger(so_far, next),
            None => next,
        };
        self.fold(REDUCE, materialized, reduction(move |one, other| reducer(one, other)), Arc::new(merge))
    }

    /// The table of an aggregate of each key and session: `init` makes the first one, `add` takes a record into it, and
    /// `merge` makes one of two sessions' when a record joins them. As in Kafka Streams, a new session begins with what
    /// `init` makes, and each session that it joins is merged into that, be it one alone.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// let shifts = SessionWindows::of_inactivity_gap(Duration::from_secs(10)).grace(Duration::from_secs(60));
    /// let sums = fares.group_by_key().windowed_by(shifts).aggregate(
    ///     || 0i64,
    ///     |_, fare, sum| sum + fare,
    ///     |_, one, other| one + other,
    /// );
    /// sums.to_stream().map(|driver, sum| (driver.key, sum)).to("sums");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let fares = driver.input_topic::<String, i64>("fares");
    /// // The third record joins the sessions of the first two.
    /// for (fare, time) in [(7, 1_000), (5, 19_000), (6, 10_000)] {
    ///     fares.pipe_at(&mut driver, "ada".to_owned(), fare, time)?;
    /// }
    /// let out = driver.output_topic::<String, Option<i64>>("sums");
    /// assert_eq!(out.read_values(&mut driver)?, [Some(7), Some(5), None, None, Some(18)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn aggregate<A: Data + DefaultSerde>(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A>
    where
        K: DefaultSerde,
    {
        self.aggregate_with(init, add, merge, Materialized::new())
    }

    /// As [`aggregate`](SessionWindowedKStream::aggregate), kept as you say.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// let shifts = SessionWindows::of_inactivity_gap(Duration::from_secs(3_600)).no_grace();
    /// let sums = fares.group_by_key().windowed_by(shifts).aggregate_with(
    ///     || 0i64,
    ///     |_, fare, sum| sum + fare,
    ///     |_, one, other| one + other,
    ///     Materialized::named("sums").caching(false),
    /// );
    /// sums.to_stream().to("sums-out");
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn aggregate_with<A: Data>(
        &self,
        init: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
        materialized: Materialized<K, A>,
    ) -> KTable<Windowed<K>, A> {
        let init = Arc::new(init);
        let merge = merging(Arc::clone(&init), merge);
        self.fold(AGGREGATE, materialized, addition(move || init(), add), merge)
    }

    fn fold<A: Data>(
        &self,
        prefix: &'static str,
        materialized: Materialized<K, A>,
        fold: impl Fold<K, V, A>,
        merge: Merge<K, A>,
    ) -> KTable<Windowed<K>, A> {
        let store_name = self.grouped.place.store_name(materialized.name.as_deref(), prefix);
        let keys = Some(&self.grouped.key_serde);
        let table = SessionTable::new(&store_name, self.windows, self.emit, merge, materialized, keys);
        self.grouped.aggregate_into(prefix, table, fold)
    }
}

fn sum<K>(_key: &K, so_far: Option<i64>, next: i64) -> i64 {
    so_far.unwrap_or(0) + next
}

/// Merges a session into what there is so far, at first into what `init` makes.
pub(super) fn merging<K: Data, A: Data>(
    init: Arc<impl Fn() -> A + Send + Sync + ?Sized + 'static>,
    merge: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
) -> Merge<K, A> {
    Arc::new(move |key, so_far, next| merge(key, so_far.unwrap_or_else(|| init()), next))
}
