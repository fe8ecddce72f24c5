//! How a topic is written.

use std::sync::Arc;

use streams_core::processor::{Partitioner, StreamPartitioner};
use streams_core::serdes::{DefaultSerde, Serde};

use super::serde_choice::SerdeChoice;

/// How a topic is written: serdes and partitions.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let builder = StreamsBuilder::new();
/// let rides = builder.stream::<String, i64>("rides");
/// rides.to_with("fares", Produced::new().partitioner(|_: &str, zone: &String, _: &i64, partitions: i32| {
///     Some(zone.len() as i32 % partitions)
/// }));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Produced<K, V> {
    pub(crate) key_serde: SerdeChoice<K>,
    pub(crate) value_serde: SerdeChoice<V>,
    pub(crate) partitioner: Partitioner<K, V>,
}

impl<K: 'static, V: 'static> Produced<K, V> {
    /// With the serdes that came with the stream, else the types' own.
    pub fn new() -> Self
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        Produced::from_choices(SerdeChoice::of_type(), SerdeChoice::of_type())
    }

    /// With these serdes.
    pub fn with(key_serde: impl Serde<K>, value_serde: impl Serde<V>) -> Self {
        Produced::from_choices(SerdeChoice::named(key_serde), SerdeChoice::named(value_serde))
    }

    /// With this key serde instead.
    pub fn key_serde(self, serde: impl Serde<K>) -> Self {
        Produced { key_serde: SerdeChoice::named(serde), ..self }
    }

    /// With this value serde instead.
    pub fn value_serde(self, serde: impl Serde<V>) -> Self {
        Produced { value_serde: SerdeChoice::named(serde), ..self }
    }

    /// Chooses each record's partition; `None` leaves it to the default, murmur2 of the key's bytes.
    pub fn partitioner(self, partitioner: impl StreamPartitioner<K, V> + 'static) -> Self {
        Produced { partitioner: Partitioner::Custom(Arc::new(partitioner)), ..self }
    }

    fn from_choices(key_serde: SerdeChoice<K>, value_serde: SerdeChoice<V>) -> Self {
        Produced { key_serde, value_serde, partitioner: Partitioner::default() }
    }
}

impl<K: DefaultSerde + 'static, V: DefaultSerde + 'static> Default for Produced<K, V> {
    fn default() -> Self {
        Produced::new()
    }
}
