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
    /// (KIP-923).
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
