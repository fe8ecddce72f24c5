//! TopologyTestDriver: runs a topology without a broker.
