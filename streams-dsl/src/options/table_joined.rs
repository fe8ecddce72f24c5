//! How two tables are joined by a foreign key.

use std::sync::Arc;

use streams_core::processor::StreamPartitioner;
use streams_core::serdes::{DefaultSerde, Serde};

use super::serde_choice::SerdeChoice;

type Chosen<K> = Option<Arc<dyn StreamPartitioner<K, ()>>>;

/// How a table of keys `K` and values `V` is joined by a foreign key with a table of keys `FK` and values `FV`: the
/// serdes of the topics between both, and which partition a row of either table is in.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let builder = StreamsBuilder::new();
/// let orders = builder.table::<String, String>("orders");
/// let customers = builder.table::<i64, String>("customers");
/// // The topic `customers` is not partitioned as Kafka would do it.
/// let options = TableJoined::with(Utf8, Utf8, BigEndian, Utf8)
///     .other_partitioner(|_: &str, customer: &i64, _: &(), partitions: i32| Some(*customer as i32 % partitions));
/// let customer = |_: &String, order: &String| order.split(':').next()?.parse().ok();
/// orders.join_on_with(&customers, customer, |order, name| format!("{name}: {order}"), options).to_stream().to("named");
/// ```
#[must_use]
pub struct TableJoined<K, V, FK, FV> {
    pub(crate) key_serde: SerdeChoice<K>,
    pub(crate) value_serde: SerdeChoice<V>,
    pub(crate) foreign_key_serde: SerdeChoice<FK>,
    pub(crate) foreign_value_serde: SerdeChoice<FV>,
    pub(crate) partitioner: Chosen<K>,
    pub(crate) other_partitioner: Chosen<FK>,
}

impl<K: 'static, V: 'static, FK: 'static, FV: 'static> TableJoined<K, V, FK, FV> {
    /// With the serdes that came with the tables, else the types' own.
    pub fn new() -> Self
    where
        K: DefaultSerde,
        V: DefaultSerde,
        FK: DefaultSerde,
        FV: DefaultSerde,
    {
        TableJoined {
            key_serde: SerdeChoice::of_type(),
            value_serde: SerdeChoice::of_type(),
            foreign_key_serde: SerdeChoice::of_type(),
            foreign_value_serde: SerdeChoice::of_type(),
            partitioner: None,
            other_partitioner: None,
        }
    }

    /// With these serdes: of the keys and values of the table that joins, and of those of the other table.
    pub fn with(
        key_serde: impl Serde<K>,
        value_serde: impl Serde<V>,
        foreign_key_serde: impl Serde<FK>,
        foreign_value_serde: impl Serde<FV>,
    ) -> Self {
        TableJoined {
            key_serde: SerdeChoice::named(key_serde),
            value_serde: SerdeChoice::named(value_serde),
            foreign_key_serde: SerdeChoice::named(foreign_key_serde),
            foreign_value_serde: SerdeChoice::named(foreign_value_serde),
            partitioner: None,
            other_partitioner: None,
        }
    }

    /// How the topic of the table that joins is partitioned. Without this, answers go back to the partition that asked.
    pub fn partitioner(self, partitioner: impl StreamPartitioner<K, ()> + 'static) -> Self {
        TableJoined { partitioner: Some(Arc::new(partitioner)), ..self }
    }

    /// How the topic of the other table is partitioned, where that is not by murmur2 of the key's bytes.
    pub fn other_partitioner(self, partitioner: impl StreamPartitioner<FK, ()> + 'static) -> Self {
        TableJoined { other_partitioner: Some(Arc::new(partitioner)), ..self }
    }
}

impl<K, V, FK, FV> Default for TableJoined<K, V, FK, FV>
where
    K: DefaultSerde + 'static,
    V: DefaultSerde + 'static,
    FK: DefaultSerde + 'static,
    FV: DefaultSerde + 'static,
{
    fn default() -> Self {
        TableJoined::new()
    }
}

impl<K, V, FK, FV> Clone for TableJoined<K, V, FK, FV> {
    fn clone(&self) -> Self {
        TableJoined {
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
            foreign_key_serde: self.foreign_key_serde.clone(),
            foreign_value_serde: self.foreign_value_serde.clone(),
            partitioner: self.partitioner.clone(),
            other_partitioner: self.other_partitioner.clone(),
        }
    }
}

impl<K, V, FK, FV> std::fmt::Debug for TableJoined<K, V, FK, FV> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableJoined")
            .field("partitioner", &self.partitioner.is_some())
            .field("other_partitioner", &self.other_partitioner.is_some())
            .finish_non_exhaustive()
    }
}
