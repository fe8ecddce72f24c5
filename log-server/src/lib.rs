//! A single-node log server that speaks the Kafka wire protocol.
