//! Streams: unbounded sequences of records, one file per operator.

mod branch;
mod filter;
mod flat_map;
mod flat_map_values;
mod for_each;
mod group;
mod join;
mod join_global;
mod join_table;
mod map;
mod map_values;
mod merge;
mod peek;
mod process;
mod process_values;
mod repartition;
mod select_key;
mod step;
mod to;
mod to_table;
mod window_join;
mod windowed_by;
mod within;

use std::fmt;

pub use branch::BranchedKStream;
pub use join::{JoinKind, JoinSide, Joiner, OuterJoinSide, StreamJoin};
pub use join_global::GlobalLookup;
pub use process_values::{FixedKeyContext, FixedKeyProcessor, FixedKeyRecord};
pub(crate) use repartition::{NewRepartition, add_repartition};
pub(crate) use step::{forward_mapped, step};
pub use to::Sink;
pub use within::{Within, WithinWith};

use crate::options::SharedSerde;
use crate::plan::Place;

/// A stream of records. It is a handle: operators take `&self`, and one stream may have many consumers, which see each
/// record in the order in which they were added.
///
/// ```
/// use streams_dsl::prelude::*;
/// use streams_test_driver::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new();
/// let rides = builder.stream::<String, i64>("rides");
/// rides.filter(|_, fare| *fare > 100).named("large-fares").to("large-rides");
/// let topology = builder.build()?;
///
/// let mut driver = TopologyTestDriver::new(topology)?;
/// let rides = driver.input_topic::<String, i64>("rides");
/// rides.pipe(&mut driver, "north".to_owned(), 120)?;
/// rides.pipe(&mut driver, "south".to_owned(), 80)?;
/// let large = driver.output_topic::<String, i64>("large-rides");
/// assert_eq!(large.read_key_values(&mut driver)?, [("north".to_owned(), 120)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a stream does nothing until something consumes it, `to(..)` or `for_each(..)` for instance"]
pub struct KStream<K, V> {
    pub(crate) place: Place,
    pub(crate) rekeyed: bool,
    pub(crate) key_serde: Option<SharedSerde<K>>,
    pub(crate) value_serde: Option<SharedSerde<V>>,
}

impl<K, V> KStream<K, V> {
    /// Names the operator just added; its nodes, topics and stores take the name up.
    pub fn named(self, name: impl Into<String>) -> Self {
        self.place.set_name(name);
        self
    }

    /// The stream behind a node that leaves keys and values as they are.
    pub(crate) fn same(&self, place: Place) -> KStream<K, V> {
        KStream {
            place,
            rekeyed: self.rekeyed,
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
        }
    }

    /// The stream behind a node that changes values only.
    pub(crate) fn with_values<V2>(&self, place: Place) -> KStream<K, V2> {
        KStream { place, rekeyed: self.rekeyed, key_serde: self.key_serde.clone(), value_serde: None }
    }

    /// The stream behind a node that may change keys: what needs them in their partition will repartition first.
    pub(crate) fn with_keys<K2, V2>(&self, place: Place) -> KStream<K2, V2> {
        KStream { place, rekeyed: true, key_serde: None, value_serde: None }
    }
}

impl<K, V> Clone for KStream<K, V> {
    fn clone(&self) -> Self {
        self.same(self.place.clone())
    }
}

impl<K, V> fmt::Debug for KStream<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KStream").field("node", &self.place.node).field("rekeyed", &self.rekeyed).finish()
    }
}
