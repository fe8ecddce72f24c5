//! The log server with clients that know nothing of it: librdkafka through rdkafka.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

mod broker;
mod groups;
mod transactions;
