//! How a stream is joined with a table.

use std::time::Duration;

use streams_core::serdes::{DefaultSerde, Serde};

use super::serde_choice::SerdeChoice;

/// How a stream is joined with a table: the serdes of its repartition topic, where one is needed, and the grace period.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let builder = StreamsBuilder::new();
/// let rides = builder.stream::<String, i64>("rides");
/// let drivers = builder.table::<String, String>("drivers");
/// let joined = rides.join(drivers.with(Joined::with(Utf8, BigEndian)), |fare, driver| format!("{driver}: {fare}"));
/// joined.to("rides-of-drivers");
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Joined<K, V> {
    pub(crate) key_serde: SerdeChoice<K>,
    pub(crate) value_serde: SerdeChoice<V>,
    pub(crate) grace: Option<Duration>,
}

impl<K: 'static, V: 'static> Joined<K, V> {
    /// With the serdes that came with the stream, else the types' own.
    pub fn new() -> Self
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        Joined::from_choices(SerdeChoice::of_type(), SerdeChoice::of_type())
    }

    /// With these serdes.
    pub fn with(key_serde: impl Serde<K>, value_serde: impl Serde<V>) -> Self {
        Joined::from_choices(SerdeChoice::named(key_serde), SerdeChoice::named(value_serde))
    }

    /// With this key serde instead.
    pub fn key_serde(self, serde: impl Serde<K>) -> Self {
        Joined { key_serde: SerdeChoice::named(serde), ..self }
    }

    /// With this value serde instead.
    pub fn value_serde(self, serde: impl Serde<V>) -> Self {
        Joined { value_serde: SerdeChoice::named(serde), ..self }
    }

    /// Lets stream records wait so long, in event time, for late changes of the table, which must be versioned
    /// (KIP-923). What waits is in a store with a changelog, `<join>-Buffer`, and leaves only when a record of the stream
    /// comes; a record that is late by more than this is joined at once.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let kept = Materialized::named("rates").versioned(Duration::from_secs(3_600));
    /// let rates = builder.table_with("rates", Consumed::new(), kept);
    /// let bills = builder.stream::<String, f64>("bills");
    /// let patient = Joined::new().grace(Duration::from_secs(10));
    /// bills.join(rates.with(patient), |bill, rate: &f64| bill * rate).to("in-euros");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let (rates, bills) = (driver.input_topic::<String, f64>("rates"), driver.input_topic::<String, f64>("bills"));
    /// let dollar = || "usd".to_owned();
    /// bills.pipe_at(&mut driver, dollar(), 8.0, 20_000)?;
    /// // The rate comes after the bill, and is the one of its time.
    /// rates.pipe_at(&mut driver, dollar(), 0.75, 19_000)?;
    /// bills.pipe_at(&mut driver, dollar(), 9.0, 30_000)?;
    /// let in_euros = driver.output_topic::<String, f64>("in-euros");
    /// assert_eq!(in_euros.read_values(&mut driver)?, [6.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn grace(self, grace: Duration) -> Self {
        Joined { grace: Some(grace), ..self }
    }

    fn from_choices(key_serde: SerdeChoice<K>, value_serde: SerdeChoice<V>) -> Self {
        Joined { key_serde, value_serde, grace: None }
    }
}

impl<K: DefaultSerde + 'static, V: DefaultSerde + 'static> Default for Joined<K, V> {
    fn default() -> Self {
        Joined::new()
    }
}
