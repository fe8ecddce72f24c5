//! Records from the brokers: Fetch requests of our own over the [wire client](super::wire)'s connections.
//!
//! librdkafka makes an object of its own of every record that it fetches, about 300 bytes and 300 ns; where records are
//! small, that is most of what they cost. Here the answer of a broker stays as it came: a record is a few numbers that
//! say where its key and value lie, and the bytes are read when its turn has come.

mod answer;
mod buffer;
mod compression;
mod consumer;
mod fetcher;
mod lane;
mod locate;
mod message;
mod record_batch;
mod settings;
mod slot;

pub use buffer::FetchPermit;
pub use consumer::{DataConsumer, FetchAssignment, FetchEvent, FetchFrom, FetchSink, FetchedBatch};
pub use message::FetchedMessage;

#[cfg(test)]
mod tests;
