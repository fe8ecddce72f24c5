//! TopologyTestDriver: runs a topology in a test, without a broker, a clock or a thread.
//!
//! The driver runs the engine itself, the very tasks that run in production: what holds here holds there, but for what
//! several partitions and several instances bring. As Kafka's driver does, it puts the whole topology into one task
//! with one partition per topic, and commits after each record, so that nothing is held back.
//!
//! Records go in through a [`TestInputTopic`] and come out through a [`TestOutputTopic`]; the wall clock moves by
//! [`TopologyTestDriver::advance_wall_clock`] alone.

mod config;
mod driver;
mod error;
mod input_topic;
mod output_topic;
mod produced;

pub use config::DriverConfig;
pub use driver::TopologyTestDriver;
pub use error::DriverError;
pub use input_topic::TestInputTopic;
pub use output_topic::TestOutputTopic;
pub use produced::ProducedRecord;
