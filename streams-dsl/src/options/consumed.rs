//! How a source topic is read.

use std::sync::Arc;

use streams_core::processor::TimestampExtractor;
use streams_core::record::Record;
use streams_core::serdes::{DefaultSerde, Serde};
use streams_core::time::Timestamp;
use streams_core::topology::OffsetReset;

use super::serde_choice::SerdeChoice;

/// How a source topic is read: serdes, event time, where to start.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let builder = StreamsBuilder::new();
/// let rides = builder.stream_with("rides", Consumed::with(Utf8, BigEndian).offset_reset(OffsetReset::Latest));
/// rides.filter(|_zone: &String, fare: &i64| *fare > 100).to("large-rides");
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Consumed<K, V> {
    pub(crate) key_serde: SerdeChoice<K>,
    pub(crate) value_serde: SerdeChoice<V>,
    pub(crate) extractor: TimestampExtractor<K, V>,
    pub(crate) reset: Option<OffsetReset>,
}

impl<K: 'static, V: 'static> Consumed<K, V> {
    /// With the types' own serdes.
    pub fn new() -> Self
    where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        Consumed::from_choices(SerdeChoice::of_type(), SerdeChoice::of_type())
    }

    /// With these serdes.
    pub fn with(key_serde: impl Serde<K>, value_serde: impl Serde<V>) -> Self {
        Consumed::from_choices(SerdeChoice::named(key_serde), SerdeChoice::named(value_serde))
    }

    /// With this key serde instead.
    pub fn key_serde(self, serde: impl Serde<K>) -> Self {
        Consumed { key_serde: SerdeChoice::named(serde), ..self }
    }

    /// With this value serde instead.
    pub fn value_serde(self, serde: impl Serde<V>) -> Self {
        Consumed { value_serde: SerdeChoice::named(serde), ..self }
    }

    /// Where records get their event time from; without this, from the record's own timestamp, a negative one being
    /// an error.
    pub fn timestamp_extractor(self, extractor: TimestampExtractor<K, V>) -> Self {
        Consumed { extractor, ..self }
    }

    /// Event time computed from the record, and from the largest time seen so far in its partition; a negative answer
    /// drops the record.
    pub fn timestamps(
        self,
        extract: impl Fn(&Record<K, V>, Timestamp) -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        self.timestamp_extractor(TimestampExtractor::Custom(Arc::new(extract)))
    }

    /// Where to start in a partition without a committed offset.
    pub fn offset_reset(self, reset: OffsetReset) -> Self {
        Consumed { reset: Some(reset), ..self }
    }

    fn from_choices(key_serde: SerdeChoice<K>, value_serde: SerdeChoice<V>) -> Self {
        Consumed { key_serde, value_serde, extractor: TimestampExtractor::FailOnInvalid, reset: None }
    }
}

impl<K: DefaultSerde + 'static, V: DefaultSerde + 'static> Default for Consumed<K, V> {
    fn default() -> Self {
        Consumed::new()
    }
}
