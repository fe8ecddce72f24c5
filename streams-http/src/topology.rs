//! The topology, for people and the tools that draw it.

use axum::extract::State;

use crate::routes::Service;

/// `/topology`: the text of Kafka Streams' `Topology.describe()`, which its visualisers take.
pub(crate) async fn description(State(service): State<Service>) -> String {
    service.partitions.handle.topology().describe()
}

/// `/topology/mermaid`: a flowchart.
pub(crate) async fn mermaid(State(service): State<Service>) -> String {
    service.partitions.handle.topology().mermaid()
}
