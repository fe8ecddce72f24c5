//! How records are grouped.

use streams_core::serdes::{DefaultSerde, Serde};

use super::serde_choice::SerdeChoice;

/// How records are grouped: the serdes of the repartition topic, where one is needed, and of the aggregation behind it.
///
/// The topic and the key selection are named by `.named(..)` on the grouped stream.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let builder = StreamsBuilder::new();
/// let rides = builder.stream::<String, i64>("rides");
/// rides.group_by_with(|_, fare| fare / 10, Grouped::with(BigEndian, BigEndian)).named("by-price").count();
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Grouped<K, V> {
    pub(crate) key_serde: SerdeChoice<K>,
    pub(crate) value_serde: SerdeChoice<V>,
}

impl<K: 'static, V: 'static> Grouped<K, V> {
    /// With the serdes that came with the stream, else the types' own.
    pub fn new() -> Self
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        Grouped::from_choices(SerdeChoice::of_type(), SerdeChoice::of_type())
    }

    /// With these serdes.
    pub fn with(key_serde: impl Serde<K>, value_serde: impl Serde<V>) -> Self {
        Grouped::from_choices(SerdeChoice::named(key_serde), SerdeChoice::named(value_serde))
    }

    /// With this key serde instead.
    pub fn key_serde(self, serde: impl Serde<K>) -> Self {
        Grouped { key_serde: SerdeChoice::named(serde), ..self }
    }

    /// With this value serde instead.
    pub fn value_serde(self, serde: impl Serde<V>) -> Self {
        Grouped { value_serde: SerdeChoice::named(serde), ..self }
    }

    fn from_choices(key_serde: SerdeChoice<K>, value_serde: SerdeChoice<V>) -> Self {
        Grouped { key_serde, value_serde }
    }
}

impl<K: DefaultSerde + 'static, V: DefaultSerde + 'static> Default for Grouped<K, V> {
    fn default() -> Self {
        Grouped::new()
    }
}
