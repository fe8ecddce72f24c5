//! How a stream is repartitioned.

use std::sync::Arc;

use streams_core::processor::{Partitioner, StreamPartitioner};
use streams_core::serdes::{DefaultSerde, Serde};

use super::serde_choice::SerdeChoice;

/// How a stream is repartitioned: serdes, number of partitions, and which partition a record goes to.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let builder = StreamsBuilder::new();
/// let rides = builder.stream::<String, i64>("rides");
/// rides.repartition_with(Repartitioned::new().partitions(8)).named("spread").to("rides-by-8");
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Repartitioned<K, V> {
    pub(crate) key_serde: SerdeChoice<K>,
    pub(crate) value_serde: SerdeChoice<V>,
    pub(crate) name: Option<String>,
    pub(crate) partitions: Option<i32>,
    pub(crate) partitioner: Partitioner<K, V>,
}

impl<K: 'static, V: 'static> Repartitioned<K, V> {
    /// With the serdes that came with the stream, else the types' own.
    pub fn new() -> Self
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        Repartitioned::from_choices(SerdeChoice::of_type(), SerdeChoice::of_type())
    }

    /// With a name, which the topic takes up, and the serdes that came with the stream, else the types' own. Behind
    /// `.named(..)` the topic is the same, but the operators that follow have other numbers than in Kafka Streams.
    pub fn named(name: impl Into<String>) -> Self
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        Repartitioned { name: Some(name.into()), ..Repartitioned::new() }
    }

    /// With these serdes.
    pub fn with(key_serde: impl Serde<K>, value_serde: impl Serde<V>) -> Self {
        Repartitioned::from_choices(SerdeChoice::named(key_serde), SerdeChoice::named(value_serde))
    }

    /// With this key serde instead.
    pub fn key_serde(self, serde: impl Serde<K>) -> Self {
        Repartitioned { key_serde: SerdeChoice::named(serde), ..self }
    }

    /// With this value serde instead.
    pub fn value_serde(self, serde: impl Serde<V>) -> Self {
        Repartitioned { value_serde: SerdeChoice::named(serde), ..self }
    }

    /// How many partitions the topic gets; without this as many as its inputs have.
    pub fn partitions(self, partitions: i32) -> Self {
        Repartitioned { partitions: Some(partitions), ..self }
    }

    /// Chooses each record's partition; `None` leaves it to the default, murmur2 of the key's bytes.
    pub fn partitioner(self, partitioner: impl StreamPartitioner<K, V> + 'static) -> Self {
        Repartitioned { partitioner: Partitioner::Custom(Arc::new(partitioner)), ..self }
    }

    fn from_choices(key_serde: SerdeChoice<K>, value_serde: SerdeChoice<V>) -> Self {
        Repartitioned {
            key_serde,
            value_serde,
            name: None,
            partitions: None,
            partitioner: Partitioner::default(),
        }
    }
}

impl<K: DefaultSerde + 'static, V: DefaultSerde + 'static> Default for Repartitioned<K, V> {
    fn default() -> Self {
        Repartitioned::new()
    }
}
