//! A topology's processors without what stands around them: no queues, no (de)serialization of records, no client.

use std::path::Path;

use streams_dsl::processor::{PartitionCounts, ProcessorGraph, RecordArena, Shared};
use streams_dsl::record::{Data, Record};
use streams_dsl::state::{ReadOnlyStores, StateStore, StoreError, WriteBatch};
use streams_dsl::topology::{NodeKind, Topology};

use crate::Error;

/// The processors of a topology's first sub-topology, with stores in memory, to be fed with records that are read
/// already: what an operator costs by itself.
#[derive(Debug)]
pub struct BareGraph {
    graph: ProcessorGraph,
    changelog: RecordArena,
    batch: WriteBatch,
}

impl BareGraph {
    /// Makes the processors.
    ///
    /// # Errors
    /// When a store cannot be opened or a processor cannot be made.
    pub fn new(topology: &Topology) -> Result<Self, Error> {
        let parts = topology.sub_topologies();
        let part = parts.first().ok_or_else(|| no_input("any"))?;
        let stores: Result<Vec<Box<dyn StateStore>>, StoreError> = part
            .stores
            .iter()
            .map(|&store| {
                let builder = &topology.stores()[store].builder;
                builder.build(builder.backend().open(Path::new("in memory"))?)
            })
            .collect();
        let shared = Shared::new(stores?, ReadOnlyStores::default(), PartitionCounts::default());
        let graph = ProcessorGraph::build(topology, &part.nodes, shared)?;
        Ok(BareGraph { graph, changelog: RecordArena::default(), batch: WriteBatch::default() })
    }

    /// The number of the processor right behind the source of a topic.
    ///
    /// # Errors
    /// When no source has the topic.
    pub fn behind_source(topology: &Topology, topic: &str) -> Result<u32, Error> {
        let parts = topology.sub_topologies();
        let nodes = topology.nodes();
        let source = nodes.iter().find(|node| match &node.kind {
            NodeKind::Source(source) => source.topics.names().iter().any(|name| &**name == topic),
            _ => false,
        });
        let source = source.ok_or_else(|| no_input(topic))?;
        let places = parts.first().map(|part| part.nodes.as_slice()).unwrap_or_default();
        let child = places.iter().position(|&place| nodes[place].parents.contains(&source.name));
        child.map(|child| child as u32).ok_or_else(|| no_input(topic))
    }

    /// Sends a record through the graph from a processor on.
    ///
    /// # Errors
    /// Those of the processors.
    pub fn feed<K: Data, V: Data>(&mut self, node: u32, record: Record<K, V>) -> Result<(), Error> {
        self.graph.shared.stream_time = self.graph.shared.stream_time.max(record.timestamp);
        let outer = self.graph.shared.enter_record(record.timestamp, &record.headers);
        let fed = self.graph.process(node, &mut Some(record));
        self.graph.shared.leave_record(outer);
        Ok(fed?)
    }

    /// What a commit does with the stores: held-back changes leave, changelog records are taken, writes reach the
    /// database.
    ///
    /// # Errors
    /// Those of the processors and the stores.
    pub fn commit(&mut self) -> Result<(), Error> {
        self.graph.flush()?;
        for store in self.graph.shared.stores_mut() {
            store.flush()?;
            store.take_changelog(&mut self.changelog);
            self.changelog.clear();
            store.seal()?;
            self.batch.clear();
            store.stage(&mut self.batch)?;
            store.database().write(&self.batch)?;
            store.retire()?;
        }
        Ok(())
    }
}

fn no_input(topic: &str) -> Error {
    Error::NoInput { topic: topic.to_owned() }
}
