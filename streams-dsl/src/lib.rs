//! Kafka Streams for Rust: the fluent DSL, and the crate that applications depend on.
