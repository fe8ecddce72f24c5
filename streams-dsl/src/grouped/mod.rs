//! Groupings of streams, and the aggregations over them: one file per operator.

mod aggregate;
mod aggregation;
mod cogroup;
mod cogroup_windowed;
mod count;
mod emission;
mod reduce;
mod session_aggregation;
mod session_store;
mod session_windowed;
mod sliding_aggregation;
mod table_aggregation;
mod time_windowed;
mod window_aggregation;
mod window_output;
mod window_store;
mod windowed_by;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use cogroup::CogroupedKStream;
pub use cogroup_windowed::{SessionWindowedCogroupedKStream, TimeWindowedCogroupedKStream};
pub use session_windowed::SessionWindowedKStream;
pub use time_windowed::TimeWindowedKStream;
pub use windowed_by::WindowedBy;

use streams_core::record::Data;

use crate::kstream::{NewRepartition, add_repartition};
use crate::options::SharedSerde;
use crate::plan::{Name, Place};

/// A stream grouped by its keys, to be counted, reduced or aggregated, as a whole or by windows.
#[must_use = "a grouping does nothing until it is aggregated"]
pub struct KGroupedStream<K, V> {
    pub(crate) place: Place,
    rekeyed: bool,
    pub(crate) key_serde: SharedSerde<K>,
    pub(crate) value_serde: SharedSerde<V>,
}

impl<K: 'static, V: 'static> KGroupedStream<K, V> {
    pub(crate) fn new(
        place: Place,
        rekeyed: bool,
        key_serde: SharedSerde<K>,
        value_serde: SharedSerde<V>,
    ) -> Self {
        KGroupedStream { place, rekeyed, key_serde, value_serde }
    }

    /// Names the key selection, where there is one, and the repartition topic, where one is needed:
    /// `<application>-<name>-repartition`.
    pub fn named(self, name: impl Into<String>) -> Self {
        self.place.set_name(name);
        self
    }

    /// Where an aggregation reads: behind a repartition topic if the keys were changed. Without a name of its own the
    /// topic is called after the aggregation's store.
    pub(crate) fn partitioned(&self, store: &str) -> Place
    where
        K: Data,
        V: Data,
    {
        if !self.rekeyed {
            return self.place.clone();
        }
        let operator = self.place.operator;
        let base = Name::new(operator, store);
        add_repartition(&self.place, NewRepartition::of(operator, &base, &self.key_serde, &self.value_serde))
    }
}

impl<K, V> Clone for KGroupedStream<K, V> {
    fn clone(&self) -> Self {
        KGroupedStream {
            place: self.place.clone(),
            rekeyed: self.rekeyed,
            key_serde: Arc::clone(&self.key_serde),
            value_serde: Arc::clone(&self.value_serde),
        }
    }
}

impl<K, V> fmt::Debug for KGroupedStream<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KGroupedStream").field("node", &self.place.node).finish_non_exhaustive()
    }
}
