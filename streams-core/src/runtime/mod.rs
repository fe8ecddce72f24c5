//! The async part: drives the tasks.

mod data_clients;
mod planner;
mod record_collector;
mod state_directory;
mod streams_state;

pub use streams_state::{StreamsState, StreamsStatus, TaskStatus};
